import type { EndpointProgram, World } from '@ciliate/bpf';
import { Known } from '../packages/bpf/src/lib/known.ts';
import { METRIC_EGRESS, REASON_FORWARDED } from '../packages/bpf/src/lib/metrics.ts';
import type { TimedPacket } from './datapath_world.ts';

/**
 * The steps of bench/kernel/datapath.bpf.c with the code of our programs, on the same entries: what they call for each
 * packet, told to leave out services, the check of the source and policy's counters, as the eBPF program does.
 */
export class Subset {
  readonly #world: World;
  readonly #known: Known;
  readonly #program: EndpointProgram;

  /** @param packet IPv4, from a pod; the world's skb holds it */
  constructor(world: World, packet: TimedPacket) {
    const { memory, datapath: dp } = world;
    const config = { ...dp.config, policyAccounting: false };
    const block = memory.alloc(Known.blockBytes);
    this.#world = world;
    this.#known = new Known(memory, config, dp.v4, dp.ipcache.root, dp.policyStats, block);
    this.#program = dp.program(packet.endpoint!)!;
  }

  /** @returns 0: allowed; 1: not a known connection; else the negated drop code */
  once(): number {
    const { datapath: dp, skb, memory: m } = this.#world;
    const answer = this.#known.routed(skb, this.#program, m.nowSeconds, false, true);
    if (answer < 0 || (answer & 3) === 0) return 1;
    const verdict = this.#known.verdict;
    dp.metrics.update(skb.len, METRIC_EGRESS, REASON_FORWARDED);
    return -verdict;
  }

  /** The loop and the call. */
  nothing(): number {
    return this.#program.id === 0 ? 1 : 0;
  }
}
