import { HashMap } from './hash.ts';
import { HashTable } from './hash_table.ts';
import { BPF_MAP_TYPE_LRU_HASH, type MapSpec } from './map.ts';
import { type Address, type Memory, NULL } from './memory.ts';

/**
 * BPF_MAP_TYPE_LRU_HASH: a hash that, when full, gives up an entry not used for long (`LruList`) instead of answering
 * -E2BIG. `lookup` is the program's and marks the entry as used; `peek` is bpf(2)'s and does not, nor do walks and dumps.
 */
export class LruHashMap extends HashMap {
  static override create(memory: Memory, spec: MapSpec): LruHashMap {
    const shape = { nodeValue: spec.valueSize, perCpu: 0, isLru: true };
    return LruHashMap.attach(memory, HashTable.createTable(memory, BPF_MAP_TYPE_LRU_HASH, spec, shape));
  }

  static override attach(memory: Memory, address: Address): LruHashMap {
    return new LruHashMap(memory, address, BPF_MAP_TYPE_LRU_HASH, true);
  }

  override lookup(key: Address): Address {
    const node = this.find(key);
    if (node === NULL) return NULL;
    this.lru!.touch(node);
    return node + this.valueOffset;
  }

  /** As `lookup`, without a trace. */
  peek(key: Address): Address {
    return super.lookup(key);
  }
}
