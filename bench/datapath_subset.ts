import type { World } from '@ciliate/bpf';
import { type Address, addCtPacket, type Memory, NULL, secIdentity, setCtLifetime } from '@ciliate/maps';
import { ntohs } from '../packages/bpf/src/lib/common.ts';
import { lookupRemoteEndpoint } from '../packages/bpf/src/lib/endpoints.ts';
import type { Family } from '../packages/bpf/src/lib/family.ts';
import { loadPorts } from '../packages/bpf/src/lib/fragments.ts';
import { readHeaders } from '../packages/bpf/src/lib/headers.ts';
import { METRIC_EGRESS, REASON_FORWARDED } from '../packages/bpf/src/lib/metrics.ts';
import { policyCanAccess } from '../packages/bpf/src/lib/policy.ts';
import {
  loadTupleAddresses,
  reverseTuple,
  setTupleFlags,
  TUPLE_F_IN,
  TUPLE_F_OUT,
  tupleDport,
  tupleNexthdr,
} from '../packages/bpf/src/lib/tuple.ts';
import type { TimedPacket } from './datapath_world.ts';

const LIFETIME_TCP = 8000;

/** The steps of bench/kernel/datapath.bpf.c with the functions of our programs, on the same entries. */
export class Subset {
  readonly #world: World;
  readonly #fam: Family;
  readonly #endpoint: number;

  /** @param packet IPv4, from a pod; the world's skb holds it */
  constructor(world: World, packet: TimedPacket) {
    this.#world = world;
    this.#fam = world.datapath.v4;
    this.#endpoint = packet.endpoint!;
  }

  /** @returns 0: allowed; 1: not a known connection; else the negated drop code */
  once(): number {
    const { datapath: dp, skb, memory: m } = this.#world;
    const fam = this.#fam;
    const { tuple } = fam;
    readHeaders(fam, skb, dp.headers);
    loadTupleAddresses(m, fam, tuple, skb, dp.headers.nexthdr);
    if (loadPorts(dp, fam, skb, METRIC_EGRESS, tuple) !== 0) return 1;
    setTupleFlags(m, fam, tuple, TUPLE_F_IN);
    if (this.#known(m, tuple) === NULL) {
      reverseTuple(m, fam, tuple);
      setTupleFlags(m, fam, tuple, TUPLE_F_OUT);
      if (this.#known(m, tuple) === NULL) return 1;
    }
    const info = lookupRemoteEndpoint(dp, fam, fam.daddr(skb));
    const identity = info === NULL ? fam.world : secIdentity(m, info);
    const { policy } = dp.program(this.#endpoint)!;
    const protocol = tupleNexthdr(m, fam, tuple);
    const port = ntohs(tupleDport(m, fam, tuple));
    const key = dp.stack.policyKey;
    const verdict = policyCanAccess(m, policy, key, identity, 1, protocol, port, false, dp.policy);
    dp.metrics.update(skb.len, METRIC_EGRESS, REASON_FORWARDED);
    return -verdict;
  }

  /** The loop and the call. */
  nothing(): number {
    return this.#endpoint === 0 ? 1 : 0;
  }

  #known(m: Memory, tuple: Address): Address {
    const entry = this.#fam.ctTcp.lookup(tuple);
    if (entry !== NULL) {
      setCtLifetime(m, entry, m.nowSeconds + LIFETIME_TCP);
      addCtPacket(m, entry, this.#world.skb.len);
    }
    return entry;
  }
}
