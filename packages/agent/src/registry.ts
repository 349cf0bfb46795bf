import type { IpIdentityPair } from '@ciliate/identity';
import type { IpAddress } from '@ciliate/packet';
import type { Endpoint } from './endpoint.ts';
import type { NodeEntry } from './kvstore/node_entry.ts';

/** What other agents told since somebody last looked, by key; undefined: it is gone. */
export interface RemoteChanges {
  /** By address, or prefix. */
  readonly ips: ReadonlyMap<string, IpIdentityPair | undefined>;
  /** By cluster and name. */
  readonly nodes: ReadonlyMap<string, NodeEntry | undefined>;
}

/** Where agents tell each other of their pods and nodes. */
export interface Registry {
  take(): RemoteChanges;
  announcePod(endpoint: Endpoint): Promise<void>;
  /** @param addresses of its own, those that no other pod here has */
  withdrawPod(endpoint: Endpoint, addresses: readonly IpAddress[]): Promise<void>;
  announceNode(node: NodeEntry): Promise<void>;
  /** To be called well within 900 s. */
  sync(): Promise<void>;
  /** What this agent told is gone with it. */
  close(): Promise<void>;
}
