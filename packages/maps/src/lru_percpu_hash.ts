import { HashTable } from './hash_table.ts';
import { BPF_MAP_TYPE_LRU_PERCPU_HASH, type MapSpec } from './map.ts';
import { type Address, type Memory, NULL } from './memory.ts';
import { PerCpuHashMap } from './percpu_hash.ts';

/** BPF_MAP_TYPE_LRU_PERCPU_HASH: a `PerCpuHashMap` that gives up entries when full, as `LruHashMap` does. */
export class LruPerCpuHashMap extends PerCpuHashMap {
  static override create(memory: Memory, spec: MapSpec, cpu = 0): LruPerCpuHashMap {
    const shape = { nodeValue: 8, perCpu: spec.valueSize, isLru: true };
    return LruPerCpuHashMap.attach(
      memory,
      HashTable.createTable(memory, BPF_MAP_TYPE_LRU_PERCPU_HASH, spec, shape),
      cpu,
    );
  }

  static override attach(memory: Memory, address: Address, cpu = 0): LruPerCpuHashMap {
    return new LruPerCpuHashMap(memory, address, BPF_MAP_TYPE_LRU_PERCPU_HASH, true, cpu);
  }

  override lookup(key: Address): Address {
    const node = this.find(key);
    if (node === NULL) return NULL;
    this.lru!.touch(node);
    return this.valueOf(node);
  }

  /** As `lookup`, without marking the entry as used. */
  peek(key: Address): Address {
    return super.lookup(key);
  }
}
