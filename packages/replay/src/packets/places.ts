import {
  type Address,
  type BpfMap,
  ENDPOINT_F_HOST,
  ENDPOINT_KEY,
  endpointFlags,
  endpointLxcId,
  IPCACHE_KEY,
  IPCACHE_MAP_NAME,
  IPCACHE_STATIC_PREFIX_BITS,
  LB4_BACKEND,
  LB4_KEY,
  LB4_SERVICE,
  LB6_BACKEND,
  LB6_KEY,
  type Memory,
  NULL,
  openMap,
  pinned,
  SERVICE_FLAG,
  secIdentity,
  tunnelEndpoint,
} from '@ciliate/maps';
import { WordTable } from './word_table.ts';

/** Who has an address. */
export const OUTSIDE = 0;
export const LOCAL_POD = 1;
export const NODE = 2;

const FAMILY_IPV4 = 1;
const KIND_BITS = 2;

/** A frontend of a service and what stands behind it. Address: four words, an IPv4 address is the first; host order. */
export interface ServicePlace {
  address: number[];
  port: number;
  /** 0: any. */
  protocol: number;
  isIpv6: boolean;
  /** Of slot 0: LB4_SERVICE.flags. */
  flags: number;
  backends: { address: number[]; port: number; protocol: number }[];
}

/** What `groupOf` says of a group. */
export interface Group {
  /** A client's connections are not independent: the choice of one is kept for the next. */
  sticky: boolean;
  /** Some backend is on another node: traffic from outside may leave under the node's address. */
  remote: boolean;
}

/**
 * Where packets come from and go to, read from the maps that the programs read. All frontends and backends that share a
 * backend are one group: a packet to any of them may belong to a connection with any other.
 */
export class Places {
  readonly services: readonly ServicePlace[];
  readonly groups: readonly Group[];
  readonly #kinds = new WordTable();
  /** Of what is behind a tunnel. */
  readonly #identities = new WordTable();
  readonly #groupOf = new WordTable();

