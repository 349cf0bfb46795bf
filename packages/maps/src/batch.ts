import { ArrayOfMaps } from './array_of_maps.ts';
import { copyBytes, loadU32, round8 } from './bytes.ts';
import { EINVAL, ENOENT, ENOSPC } from './errors.ts';
import { HashOfMaps } from './hash_of_maps.ts';
import { HashTable } from './hash_table.ts';
import type { BpfMap, MapEntry } from './map.ts';
import { type Address, NULL } from './memory.ts';
import { PerCpuArrayMap } from './percpu_array.ts';
import { PerCpuHashMap } from './percpu_hash.ts';

/** Where a batch goes. Keys and values lie one behind the other without a gap, as bpf(2) wants it. */
export interface Batch {
  /** Address of what the last batch wrote to `next`; NULL = from the start. */
  cursor: Address;
  /** 4 bytes, or those of a key if that is longer; written. May be the same as `cursor`. */
  next: Address;
  keys: Address;
  /** Of a per-CPU map: all workers' values for each key, each padded to 8. */
  values: Address;
  /** In: how many entries have room. Out: how many were written. */
  count: number;
}

/**
 * BPF_MAP_LOOKUP_BATCH: copies entries until `count` are there. A hash gives whole buckets and counts those in its
 * cursor; other maps walk by `getNextKey`, and their cursor is the last key.
 * @returns 0; -ENOENT when the map is at its end (what was copied is good); -ENOSPC if not one bucket has room
 */
export function lookupBatch(map: BpfMap, batch: Batch): number {
  const room = batch.count;
  batch.count = 0;
  if (room <= 0) return room === 0 ? 0 : -EINVAL;
  return map instanceof HashTable ? hashBatch(map, batch, room) : walkBatch(map, batch, room);
}

function hashBatch(map: HashTable, batch: Batch, room: number): number {
  const m = map.memory;
  let index = batch.cursor === NULL ? 0 : loadU32(m, batch.cursor);
  let result = -ENOENT;
  let bucket = map.bucket(index);
  if (bucket === undefined) return -ENOENT;
  for (; bucket !== undefined; bucket = map.bucket(++index)) {
    if (batch.count + bucket.length > room) {
      result = batch.count === 0 ? -ENOSPC : 0;
      break;
    }
    for (const entry of bucket) copyEntry(map, entry, batch);
  }
  m.view.setUint32(batch.next, index, true);
  return result;
}

function walkBatch(map: BpfMap, batch: Batch, room: number): number {
  const { keySize } = map.spec;
  const m = map.memory;
  const key = m.alloc(keySize);
  try {
    if (batch.cursor !== NULL) copyBytes(m, key, batch.cursor, keySize);
    for (let from = batch.cursor === NULL ? NULL : key; batch.count < room; from = key) {
      if (map.getNextKey(from, key) !== 0) return -ENOENT;
      copyBytes(m, batch.next, key, keySize);
      const value = map.lookup(key);
      if (value !== NULL) copyEntry(map, { key, value }, batch); // else deleted meanwhile
    }
    return 0;
  } finally {
    m.free(key, keySize);
  }
}

function copyEntry(map: BpfMap, { key, value }: MapEntry, batch: Batch): void {
  const { keySize, valueSize, cpus = 1 } = map.spec;
  const m = map.memory;
  copyBytes(m, batch.keys + batch.count * keySize, key, keySize);
  if (map instanceof PerCpuHashMap || map instanceof PerCpuArrayMap) {
    map.copyAll(key, batch.values + batch.count * cpus * round8(valueSize));
  } else if (map instanceof HashOfMaps || map instanceof ArrayOfMaps) {
    m.view.setUint32(batch.values + batch.count * valueSize, value, true);
  } else copyBytes(m, batch.values + batch.count * valueSize, value, valueSize);
  batch.count++;
}
