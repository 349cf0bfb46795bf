import { MapError } from './errors.ts';
import { BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_HASH_OF_MAPS, MAP_HEADER, readHeader } from './map.ts';
import { type Address, type Memory, NULL } from './memory.ts';
import { Slab } from './slab.ts';

/** Bytes of the memory that the map at `at` takes now. */
export function mapBytes(memory: Memory, at: Address): number {
  const get = (field: number): number => memory.u32[(at + field) >> 2]!;
  const buckets = get(MAP_HEADER.buckets) === NULL ? 0 : (get(MAP_HEADER.bucketMask) + 1) * 4;
  const chunks = get(MAP_HEADER.chunkCount) * get(MAP_HEADER.chunkBytes);
  return MAP_HEADER.size + get(MAP_HEADER.dataBytes) + buckets + chunks;
}

/** Takes hold of a map, so that it stays when its creator destroys it. */
export function holdMap(memory: Memory, at: Address): void {
  Atomics.add(memory.i32, (at + MAP_HEADER.references) >> 2, 1);
}

/**
 * Lets go of a map. The last one waits for the readers, frees it, and lets go of the maps in it.
 * @throws MapError EBUSY if a reader does not come: then the map stays as it was
 */
export function releaseMap(memory: Memory, at: Address): void {
  const { type, spec } = readHeader(memory, at);
  const references = (at + MAP_HEADER.references) >> 2;
  if (Atomics.load(memory.i32, references) === 1 && !spec.singleOwner && !memory.synchronize()) {
    throw new MapError('EBUSY', 'a reader passes no quiet point', { map: spec.name ?? '', address: at });
  }
  if (Atomics.sub(memory.i32, references, 1) > 1) return;
  const inner = innerMaps(memory, at, type);
  const get = (field: number): number => memory.u32[(at + field) >> 2]!;
  if (get(MAP_HEADER.data) !== NULL) memory.free(get(MAP_HEADER.data), get(MAP_HEADER.dataBytes));
  if (get(MAP_HEADER.buckets) !== NULL) memory.free(get(MAP_HEADER.buckets), (get(MAP_HEADER.bucketMask) + 1) * 4);
  Slab.freeAll(memory, at);
  memory.u32[(at + MAP_HEADER.magic) >> 2] = 0;
  memory.free(at, MAP_HEADER.size);
  for (const address of inner) releaseMap(memory, address);
}

/** The maps that the slots of a map of maps hold. */
function innerMaps(memory: Memory, at: Address, type: number): Address[] {
  const words = memory.u32;
  const get = (field: number): number => words[(at + field) >> 2]!;
  const found: Address[] = [];
  if (type === BPF_MAP_TYPE_ARRAY_OF_MAPS) {
    const end = get(MAP_HEADER.data) + get(MAP_HEADER.dataBytes);
    for (let slot = get(MAP_HEADER.data); slot < end; slot += get(MAP_HEADER.stride)) found.push(words[slot >> 2]!);
  }
  if (type === BPF_MAP_TYPE_HASH_OF_MAPS) {
    for (let i = 0; i <= get(MAP_HEADER.bucketMask); i++) {
      for (let node = words[(get(MAP_HEADER.buckets) >> 2) + i]!; node !== NULL; node = words[node >> 2]!) {
        found.push(words[(node + get(MAP_HEADER.valueOffset)) >> 2]!);
      }
    }
  }
  return found.filter((address) => address !== NULL);
}
