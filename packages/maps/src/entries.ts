import type { BpfMap } from './map.ts';
import { type Address, type Memory, NULL } from './memory.ts';
import { openMap } from './open_map.ts';
import type { PerCpuHashMap } from './percpu_hash.ts';
import { pinned } from './pins.ts';

/** An entry of a map, its bytes copied. */
export interface EntryBytes {
  key: Uint8Array;
  value: Uint8Array;
}

export const copyOf = (m: Memory, at: Address, size: number): Uint8Array => {
  const copy = new Uint8Array(size);
  copy.set(m.u8.subarray(at, at + size));
  return copy;
};

/**
 * The entries of the map pinned under `name`, and of its other shards (`NAME_s1`, ...) if it has some, in the order of
 * each map. Writer's thread, or when no worker runs. A map that is not there has none.
 */
export function pinnedEntries(memory: Memory, name: string): EntryBytes[] {
  return shardsOf(memory, name).flatMap((map) =>
    [...map.entries()].map(({ key, value }) => ({
      key: copyOf(memory, key, map.spec.keySize),
      value: copyOf(memory, value, map.spec.valueSize),
    })),
  );
}

function shardsOf(memory: Memory, name: string): BpfMap[] {
  const maps: BpfMap[] = [];
  for (let at = pinned(memory, name), shard = 0; at !== NULL; ) {
    maps.push(openMap(memory, at));
    shard++;
    at = pinned(memory, `${name}_s${shard}`);
  }
  return maps;
}

/** As `pinnedEntries`, of a per-CPU map: values are two u64 counters each, summed over the workers. */
export function pinnedCounters(memory: Memory, name: string): { key: Uint8Array; counts: [number, number] }[] {
  const at = pinned(memory, name);
  if (at === NULL) return [];
  const map = openMap(memory, at) as PerCpuHashMap;
  return [...map.entries()].map(({ key }) => {
    const counts: [number, number] = [0, 0];
    for (let cpu = 0; cpu < map.spec.cpus!; cpu++) {
      const value = map.lookupCpu(key, cpu);
      if (value === NULL) continue;
      counts[0] += u64(memory, value);
      counts[1] += u64(memory, value + 8);
    }
    return { key: copyOf(memory, key, map.spec.keySize), counts };
  });
}

const u64 = (m: Memory, at: Address): number => m.u32[at >> 2]! + m.u32[(at >> 2) + 1]! * 2 ** 32;
