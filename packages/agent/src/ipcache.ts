import {
  IDENTITY_HOST,
  type Prefix,
  type PrefixChanges,
  parsePrefix,
  type ReservedIdentities,
} from '@ciliate/identity';
import { Labels } from '@ciliate/labels';
import { IpcacheMap, type Memory } from '@ciliate/maps';
import type { Endpoint } from './endpoint.ts';
import { KnownPrefixes } from './known_prefixes.ts';

/**
 * Which identity an address has, in the map that the programs read: pods, the node, and prefixes outside of the cluster
 * that policies and CIDR groups speak of. An address that nobody knows is the world's.
 */
export class AgentIpcache {
  readonly prefixes: KnownPrefixes;
  readonly #map: IpcacheMap;
  /** Of pods and the node: they have the identities of these, whatever is said about their addresses. */
  readonly #inCluster = new Set<number>();

  /** @param node address of the node itself */
  constructor(memory: Memory, node: number, reserved: ReservedIdentities) {
    this.#map = IpcacheMap.create(memory);
    this.prefixes = new KnownPrefixes({ dualStack: false, reserved });
    this.prefixes.tell('node', [[parsePrefix('0.0.0.0/0'), { source: 'local', labels: Labels.none }]]);
    this.write(this.prefixes.apply());
    this.#inCluster.add(node);
    this.#put(node, 32, IDENTITY_HOST);
  }

  /** The programs see what `prefixes.apply` changed. */
  write({ upserted, removed }: Pick<PrefixChanges, 'upserted' | 'removed'>): void {
    for (const { prefix, identity } of upserted)
      if (this.#isShown(prefix)) this.#put(Number(prefix.address), prefix.length, identity);
    for (const { prefix } of removed)
      if (this.#isShown(prefix)) this.#map.delete(Number(prefix.address), prefix.length);
  }

  upsertPod({ address, identity }: Endpoint): void {
    this.#inCluster.add(address);
    this.#put(address, 32, identity);
  }

  /** The address falls back to what is known of it as one outside of the cluster. */
  deletePod(address: number): void {
    this.#inCluster.delete(address);
    const entry = this.prefixes.get({ family: 4, address: BigInt(address), length: 32 });
    if (entry === undefined) this.#map.delete(address, 32);
    else this.#put(address, 32, entry.identity);
  }

  /** The map is for IPv4. */
  #isShown({ family, address, length }: Prefix): boolean {
    return family === 4 && !(length === 32 && this.#inCluster.has(Number(address)));
  }

  #put(address: number, length: number, identity: number): void {
    this.#map.upsert(address, length, { identity, tunnelEndpoint: 0, key: 0, flags: 0 });
  }
}
