import { ArrayMap } from './array.ts';
import { ArrayOfMaps } from './array_of_maps.ts';
import { MapError } from './errors.ts';
import { HashMap } from './hash.ts';
import { HashOfMaps } from './hash_of_maps.ts';
import { LpmTrie } from './lpm_trie.ts';
import { LruHashMap } from './lru_hash.ts';
import { LruPerCpuHashMap } from './lru_percpu_hash.ts';
import {
  BPF_MAP_TYPE_ARRAY,
  BPF_MAP_TYPE_ARRAY_OF_MAPS,
  BPF_MAP_TYPE_HASH,
  BPF_MAP_TYPE_HASH_OF_MAPS,
  BPF_MAP_TYPE_LPM_TRIE,
  BPF_MAP_TYPE_LRU_HASH,
  BPF_MAP_TYPE_LRU_PERCPU_HASH,
  BPF_MAP_TYPE_PERCPU_ARRAY,
  BPF_MAP_TYPE_PERCPU_HASH,
  BPF_MAP_TYPE_PERF_EVENT_ARRAY,
  BPF_MAP_TYPE_PROG_ARRAY,
  BPF_MAP_TYPE_RINGBUF,
  type BpfMap,
  readHeader,
} from './map.ts';
import type { Address, Memory } from './memory.ts';
import { PerCpuArrayMap } from './percpu_array.ts';
import { PerCpuHashMap } from './percpu_hash.ts';
import { PerfEventArray } from './perf_event_array.ts';
import { ProgArrayMap } from './prog_array.ts';
import { RingBufMap } from './ringbuf.ts';

/**
 * Attaches to the map at `address`, of whatever type its header says.
 * @param cpu the worker whose values are meant, if it is a per-CPU map
 * @throws MapError EINVAL
 */
export function openMap(memory: Memory, address: Address, cpu = 0): BpfMap {
  const { type } = readHeader(memory, address);
  switch (type) {
    case BPF_MAP_TYPE_ARRAY:
      return ArrayMap.attach(memory, address);
    case BPF_MAP_TYPE_PERCPU_ARRAY:
      return PerCpuArrayMap.attach(memory, address, cpu);
    case BPF_MAP_TYPE_HASH:
      return HashMap.attach(memory, address);
    case BPF_MAP_TYPE_LRU_HASH:
      return LruHashMap.attach(memory, address);
    case BPF_MAP_TYPE_PERCPU_HASH:
      return PerCpuHashMap.attach(memory, address, cpu);
    case BPF_MAP_TYPE_LRU_PERCPU_HASH:
      return LruPerCpuHashMap.attach(memory, address, cpu);
    case BPF_MAP_TYPE_LPM_TRIE:
      return LpmTrie.attach(memory, address);
    case BPF_MAP_TYPE_PROG_ARRAY:
      return ProgArrayMap.attach(memory, address);
    case BPF_MAP_TYPE_ARRAY_OF_MAPS:
      return ArrayOfMaps.attach(memory, address);
    case BPF_MAP_TYPE_HASH_OF_MAPS:
      return HashOfMaps.attach(memory, address);
    case BPF_MAP_TYPE_PERF_EVENT_ARRAY:
      return PerfEventArray.attach(memory, address);
    case BPF_MAP_TYPE_RINGBUF:
      return RingBufMap.attach(memory, address);
    default:
      throw new MapError('EINVAL', 'a map of a type not modelled', { address, type });
  }
}
