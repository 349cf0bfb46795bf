import type { EndpointProgram, World } from '@ciliate/bpf';
import { Known } from '../packages/bpf/src/lib/known.ts';
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
    const { datapath: dp } = world;
    this.#world = world;
    this.#program = dp.program(packet.endpoint!)!;
    this.#known = new Known(dp, { ...dp.config, policyAccounting: false });
    this.#known.setProgram(this.#program);
  }

  /** @returns 0: allowed; 1: not a known connection; else the negated drop code */
  once(): number {
    const { datapath: dp, skb } = this.#world;
    return Math.abs(this.#known.lookUp(dp, this.#program, skb));
  }

  /** The loop and the call. */
  nothing(): number {
    return this.#program.id === 0 ? 1 : 0;
  }
}
