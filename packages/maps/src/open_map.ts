import { ArrayMap } from './array.ts';
import { MapError } from './errors.ts';
import { HashMap } from './hash.ts';
import { LpmTrie } from './lpm_trie.ts';
import { BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_LPM_TRIE, type BpfMap, readHeader } from './map.ts';
import type { Address, Memory } from './memory.ts';

/** Attaches to the map at `address`, of whatever type its header says. @throws MapError EINVAL */
export function openMap(memory: Memory, address: Address): BpfMap {
  const { type } = readHeader(memory, address);
  switch (type) {
    case BPF_MAP_TYPE_ARRAY:
      return ArrayMap.attach(memory, address);
    case BPF_MAP_TYPE_HASH:
      return HashMap.attach(memory, address);
    case BPF_MAP_TYPE_LPM_TRIE:
      return LpmTrie.attach(memory, address);
    default:
      throw new MapError('EINVAL', 'a map of a type not modelled', { address, type });
  }
}
