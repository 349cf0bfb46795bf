import { loadU32 } from './bytes.ts';
import { E2BIG, EINVAL, ENOENT, ENOSPC } from './errors.ts';
import { EventRing } from './event_ring.ts';
import { IndexMap } from './index_map.ts';
import { BPF_MAP_TYPE_PERF_EVENT_ARRAY, checkSpec, createHeader, type MapEntry, type MapSpec } from './map.ts';
import { type Address, type Memory, NULL } from './memory.ts';

/**
 * BPF_MAP_TYPE_PERF_EVENT_ARRAY: one slot for each worker; it holds the address of that worker's `EventRing`, 0 = none.
 * The rings belong to who made them: neither delete nor destroy frees them.
 */
export class PerfEventArray extends IndexMap {
  private readonly rings: (EventRing | undefined)[] = [];

  /** Key and value are 4 bytes. @throws MapError EINVAL, ENOMEM */
  static create(memory: Memory, spec: MapSpec): PerfEventArray {
    checkSpec(spec, spec.keySize === 4 && spec.valueSize === 4);
    const shape = { dataBytes: 4 * spec.maxEntries, stride: 4, valueOffset: 0 };
    return PerfEventArray.attach(memory, createHeader(memory, BPF_MAP_TYPE_PERF_EVENT_ARRAY, spec, shape));
  }

  /** @throws MapError EINVAL */
  static attach(memory: Memory, address: Address): PerfEventArray {
    return new PerfEventArray(memory, address, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
  }

  /** Slots that hold a ring. */
  get count(): number {
    return [...this.entries()].length;
  }

  /** Programs may not look into it, and bpf(2) neither: always NULL. */
  lookup(_key: Address): Address {
    return NULL;
  }

  /** The ring of worker `index`, or undefined. */
  ring(index: number): EventRing | undefined {
    const at = index >>> 0 < this.maxEntries ? this.words[(this.data >> 2) + index]! : NULL;
    if (at === NULL) return undefined;
    if (this.rings[index]?.address !== at) this.rings[index] = EventRing.attach(this.memory, at);
    return this.rings[index];
  }

  /**
   * bpf_perf_event_output: one record of two pieces for worker `index`'s ring, from that worker only.
   * @returns 0; -E2BIG for an index too large; -ENOENT without a ring; -ENOSPC if the ring is full (and counts it)
   */
  output(index: number, at1: Address, len1: number, at2: Address, len2: number): number {
    if (index >>> 0 >= this.maxEntries) return -E2BIG;
    const ring = this.ring(index);
    if (ring === undefined) return -ENOENT;
    return ring.outputParts(at1, len1, at2, len2) ? 0 : -ENOSPC;
  }

  /** @param value address of a u32, the ring's address. @returns 0; -EINVAL for any flag or no ring; -E2BIG */
  update(key: Address, value: Address, flags = 0): number {
    if (flags !== 0) return -EINVAL;
    const slot = this.slot(key);
    if (slot === NULL) return -E2BIG;
    const ring = loadU32(this.memory, value);
    if (!EventRing.isRing(this.memory, ring)) return -EINVAL;
    Atomics.store(this.words, slot >> 2, ring);
    return 0;
  }

  /** @returns 0; -ENOENT if the slot is empty; -E2BIG for an index too large */
  delete(key: Address): number {
    const slot = this.slot(key);
    if (slot === NULL) return -E2BIG;
    return Atomics.exchange(this.words, slot >> 2, NULL) === NULL ? -ENOENT : 0;
  }

  /** See `IndexMap.slots`; the value is the ring's address. */
  entries(): Generator<MapEntry> {
    return this.slots(
      (slot) => this.words[slot >> 2] !== NULL,
      (slot) => this.words[slot >> 2]!,
    );
  }
}