  constructor(memory: Memory) {
    readEndpoints(memory, this.#kinds);
    readTunnelled(memory, this.#identities);
    this.services = [...readServices(memory, false), ...readServices(memory, true)];
    this.groups = this.#makeGroups();
  }

  /** @returns OUTSIDE, LOCAL_POD or NODE. Allocates nothing. */
  kindOf(a: number, b: number, c: number, d: number): number {
    return this.#kinds.get(a, b, c, d, 0) & ((1 << KIND_BITS) - 1);
  }

  /** Id of the pod with this address on this node; 0: none. */
  endpointOf(a: number, b: number, c: number, d: number): number {
    const found = this.#kinds.get(a, b, c, d, 0);
    return (found & ((1 << KIND_BITS) - 1)) === LOCAL_POD ? found >> KIND_BITS : 0;
  }

  /** Identity of who has this address on another node, behind a tunnel; 0: nobody. */
  identityElsewhere(a: number, b: number, c: number, d: number): number {
    return this.#identities.get(a, b, c, d, 0);
  }

  /** Index in `groups` of the service that is reached, or served, at this place; -1: none. Allocates nothing. */
  groupOf(a: number, b: number, c: number, d: number, port: number, protocol: number): number {
    const exact = this.#groupOf.get(a, b, c, d, (port << 8) | protocol, -1);
    return exact !== -1 ? exact : this.#groupOf.get(a, b, c, d, port << 8, -1);
  }

  #makeGroups(): Group[] {
    const places = new Map<string, { words: number[]; parent: string }>();
    const rootOf = (key: string): string => {
      let at = key;
      while (places.get(at)!.parent !== at) at = places.get(at)!.parent;
      return at;
    };
    const add = (address: readonly number[], port: number, protocol: number): string => {
      const words = [...address, (port << 8) | protocol];
      const key = words.join(' ');
      if (!places.has(key)) places.set(key, { words, parent: key });
      return rootOf(key);
    };
    for (const { address, port, protocol, backends } of this.services) {
      const root = add(address, port, protocol);
      for (const backend of backends) {
        const other = add(backend.address, backend.port, backend.protocol || protocol);
        places.get(other)!.parent = root;
      }
    }
    const numbers = new Map<string, number>();
    const groups: Group[] = [];
    for (const [key, { words }] of places) {
      const root = rootOf(key);
      if (!numbers.has(root)) numbers.set(root, groups.push({ sticky: false, remote: false }) - 1);
      const [a, b, c, d, place] = words as [number, number, number, number, number];
      this.#groupOf.set(a, b, c, d, place, numbers.get(root)!);
    }
    for (const { address, port, protocol, flags, backends } of this.services) {
      const [a, b, c, d] = address as [number, number, number, number];
      const group = groups[this.groupOf(a, b, c, d, port, protocol)]!;
      group.sticky ||= (flags & SERVICE_FLAG.sessionAffinity) !== 0;
      group.remote ||= backends.some((backend) => {
        const [e, f, g, h] = backend.address as [number, number, number, number];
        return this.kindOf(e, f, g, h) !== LOCAL_POD;
      });
    }
    return groups;
  }
}

/** The four words of an address in a map, i32. */
function wordsAt(m: Memory, at: Address, isIpv6: boolean): number[] {
  return [0, 4, 8, 12].map((offset) => (isIpv6 || offset === 0 ? m.view.getInt32(at + offset) : 0));
}

function readEndpoints(memory: Memory, kinds: WordTable): void {
  for (const { key, value } of open(memory, 'cilium_lxc')?.entries() ?? []) {
    const isIpv6 = memory.u8[key + ENDPOINT_KEY.family] !== FAMILY_IPV4;
    const [a, b, c, d] = wordsAt(memory, key, isIpv6) as [number, number, number, number];
    const isNode = (endpointFlags(memory, value) & ENDPOINT_F_HOST) !== 0;
    kinds.set(a, b, c, d, 0, isNode ? NODE : LOCAL_POD | (endpointLxcId(memory, value) << KIND_BITS));
  }
}

function readTunnelled(memory: Memory, identities: WordTable): void {
  for (const { key, value } of open(memory, IPCACHE_MAP_NAME)?.entries() ?? []) {
    const isIpv6 = memory.u8[key + IPCACHE_KEY.family] !== FAMILY_IPV4;
    const bits = memory.u32[(key + IPCACHE_KEY.prefixlen) >> 2]! - IPCACHE_STATIC_PREFIX_BITS;
    if (bits !== (isIpv6 ? 128 : 32) || !tunnelEndpoint(memory, value)) continue;
    const [a, b, c, d] = wordsAt(memory, key + IPCACHE_KEY.ip4, isIpv6) as [number, number, number, number];
    identities.set(a, b, c, d, 0, secIdentity(memory, value));
  }
}

function readServices(m: Memory, isIpv6: boolean): ServicePlace[] {
  const n = isIpv6 ? 6 : 4;
  const key = isIpv6 ? LB6_KEY : LB4_KEY;
  const entries = [...(open(m, `cilium_lb${n}_services_v2`)?.entries() ?? [])];
  const backends = new Map<number, ServicePlace['backends'][number]>();
  const layout = isIpv6 ? LB6_BACKEND : LB4_BACKEND;
  for (const { key: id, value } of open(m, `cilium_lb${n}_backends_v3`)?.entries() ?? []) {
    const port = m.view.getUint16(value + layout.port);
    backends.set(m.u32[id >> 2]!, { address: wordsAt(m, value, isIpv6), port, protocol: m.u8[value + layout.proto]! });
  }
  const found = new Map<string, ServicePlace>();
  const isWildcard = (address: readonly number[]): boolean => address.every((word) => word === 0);
  for (const { key: at, value } of entries) {
    const address = wordsAt(m, at, isIpv6);
    if (isWildcard(address)) continue; // stands for the node's own addresses, which have entries too
    const port = m.view.getUint16(at + key.dport);
    const protocol = m.u8[at + key.proto]!;
    const name = [...address, port, protocol].join(' ');
    const service = found.get(name) ?? { address, port, protocol, isIpv6, flags: 0, backends: [] };
    found.set(name, service);
    if (m.u16[(at + key.backend_slot) >> 1] === 0) service.flags |= m.u8[value + LB4_SERVICE.flags]!;
    else {
      const backend = backends.get(m.u32[(value + LB4_SERVICE.backend_id) >> 2]!);
      if (backend !== undefined) service.backends.push(backend);
    }
  }
  // The maps have no order of their own.
  const rank = ({ address, port, protocol }: Omit<ServicePlace, 'isIpv6' | 'flags' | 'backends'>): string =>
    [...address.map((word) => word >>> 0), port, protocol].map((part) => `${part}`.padStart(10, '0')).join();
  const byRank = (x: Parameters<typeof rank>[0], y: Parameters<typeof rank>[0]): number => (rank(x) < rank(y) ? -1 : 1);
  for (const service of found.values()) service.backends.sort(byRank);
  return [...found.values()].sort(byRank);
}

function open(memory: Memory, name: string): BpfMap | undefined {
  const address = pinned(memory, name);
  return address === NULL ? undefined : openMap(memory, address);
}
