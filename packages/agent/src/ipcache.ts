import {
  addressOf,
  IDENTITY_UNMANAGED,
  Ipcache,
  type IpcacheEntry,
  type IpIdentityPair,
  type PrefixChanges,
  parsePrefix,
  prefixOf,
  type ReservedIdentities,
  type Source,
} from '@ciliate/identity';
import { Labels } from '@ciliate/labels';
import { IpcacheMap, type Memory } from '@ciliate/maps';
import { formatIp, type IpAddress, isIpv6 } from '@ciliate/packet';
import type { Endpoint } from './endpoint.ts';
import { type Families, isDualStack } from './families.ts';
import { KnownPrefixes } from './known_prefixes.ts';
import { hostPrefix } from './nodes.ts';

export interface AgentIpcacheOptions {
  /** Addresses of the node itself, the one that tunnels end at first. */
  readonly node: readonly IpAddress[];
  readonly reserved: ReservedIdentities;
  readonly families: Families;
  /** How agents' pods become known, here and elsewhere. */
  readonly source: Source;
}

/**
 * Which identity an address has, in the map that the programs read: pods here and on other nodes, nodes, the API server,
 * and prefixes outside of the cluster that policies and CIDR groups speak of. An address that nobody knows is the world's.
 */
export class AgentIpcache {
  readonly prefixes: KnownPrefixes;
  readonly entries = new Ipcache();
  readonly #map: IpcacheMap;
  readonly #tunnelIp: IpAddress;
  readonly #source: Source;
  readonly #ofPods = new Set<IpAddress>();
  /** What other agents say, by the name of its key: an address, or a prefix. */
  readonly #told = new Map<string, IpIdentityPair>();

  constructor(memory: Memory, { node, reserved, families, source }: AgentIpcacheOptions) {
    this.#map = IpcacheMap.create(memory);
    this.#tunnelIp = node[0]!;
    this.#source = source;
    this.entries.subscribe({
      onUpsert: (entry) => this.#put(entry),
      onDelete: ({ prefix }) => this.#map.delete(addressOf(prefix), prefix.length),
    });
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
    for (const { prefix, identity, source, tunnelPeer: hostIp } of upserted)
      this.entries.upsertPrefix({ prefix, identity, source, hostIp, encryptKey: 0 });
    for (const { prefix } of removed) this.entries.deletePrefix(prefix);
  }

  upsertPod({ addresses, identity }: Endpoint): void {
    for (const address of addresses) {
      this.#ofPods.add(address);
      this.entries.upsertEndpoint({
        ...{ prefix: prefixOf(address), identity, source: this.#source, hostIp: this.#tunnelIp, encryptKey: 0 },
      });
    }
  }

  /** The address is of a pod that goes: nobody's, which neither the rules of before nor those to come speak of. */
  disown(address: IpAddress): void {
    this.entries.upsertEndpoint({
      ...{ prefix: prefixOf(address), identity: IDENTITY_UNMANAGED, source: this.#source },
      ...{ hostIp: this.#tunnelIp, encryptKey: 0 },
    });
  }

  /** The address falls back to what other agents say of it, else to what is known of it as one outside of the cluster. */
  deletePod(address: IpAddress): void {
    this.#ofPods.delete(address);
    const prefix = prefixOf(address);
    const told = this.toldOf(address);
    if (told === undefined) this.entries.deleteEndpoint(prefix, this.#source);
    else this.entries.upsertEndpoint({ ...told, source: this.#source });
  }

  /**
   * Another agent says whose an address is; what this one has itself counts more.
   * @param told undefined: it says so no more
   * @returns what it said before
   */
  setTold(key: string, told: IpIdentityPair | undefined): IpIdentityPair | undefined {
    const before = this.#told.get(key);
    if (told !== undefined) this.#told.set(key, told);
    else this.#told.delete(key);
    const prefix = (told ?? before)?.prefix;
    if (prefix === undefined || this.#ofPods.has(addressOf(prefix))) return before;
    if (told === undefined) this.entries.deleteEndpoint(prefix, this.#source);
    else this.entries.upsertEndpoint({ ...told, source: this.#source });
    return before;
  }

  /** The pod of another agent's with this address. */
  toldOf(address: IpAddress): IpIdentityPair | undefined {
    return this.#told.get(formatIp(address));
  }

  /** Source: pkg/datapath/ipcache/listener.go. */
  #put({ prefix, identity, hostIp, encryptKey: key }: IpcacheEntry): void {
    const isElsewhere = hostIp !== undefined && hostIp !== this.#tunnelIp && isIpv6(hostIp) === isIpv6(this.#tunnelIp);
    const tunnelEndpoint = isElsewhere ? hostIp : 0;
    this.#map.upsert(addressOf(prefix), prefix.length, { identity, tunnelEndpoint, key, flags: 0 });
  }
}
