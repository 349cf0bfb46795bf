import {
  formatIpIdentityPair,
  IDENTITY_HOST,
  IDENTITY_REMOTE_NODE,
  IP_PREFIX,
  type IpIdentityPair,
  ipKey,
  parseIpIdentityPair,
  prefixOf,
} from '@ciliate/identity';
import { type KvstoreClient, LeasedKeys, WatchStore, type WatchStoreObserver } from '@ciliate/kvstore';
import type { IpAddress } from '@ciliate/packet';
import type { Logger } from 'pino';
import type { Endpoint } from '../endpoint.ts';
import type { Registry, RemoteChanges } from '../registry.ts';
import { formatNodeEntry, NODE_PREFIX, type NodeEntry, nodeKey, parseNodeEntry } from './node_entry.ts';

export interface SharedStateOptions {
  readonly client: KvstoreClient;
  /** Of this node: `hostIp` is where tunnels to it end. */
  readonly node: { readonly name: string; readonly cluster: string; readonly hostIp: IpAddress };
  /** Other agents told something, which {@link SharedState.take} answers. */
  readonly onChange: () => void;
  readonly log: Logger;
}

/**
 * What the agents on one store tell each other: the addresses of pods and nodes. What this one tells goes with its lease,
 * and is written again if somebody else took it away.
 * Source: pkg/ipcache/kvstore.go, pkg/node/store, pkg/endpoint/policy.go (runIPIdentitySync).
 */
export class SharedState implements Registry {
  readonly #options: SharedStateOptions;
  readonly #keys: LeasedKeys;
  readonly #watches: WatchStore[] = [];
  readonly #ips = new Map<string, IpIdentityPair | undefined>();
  readonly #nodes = new Map<string, NodeEntry | undefined>();
  /** Keys that were told as another agent's. */
  readonly #told = new Set<string>();

  private constructor(options: SharedStateOptions, keys: LeasedKeys) {
    this.#options = options;
    this.#keys = keys;
  }

  /** Resolves when all that other agents told so far is known. @throws KvstoreError */
  static async open(options: SharedStateOptions): Promise<SharedState> {
    const { client, log } = options;
    const state = new SharedState(options, await LeasedKeys.open(client));
    const follow = async (prefix: string, observer: WatchStoreObserver): Promise<void> => {
      const onFailure = (err: unknown) => log.error({ err, prefix }, 'the store is no longer followed');
      state.#watches.push(await WatchStore.open(client, prefix, observer, onFailure));
    };
    await follow(IP_PREFIX, {
      onUpdate: (key, value) => state.#note(IP_PREFIX, key, state.#ips, () => state.#remotePair(key, value)),
      onDelete: (key) => state.#noteGone(IP_PREFIX, key, state.#ips),
    });
    await follow(NODE_PREFIX, {
      onUpdate: (key, value) => state.#note(NODE_PREFIX, key, state.#nodes, () => state.#remoteNode(key, value)),
      onDelete: (key) => state.#noteGone(NODE_PREFIX, key, state.#nodes),
    });
    return state;
  }

  take(): RemoteChanges {
    const changes = { ips: new Map(this.#ips), nodes: new Map(this.#nodes) };
    this.#ips.clear();
    this.#nodes.clear();
    return changes;
  }

  async announcePod({ id, namespace, name, addresses, identity, namedPorts }: Endpoint): Promise<void> {
    const { node } = this.#options;
    const metadata = `cilium-global:default:${node.name}:${id}`;
    const told = { hostIp: node.hostIp, identity, encryptKey: 0, metadata, namespace, podName: name, namedPorts };
    for (const address of addresses) {
      const prefix = prefixOf(address);
      await this.#keys.put(ipKey(prefix), formatIpIdentityPair({ prefix, ...told }));
    }
  }

  async withdrawPod(_endpoint: Endpoint, addresses: readonly IpAddress[]): Promise<void> {
    for (const address of addresses) await this.#keys.delete(ipKey(prefixOf(address)));
  }

  async announceNode(node: NodeEntry): Promise<void> {
    await this.#keys.put(nodeKey(node), formatNodeEntry(node));
  }

  async sync(): Promise<void> {
    await this.#keys.keepAlive();
    await this.#keys.sync();
  }

  async close(): Promise<void> {
    for (const watch of this.#watches) await watch.close();
    await this.#keys.revoke();
  }

  #note<T>(prefix: string, key: string, to: Map<string, T | undefined>, parse: () => T | undefined): void {
    try {
      const told = parse();
      if (told === undefined) {
        this.#forget(prefix, key, to);
      } else {
        this.#told.add(prefix + key);
        to.set(key, told);
        this.#options.onChange();
      }
    } catch (err) {
      this.#options.log.warn({ err }, 'an entry of the store is ignored');
    }
  }

  #noteGone<T>(prefix: string, key: string, from: Map<string, T | undefined>): void {
    this.#forget(prefix, key, from);
    if (!this.#keys.has(prefix + key)) return;
    const { log } = this.#options;
    log.warn({ key: prefix + key }, 'somebody deleted a key of this agent: it is written again');
    this.#keys.restore(prefix + key).catch((err: unknown) => log.error({ err }, 'a key could not be written again'));
  }

  #forget<T>(prefix: string, key: string, from: Map<string, T | undefined>): void {
    if (!this.#told.delete(prefix + key)) return;
    from.set(key, undefined);
    this.#options.onChange();
  }

  /** undefined: this agent's own, from now or from before. */
  #remotePair(key: string, text: string): IpIdentityPair | undefined {
    const pair = parseIpIdentityPair(key, text);
    if (pair.hostIp === this.#options.node.hostIp) return undefined;
    // Another agent's host is a remote node here.
    return pair.identity === IDENTITY_HOST ? { ...pair, identity: IDENTITY_REMOTE_NODE } : pair;
  }

  #remoteNode(key: string, text: string): NodeEntry | undefined {
    const { name, cluster } = this.#options.node;
    return key === `${cluster}/${name}` ? undefined : parseNodeEntry(key, text);
  }
}
