import { loadU32 } from './bytes.ts';
import { ENOENT } from './errors.ts';
import { type BpfMap, MAP_HEADER, type MapEntry, type MapSpec, readHeader } from './map.ts';
import { mapBytes, releaseMap } from './map_memory.ts';
import { type Address, type Memory, NULL } from './memory.ts';

/** What all maps share whose key is a u32 index: `maxEntries` slots of `stride` bytes that always exist. */
export abstract class IndexMap implements BpfMap {
  readonly memory: Memory;
  readonly address: Address;
  readonly type: number;
  readonly spec: Readonly<MapSpec>;
  protected readonly words: Int32Array;
  protected readonly data: Address;
  protected readonly stride: number;
  protected readonly maxEntries: number;

  protected constructor(memory: Memory, address: Address, type: number) {
    this.memory = memory;
    this.address = address;
    this.type = type;
    this.spec = readHeader(memory, address, type).spec;
    this.words = memory.i32;
    this.data = memory.u32[(address + MAP_HEADER.data) >> 2]!;
    this.stride = memory.u32[(address + MAP_HEADER.stride) >> 2]!;
    this.maxEntries = this.spec.maxEntries;
  }

  abstract readonly count: number;
  abstract lookup(key: Address): Address;
  abstract update(key: Address, value: Address, flags?: number): number;
  abstract delete(key: Address): number;
  abstract entries(): Iterable<MapEntry>;

  get bytesUsed(): number {
    return mapBytes(this.memory, this.address);
  }

  /** The index after the one at `key`; of empty slots too. */
  getNextKey(key: Address, nextKey: Address): number {
    const index = key === NULL ? this.maxEntries : loadU32(this.memory, key);
    if (index === this.maxEntries - 1) return -ENOENT;
    this.memory.view.setUint32(nextKey, index >= this.maxEntries ? 0 : index + 1, true);
    return 0;
  }

  destroy(): void {
    releaseMap(this.memory, this.address);
  }

  /** Address of the slot that the u32 at `key` names, or NULL. */
  protected slot(key: Address): Address {
    const index = (key & 3) === 0 ? this.words[key >> 2]! >>> 0 : loadU32(this.memory, key);
    return index < this.maxEntries ? this.data + index * this.stride : NULL;
  }

  /** All slots that `isThere` says are there. The index lies in one word that all entries share: read it before going on. */
  protected *slots(isThere: (slot: Address) => boolean, value: (slot: Address) => Address): Generator<MapEntry> {
    const key = this.memory.alloc(4);
    try {
      for (let index = 0; index < this.maxEntries; index++) {
        const slot = this.data + index * this.stride;
        this.memory.u32[key >> 2] = index;
        if (isThere(slot)) yield { key, value: value(slot) };
      }
    } finally {
      this.memory.free(key, 4);
    }
  }
}
