import { ArrayMap } from './array.ts';
import { ArrayOfMaps } from './array_of_maps.ts';
import { MapError } from './errors.ts';
import { HashMap } from './hash.ts';
import { HashOfMaps } from './hash_of_maps.ts';
import type { InnerShape } from './inner_map.ts';
import { LpmTrie } from './lpm_trie.ts';
import { LruHashMap } from './lru_hash.ts';
import { LruPerCpuHashMap } from './lru_percpu_hash.ts';
import type { BpfMap, MapSpec } from './map.ts';
import * as type from './map.ts';
import type { Memory } from './memory.ts';
import { PerCpuArrayMap } from './percpu_array.ts';
import { PerCpuHashMap } from './percpu_hash.ts';
import { PerfEventArray } from './perf_event_array.ts';
import { ProgArrayMap } from './prog_array.ts';
import { RingBufMap } from './ringbuf.ts';

type Maker = (memory: Memory, spec: MapSpec, inner: InnerShape) => BpfMap;

const MAKERS: Readonly<Record<number, Maker>> = {
  [type.BPF_MAP_TYPE_HASH]: HashMap.create,
  [type.BPF_MAP_TYPE_ARRAY]: ArrayMap.create,
  [type.BPF_MAP_TYPE_PROG_ARRAY]: ProgArrayMap.create,
  [type.BPF_MAP_TYPE_PERF_EVENT_ARRAY]: PerfEventArray.create,
  [type.BPF_MAP_TYPE_PERCPU_HASH]: (memory, spec) => PerCpuHashMap.create(memory, spec),
  [type.BPF_MAP_TYPE_PERCPU_ARRAY]: (memory, spec) => PerCpuArrayMap.create(memory, spec),
  [type.BPF_MAP_TYPE_LRU_HASH]: LruHashMap.create,
  [type.BPF_MAP_TYPE_LRU_PERCPU_HASH]: (memory, spec) => LruPerCpuHashMap.create(memory, spec),
  [type.BPF_MAP_TYPE_LPM_TRIE]: LpmTrie.create,
  [type.BPF_MAP_TYPE_ARRAY_OF_MAPS]: ArrayOfMaps.create,
  [type.BPF_MAP_TYPE_HASH_OF_MAPS]: HashOfMaps.create,
  [type.BPF_MAP_TYPE_RINGBUF]: RingBufMap.create,
};

/**
 * Creates a map of any type, as BPF_MAP_CREATE does; a per-CPU map is attached as worker 0.
 * @param inner what the maps in a map of maps have in common; needed for no other type
 * @throws MapError EINVAL for a type not modelled, sizes that the type cannot have, or a missing `inner`; ENOMEM
 */
export function createMap(memory: Memory, mapType: number, spec: MapSpec, inner?: InnerShape): BpfMap {
  const isOuter = mapType === type.BPF_MAP_TYPE_ARRAY_OF_MAPS || mapType === type.BPF_MAP_TYPE_HASH_OF_MAPS;
  const make = MAKERS[mapType];
  if (make === undefined) throw new MapError('EINVAL', 'a map of a type not modelled', { type: mapType });
  if (isOuter && inner === undefined)
    throw new MapError('EINVAL', 'a map of maps needs an inner shape', { type: mapType });
  return make(memory, spec, inner ?? { type: 0, keySize: 0, valueSize: 0, maxEntries: 0 });
}
