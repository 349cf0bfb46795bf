import { MapError } from './errors.ts';
import { BPF_MAP_TYPE_ARRAY, MAP_HEADER, type MapSpec, readHeader } from './map.ts';
import { holdMap, releaseMap } from './map_memory.ts';
import { type Address, type Memory, NULL } from './memory.ts';

/** What the maps in a map of maps have in common. */
export interface InnerShape {
  /** BPF_MAP_TYPE_*. */
  type: number;
  keySize: number;
  valueSize: number;
  /** Compared only for arrays: a hash inside may have any size. */
  maxEntries: number;
}

const FIELDS = ['type', 'keySize', 'valueSize', 'maxEntries'] as const;

export function writeInner(memory: Memory, outer: Address, inner: InnerShape): void {
  for (const [i, name] of FIELDS.entries()) memory.u32[((outer + MAP_HEADER.inner) >> 2) + i] = inner[name];
}

/** Whether the map at `at` may be put into `outer`. */
export function fitsInner(memory: Memory, outer: Address, at: Address): boolean {
  let found: { type: number; spec: MapSpec };
  try {
    found = readHeader(memory, at);
  } catch (error) {
    if (error instanceof MapError) return false;
    throw error;
  }
  const { type, spec } = found;
  const shape = { type, keySize: spec.keySize, valueSize: spec.valueSize, maxEntries: spec.maxEntries };
  const names = type === BPF_MAP_TYPE_ARRAY ? FIELDS : FIELDS.slice(0, 3);
  return names.every((name) => shape[name] === memory.u32[((outer + MAP_HEADER.inner) >> 2) + FIELDS.indexOf(name)]);
}

/**
 * Puts `inner` (NULL: nothing) into a slot, and lets go of the map that was there.
 * @returns what was there
 */
export function replaceInner(memory: Memory, slot: Address, inner: Address): Address {
  if (inner !== NULL) holdMap(memory, inner);
  const old = Atomics.exchange(memory.i32, slot >> 2, inner);
  if (old !== NULL) releaseMap(memory, old);
  return old;
}
