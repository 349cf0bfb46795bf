import { loadU32 } from './bytes.ts';
import { E2BIG, EINVAL, ENOENT } from './errors.ts';
import { IndexMap } from './index_map.ts';
import { fitsInner, type InnerShape, replaceInner, writeInner } from './inner_map.ts';
import { BPF_MAP_TYPE_ARRAY_OF_MAPS, checkSpec, createHeader, type MapEntry, type MapSpec } from './map.ts';
import { type Address, type Memory, NULL } from './memory.ts';

/**
 * BPF_MAP_TYPE_ARRAY_OF_MAPS: slots that hold the address of a map's header; 0 = empty. `lookup` answers that address,
 * as in a program. A map inside stays alive while a slot holds it, even if its creator destroys it.
 */
export class ArrayOfMaps extends IndexMap {
  /** Key and value are 4 bytes; every map inside must look like `inner`. @throws MapError EINVAL, ENOMEM */
  static create(memory: Memory, spec: MapSpec, inner: InnerShape): ArrayOfMaps {
    checkSpec(spec, spec.keySize === 4 && spec.valueSize === 4);
    const shape = { dataBytes: 4 * spec.maxEntries, stride: 4, valueOffset: 0 };
    const at = createHeader(memory, BPF_MAP_TYPE_ARRAY_OF_MAPS, spec, shape);
    writeInner(memory, at, inner);
    return ArrayOfMaps.attach(memory, at);
  }

  /** @throws MapError EINVAL */
  static attach(memory: Memory, address: Address): ArrayOfMaps {
    return new ArrayOfMaps(memory, address, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  }

  /** Slots that hold a map. */
  get count(): number {
    let count = 0;
    for (let i = 0; i < this.maxEntries; i++) if (this.words[(this.data >> 2) + i] !== NULL) count++;
    return count;
  }

  /** The inner map's address, or NULL. */
  lookup(key: Address): Address {
    const slot = this.slot(key);
    return slot === NULL ? NULL : this.words[slot >> 2]!;
  }

  /**
   * @param value address of a u32, the inner map's address
   * @returns 0; -EINVAL for any flag, or a map that looks different; -E2BIG for an index too large
   * @throws MapError EBUSY if the map that was there cannot be freed because a reader passes no quiet point
   */
  update(key: Address, value: Address, flags = 0): number {
    if (flags !== 0) return -EINVAL;
    const slot = this.slot(key);
    if (slot === NULL) return -E2BIG;
    const inner = loadU32(this.memory, value);
    if (!fitsInner(this.memory, this.address, inner)) return -EINVAL;
    replaceInner(this.memory, slot, inner);
    return 0;
  }

  /** @returns 0; -ENOENT if the slot is empty; -E2BIG for an index too large */
  delete(key: Address): number {
    const slot = this.slot(key);
    if (slot === NULL) return -E2BIG;
    return replaceInner(this.memory, slot, NULL) === NULL ? -ENOENT : 0;
  }

  /** See `IndexMap.slots`. */
  entries(): Generator<MapEntry> {
    return this.slots(
      (slot) => this.words[slot >> 2] !== NULL,
      (slot) => this.words[slot >> 2]!,
    );
  }
}
