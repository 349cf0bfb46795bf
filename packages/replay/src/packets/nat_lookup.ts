import {
  type Address,
  IPV4_CT_TUPLE,
  IPV6_CT_TUPLE,
  type LruHashMap,
  type Memory,
  NULL,
  openMap,
  pinned,
} from '@ciliate/maps';
import { IPPROTO_ICMP, IPPROTO_ICMPV6 } from '@ciliate/packet';
import { shardMapName } from './flush.ts';
import type { Steering } from './steering.ts';

const TUPLE_F_IN = 1;
/** Answers are remembered, so that only the first packet of a connection waits for all shards. */
const MAX_KNOWN = 65_536;
const KEY_BYTES = 40;

/**
 * In which shard a port of the node is taken by NAT: asked of the NAT maps of all shards. They belong to their workers, so
 * it may be asked only while none of them has work.
 */
export class NatLookup {
  readonly #memory: Memory;
  readonly #maps: { v4: LruHashMap; v6: LruHashMap }[];
  readonly #key: Address;
  readonly #known = new Map<string, number>();

  constructor(memory: Memory, shards: number) {
    this.#memory = memory;
    const map = (name: string, shard: number): LruHashMap =>
      openMap(memory, pinned(memory, shardMapName(name, shard))) as LruHashMap;
    this.#maps = Array.from({ length: shards }, (_, shard) => ({
      v4: map('cilium_snat_v4_external', shard),
      v6: map('cilium_snat_v6_external', shard),
    }));
    this.#key = memory.alloc(KEY_BYTES);
  }

  destroy(): void {
    this.#memory.free(this.#key, KEY_BYTES);
  }

  known(asked: Steering): number | undefined {
    return this.#known.get(nameOf(asked));
  }

  learn(asked: Steering, shard: number): void {
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    this.#known.set(nameOf(asked), shard);
  }

  /** @returns undefined if NAT has not taken the port */
  find(asked: Steering): number | undefined {
    const { node, natPort, remote, remotePort, protocol, isIpv6 } = asked;
    const m = this.#memory;
    const layout = isIpv6 ? IPV6_CT_TUPLE : IPV4_CT_TUPLE;
    const key = this.#key;
    m.u8.fill(0, key, key + KEY_BYTES);
    for (let i = 0; i < (isIpv6 ? 4 : 1); i++) {
      m.view.setInt32(key + layout.daddr + 4 * i, node[i]!);
      m.view.setInt32(key + layout.saddr + 4 * i, remote[i]!);
    }
    m.view.setUint16(key + layout.dport, natPort);
    m.view.setUint16(key + layout.sport, isIcmp(protocol) ? 0 : remotePort);
    m.u8[key + layout.nexthdr] = protocol;
    m.u8[key + layout.flags] = TUPLE_F_IN;
    const found = this.#maps.findIndex(({ v4, v6 }) => (isIpv6 ? v6 : v4).lookup(key) !== NULL);
    return found < 0 ? undefined : found;
  }
}

const isIcmp = (protocol: number): boolean => protocol === IPPROTO_ICMP || protocol === IPPROTO_ICMPV6;

const nameOf = ({ node, natPort, remote, remotePort, protocol }: Steering): string =>
  `${node.join()} ${natPort} ${remote.join()} ${remotePort} ${protocol}`;
