import { loadU32 } from './bytes.ts';
import { E2BIG, EINVAL, ENOENT } from './errors.ts';
import { IndexMap } from './index_map.ts';
import { BPF_MAP_TYPE_PROG_ARRAY, checkSpec, createHeader, type MapEntry, type MapSpec } from './map.ts';
import { type Address, type Memory, NULL } from './memory.ts';

const NO_PROGRAM = 0;

/**
 * BPF_MAP_TYPE_PROG_ARRAY: what tail calls jump by. A slot holds a u32, the index of a program in a table of the one who
 * runs them; 0 = empty. Read and written by one load or store.
 */
export class ProgArrayMap extends IndexMap {
  /** Key and value are 4 bytes. @throws MapError EINVAL, ENOMEM */
  static create(memory: Memory, spec: MapSpec): ProgArrayMap {
    checkSpec(spec, spec.keySize === 4 && spec.valueSize === 4);
    const shape = { dataBytes: 4 * spec.maxEntries, stride: 4, valueOffset: 0 };
    return ProgArrayMap.attach(memory, createHeader(memory, BPF_MAP_TYPE_PROG_ARRAY, spec, shape));
  }

  /** @throws MapError EINVAL */
  static attach(memory: Memory, address: Address): ProgArrayMap {
    return new ProgArrayMap(memory, address, BPF_MAP_TYPE_PROG_ARRAY);
  }

  /** Slots that hold a program. */
  get count(): number {
    let count = 0;
    for (let i = 0; i < this.maxEntries; i++) if (this.program(i) !== NO_PROGRAM) count++;
    return count;
  }

  /** The program in slot `index`; 0 if there is none, or no such slot. For a tail call: allocates nothing. */
  program(index: number): number {
    return index >>> 0 < this.maxEntries ? this.words[(this.data >> 2) + (index >>> 0)]! : NO_PROGRAM;
  }

  lookup(key: Address): Address {
    const slot = this.slot(key);
    return slot === NULL || this.words[slot >> 2] === NO_PROGRAM ? NULL : slot;
  }

  /** @param value address of the u32. @returns 0; -EINVAL for any flag, or the value 0; -E2BIG for an index too large */
  update(key: Address, value: Address, flags = 0): number {
    if (flags !== 0) return -EINVAL;
    const slot = this.slot(key);
    if (slot === NULL) return -E2BIG;
    const program = loadU32(this.memory, value);
    if (program === NO_PROGRAM) return -EINVAL;
    Atomics.store(this.words, slot >> 2, program | 0);
    return 0;
  }

  /** @returns 0; -ENOENT if the slot is empty; -E2BIG for an index too large */
  delete(key: Address): number {
    const slot = this.slot(key);
    if (slot === NULL) return -E2BIG;
    return Atomics.exchange(this.words, slot >> 2, NO_PROGRAM) === NO_PROGRAM ? -ENOENT : 0;
  }

  /** See `IndexMap.slots`. */
  entries(): Generator<MapEntry> {
    return this.slots(
      (slot) => this.words[slot >> 2] !== NO_PROGRAM,
      (slot) => slot,
    );
  }
}
