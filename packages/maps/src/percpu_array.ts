import { copyInPlace, round8 } from './bytes.ts';
import { E2BIG, EEXIST, EINVAL, ENOENT } from './errors.ts';
import { IndexMap } from './index_map.ts';
import {
  BPF_EXIST,
  BPF_MAP_TYPE_PERCPU_ARRAY,
  BPF_NOEXIST,
  checkSpec,
  createHeader,
  MAP_HEADER,
  type MapEntry,
  type MapSpec,
} from './map.ts';
import { type Address, type Memory, NULL } from './memory.ts';
import { checkCpu } from './percpu.ts';

/** Workers' areas begin on a line of their own (and the neighbour that is fetched with it). */
const CACHE_LINES = 128;

/**
 * BPF_MAP_TYPE_PERCPU_ARRAY: one array for each worker (`spec.cpus`), written only by it. Worker n's lies n × `cpuStride`
 * behind worker 0's. Updates go in place, word by word, as in the kernel.
 */
export class PerCpuArrayMap extends IndexMap {
  /** The worker whose values `lookup` and `update` are about. */
  readonly cpu: number;
  private readonly cpuStride: number;
  private readonly cpuOffset: number;

  private constructor(memory: Memory, address: Address, cpu: number) {
    super(memory, address, BPF_MAP_TYPE_PERCPU_ARRAY);
    checkCpu(this.spec, cpu);
    this.cpu = cpu;
    this.cpuStride = memory.u32[(address + MAP_HEADER.cpuStride) >> 2]!;
    this.cpuOffset = cpu * this.cpuStride;
  }

  /** @throws MapError EINVAL if the key is not 4 bytes, a size is 0 or `spec.cpus` is not 1..64; ENOMEM */
  static create(memory: Memory, spec: MapSpec, cpu = 0): PerCpuArrayMap {
    checkSpec(spec, spec.keySize === 4);
    const stride = round8(spec.valueSize);
    const cpuStride = Math.ceil((stride * spec.maxEntries) / CACHE_LINES) * CACHE_LINES;
    const shape = { dataBytes: cpuStride * (spec.cpus ?? 1), stride, valueOffset: 0, cpuStride };
    return PerCpuArrayMap.attach(memory, createHeader(memory, BPF_MAP_TYPE_PERCPU_ARRAY, spec, shape), cpu);
  }

  /** @throws MapError EINVAL */
  static attach(memory: Memory, address: Address, cpu = 0): PerCpuArrayMap {
    return new PerCpuArrayMap(memory, address, cpu);
  }

  get count(): number {
    return this.maxEntries;
  }

  /** This worker's value. */
  lookup(key: Address): Address {
    const slot = this.slot(key);
    return slot === NULL ? NULL : slot + this.cpuOffset;
  }

  /** Another worker's value, as bpf_map_lookup_percpu_elem. */
  lookupCpu(key: Address, cpu: number): Address {
    const slot = cpu >= 0 && cpu < this.spec.cpus! ? this.slot(key) : NULL;
    return slot === NULL ? NULL : slot + cpu * this.cpuStride;
  }

  /** Copies all workers' values, each padded to 8, to `to`, as bpf(2) answers a lookup. @returns 0 or -ENOENT */
  copyAll(key: Address, to: Address): number {
    const slot = this.slot(key);
    if (slot === NULL) return -ENOENT;
    for (let cpu = 0; cpu < this.spec.cpus!; cpu++) {
      copyInPlace(this.memory, to + cpu * this.stride, slot + cpu * this.cpuStride, this.stride);
    }
    return 0;
  }

  /** Sets this worker's value, as a program does. */
  update(key: Address, value: Address, flags = 0): number {
    const slot = this.target(key, flags);
    if (slot > 0) copyInPlace(this.memory, slot + this.cpuOffset, value, this.spec.valueSize);
    return Math.min(slot, 0);
  }

  /** Sets all workers' values, each padded to 8 at `values`, as bpf(2) does. */
  updateAll(key: Address, values: Address, flags = 0): number {
    const slot = this.target(key, flags);
    if (slot < 0) return slot;
    for (let cpu = 0; cpu < this.spec.cpus!; cpu++) {
      copyInPlace(this.memory, slot + cpu * this.cpuStride, values + cpu * this.stride, this.stride);
    }
    return 0;
  }

  /** Elements of an array cannot be deleted. */
  delete(_key: Address): number {
    return -EINVAL;
  }

  /** See `IndexMap.slots`. */
  entries(): Generator<MapEntry> {
    return this.slots(
      () => true,
      (slot) => slot + this.cpuOffset,
    );
  }

  /** The slot to write, or a negative errno. */
  private target(key: Address, flags: number): number {
    if (flags < 0 || flags > BPF_EXIST) return -EINVAL;
    const slot = this.slot(key);
    if (slot === NULL) return -E2BIG;
    return flags === BPF_NOEXIST ? -EEXIST : slot;
  }
}
