import type { Address, BpfMap } from '@ciliate/maps';

/** Another structure that answers lookups in place of a map's own, with the same answers. */
export interface LookupEngine {
  /** @returns the address of the value in the map, or 0, as the map's own `lookup` would. Allocates nothing */
  lookup(key: Address): Address;
  /** The map has been written. */
  changed(): void;
}

/** Puts an engine under a map that has just been made, and may still be filled. */
export type LookupEngineMaker = (map: BpfMap) => LookupEngine;
