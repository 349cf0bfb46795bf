import { MapError } from './errors.ts';
import type { BpfMap } from './map.ts';
import { type Address, type Memory, NULL } from './memory.ts';
import { pin, pinned } from './pins.ts';

/** Pins a map that was just created under its own name. @throws MapError EEXIST; then the map is gone again */
export function pinOrDestroy<T extends BpfMap>(map: T): T {
  try {
    pin(map.memory, map.spec.name ?? '', map.address);
  } catch (error) {
    map.destroy();
    throw error;
  }
  return map;
}

/** @throws MapError ENOENT if nothing is pinned under this name */
export function openPin(memory: Memory, name: string): Address {
  const address = pinned(memory, name);
  if (address === NULL) throw new MapError('ENOENT', 'no map is pinned under this name', { name });
  return address;
}
