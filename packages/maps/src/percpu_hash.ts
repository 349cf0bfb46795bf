import { copyInPlace, round8 } from './bytes.ts';
import { EEXIST, EINVAL, ENOENT } from './errors.ts';
import { HashTable } from './hash_table.ts';
import { BPF_EXIST, BPF_MAP_TYPE_PERCPU_HASH, BPF_NOEXIST, MAP_HEADER, type MapSpec } from './map.ts';
import { type Address, type Memory, NULL } from './memory.ts';
import { checkCpu } from './percpu.ts';

/**
 * BPF_MAP_TYPE_PERCPU_HASH: each key has one value for each worker (`spec.cpus`), which only that worker writes. The
 * node holds the address of worker 0's value; worker n's lies n × `cpuStride` behind it. An update goes in place, as in the
 * kernel: whoever reads another worker's value may see a part of it old, word by word.
 */
export class PerCpuHashMap extends HashTable {
  /** The worker whose values `lookup` and `update` are about. */
  readonly cpu: number;
  private readonly cpuStride: number;
  /** From worker 0's value to this worker's. */
  readonly cpuOffset: number;

  protected constructor(memory: Memory, address: Address, type: number, isLru: boolean, cpu: number) {
    super(memory, address, type, isLru);
    checkCpu(this.spec, cpu);
    this.cpu = cpu;
    this.cpuStride = memory.u32[(address + MAP_HEADER.cpuStride) >> 2]!;
    this.cpuOffset = cpu * this.cpuStride;
  }

  /** @throws MapError EINVAL if a size is 0 or `spec.cpus` is not 1..64; ENOMEM */
  static create(memory: Memory, spec: MapSpec, cpu = 0): PerCpuHashMap {
    const shape = { nodeValue: 8, perCpu: spec.valueSize, isLru: false };
    return PerCpuHashMap.attach(memory, HashTable.createTable(memory, BPF_MAP_TYPE_PERCPU_HASH, spec, shape), cpu);
  }

  /** @throws MapError EINVAL */
  static attach(memory: Memory, address: Address, cpu = 0): PerCpuHashMap {
    return new PerCpuHashMap(memory, address, BPF_MAP_TYPE_PERCPU_HASH, false, cpu);
  }

  /** This worker's value. */
  lookup(key: Address): Address {
    const node = this.find(key);
    return node === NULL ? NULL : this.valueOf(node);
  }

  /** Another worker's value, as bpf_map_lookup_percpu_elem. */
  lookupCpu(key: Address, cpu: number): Address {
    const at = cpu >= 0 && cpu < this.spec.cpus! ? this.lookup(key) : NULL;
    return at === NULL ? NULL : at - this.cpuOffset + cpu * this.cpuStride;
  }

  /** Copies all workers' values, each padded to 8, to `to`, as bpf(2) answers a lookup. @returns 0 or -ENOENT */
  copyAll(key: Address, to: Address): number {
    const node = this.find(key);
    if (node === NULL) return -ENOENT;
    const step = round8(this.spec.valueSize);
    for (let cpu = 0; cpu < this.spec.cpus!; cpu++) {
      copyInPlace(this.memory, to + cpu * step, this.firstOf(node) + cpu * this.cpuStride, step);
    }
    return 0;
  }

  /** Sets this worker's value, as a program does; those of a new key's other workers are 0. Codes as `HashMap.update`. */
  update(key: Address, value: Address, flags = 0): number {
    return this.put(key, value, flags, false);
  }

  /** Sets all workers' values, each padded to 8 at `values`, as bpf(2) does. */
  updateAll(key: Address, values: Address, flags = 0): number {
    return this.put(key, values, flags, true);
  }

  protected valueOf(node: Address): Address {
    return this.firstOf(node) + this.cpuOffset;
  }

  private put(key: Address, value: Address, flags: number, isAll: boolean): number {
    if (flags < 0 || flags > BPF_EXIST) return -EINVAL;
    this.slab.lock();
    const result = this.putLocked(key, value, flags, isAll);
    this.slab.unlock();
    return result;
  }

  private putLocked(key: Address, value: Address, flags: number, isAll: boolean): number {
    const reserved = this.reserve();
    if (reserved !== 0) return reserved;
    const old = this.find(key);
    if (old !== NULL) {
      if (flags === BPF_NOEXIST) return -EEXIST;
      this.write(old, value, isAll);
      this.lru?.touch(old);
      return 0;
    }
    if (flags === BPF_EXIST) return -ENOENT;
    const room = this.makeRoom();
    if (room !== 0) return room;
    const node = this.newNode(key);
    this.words[(node + this.valueOffset) >> 2] = this.slab.perCpuOf(node, round8(this.spec.valueSize));
    for (let cpu = 0; cpu < this.spec.cpus!; cpu++) {
      const at = this.firstOf(node) + cpu * this.cpuStride;
      this.memory.u8.fill(0, at, at + round8(this.spec.valueSize));
    }
    this.write(node, value, isAll);
    this.publish(this.linkTo(key), node, NULL);
    return 0;
  }

  private write(node: Address, value: Address, isAll: boolean): void {
    const { valueSize, cpus } = this.spec;
    if (!isAll) {
      copyInPlace(this.memory, this.valueOf(node), value, valueSize);
      return;
    }
    const step = round8(valueSize);
    for (let cpu = 0; cpu < cpus!; cpu++) {
      copyInPlace(this.memory, this.firstOf(node) + cpu * this.cpuStride, value + cpu * step, step);
    }
  }

  /** Address of worker 0's value. */
  private firstOf(node: Address): Address {
    return this.words[(node + this.valueOffset) >> 2]!;
  }
}
