import { type Prefix, type PrefixChanges, parsePrefix, type ReservedIdentities } from '@ciliate/identity';
import { Labels } from '@ciliate/labels';
import { IpcacheMap, type Memory } from '@ciliate/maps';
import { type IpAddress, isIpv6 } from '@ciliate/packet';
import type { Endpoint } from './endpoint.ts';
import { type Families, isDualStack } from './families.ts';
import { KnownPrefixes } from './known_prefixes.ts';
import { hostPrefix } from './nodes.ts';

/**
 * Which identity an address has, in the map that the programs read: pods, nodes, the API server, and prefixes outside of
 * the cluster that policies and CIDR groups speak of. An address that nobody knows is the world's.
 */
export class AgentIpcache {
  readonly prefixes: KnownPrefixes;
  readonly #map: IpcacheMap;
  /** Of pods: they have the identities of these, whatever is said about their addresses. */
  readonly #ofPods = new Set<IpAddress>();

  /** @param node addresses of the node itself */
  constructor(memory: Memory, node: readonly IpAddress[], reserved: ReservedIdentities, families: Families) {
    this.#map = IpcacheMap.create(memory);
    this.prefixes = new KnownPrefixes({ dualStack: isDualStack(families), reserved });
    const worlds = [...(families.ipv4 ? ['0.0.0.0/0'] : []), ...(families.ipv6 ? ['::/0'] : [])];
    const known = { source: 'local', labels: Labels.none } as const;
    this.prefixes.tell('reserved', [
      ...worlds.map((world) => [parsePrefix(world), known] as const),
      ...node.map(hostPrefix),
    ]);
    this.write(this.prefixes.apply());
  }

  /** The programs see what `prefixes.apply` changed. */
  write({ upserted, removed }: Pick<PrefixChanges, 'upserted' | 'removed'>): void {
    for (const { prefix, identity } of upserted)
      if (this.#isShown(prefix)) this.#put(firstOf(prefix), prefix.length, identity);
    for (const { prefix } of removed) if (this.#isShown(prefix)) this.#map.delete(firstOf(prefix), prefix.length);
  }

  upsertPod({ addresses, identity }: Endpoint): void {
    for (const address of addresses) {
      this.#ofPods.add(address);
      this.#put(address, widthOf(address), identity);
    }
  }

  /** The address falls back to what is known of it as one outside of the cluster. */
  deletePod(address: IpAddress): void {
    this.#ofPods.delete(address);
    const length = widthOf(address);
    const entry = this.prefixes.get({ family: isIpv6(address) ? 6 : 4, address: BigInt(address), length });
    if (entry === undefined) this.#map.delete(address, length);
    else this.#put(address, length, entry.identity);
  }

  #isShown(prefix: Prefix): boolean {
    const first = firstOf(prefix);
    return !(prefix.length === widthOf(first) && this.#ofPods.has(first));
  }

  #put(address: IpAddress, length: number, identity: number): void {
    this.#map.upsert(address, length, { identity, tunnelEndpoint: 0, key: 0, flags: 0 });
  }
}

const firstOf = ({ family, address }: Prefix): IpAddress => (family === 4 ? Number(address) : address);
/** Bits of an address. */
const widthOf = (address: IpAddress): number => (isIpv6(address) ? 128 : 32);
