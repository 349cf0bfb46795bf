import {
  type Address,
  METRICS_KEY,
  METRICS_VALUE,
  type Memory,
  NULL,
  type PerCpuHashMap,
  type Scratch,
} from '@ciliate/maps';

/** Directions of metrics. Source: bpf/lib/common.h. */
export const METRIC_INGRESS = 1;
export const METRIC_EGRESS = 2;
export const METRIC_SERVICE = 3;

/** What is counted besides drops, whose reason is the drop code. */
export const REASON_FORWARDED = 0;
export const REASON_PLAINTEXT = 3;
export const REASON_FRAG_PACKET = 9;
export const REASON_FRAG_PACKET_UPDATE = 10;

const REASONS = 256;
/** What `Metrics` takes of a scratch for `slots`. */
export const METRIC_SLOTS_BYTES = REASONS * 4 * 4;

/**
 * Counts packets and bytes by reason and direction in cilium_metrics. Cilium's key also names the place in its sources;
 * here that is 0. An entry never moves, so its address is looked up only once. Source: bpf/lib/metrics.h.
 */
export class Metrics {
  readonly #memory: Memory;
  readonly #map: PerCpuHashMap;
  /** Addresses of the entries by `reason << 2 | direction`, NULL until first needed; u32 each. */
  readonly slots: Address;
  readonly #key: Address;
  readonly #zero: Address;

  constructor(memory: Memory, scratch: Scratch, map: PerCpuHashMap) {
    this.#memory = memory;
    this.#map = map;
    this.#key = scratch.take(METRICS_KEY.size);
    this.#zero = scratch.take(METRICS_VALUE.size);
    this.slots = scratch.take(METRIC_SLOTS_BYTES);
  }

  /** @param reason REASON_* or a positive drop code */
  update(bytes: number, direction: number, reason: number): void {
    const words = this.#memory.u32;
    const slot = (this.slots >> 2) + ((reason << 2) | direction);
    let entry = words[slot]!;
    if (entry === NULL) {
      entry = this.#find(reason, direction);
      if (entry === NULL) return; // the map is full: as in Cilium, nothing is counted
      words[slot] = entry;
    }
    add64(this.#memory, entry + METRICS_VALUE.count, 1);
    add64(this.#memory, entry + METRICS_VALUE.bytes, bytes);
  }

  #find(reason: number, direction: number): Address {
    const { u8 } = this.#memory;
    u8[this.#key + METRICS_KEY.reason] = reason;
    u8[this.#key + METRICS_KEY.dir] = direction;
    const entry = this.#map.lookup(this.#key);
    if (entry !== NULL) return entry;
    this.#map.update(this.#key, this.#zero);
    return this.#map.lookup(this.#key);
  }
}

/** Adds to a u64. @param by below 2^31, so that all stays in 32 bits: V8 would calculate with doubles beyond */
export function add64(m: Memory, at: Address, by: number): void {
  const words = m.i32;
  const low = (words[at >> 2]! + by) | 0;
  words[at >> 2] = low;
  if (low >= 0 && low < by) words[(at >> 2) + 1]! += 1;
}
