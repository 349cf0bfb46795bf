import { copyBytes, loadU32, round8 } from './bytes.ts';
import { E2BIG, EEXIST, EINVAL, ENOENT } from './errors.ts';
import {
  BPF_EXIST,
  BPF_MAP_TYPE_ARRAY,
  BPF_NOEXIST,
  type BpfMap,
  checkSpec,
  createHeader,
  destroyHeader,
  MAP_HEADER,
  type MapEntry,
  type MapSpec,
  readHeader,
} from './map.ts';
import { type Address, type Memory, NULL } from './memory.ts';

/**
 * BPF_MAP_TYPE_ARRAY: `maxEntries` values that always exist, at stride `valueSize` rounded up to 8; the key is a u32
 * index. An update goes in place, as in the kernel: a value of 4 or 8 bytes by one atomic store, a longer one word by
 * word, so that a reader may see a part of it old and a part new.
 */
export class ArrayMap implements BpfMap {
  readonly memory: Memory;
  readonly address: Address;
  readonly type = BPF_MAP_TYPE_ARRAY;
  readonly spec: Readonly<MapSpec>;
  private readonly data: Address;
  private readonly stride: number;
  private readonly maxEntries: number;

  private constructor(memory: Memory, address: Address, spec: MapSpec) {
    this.memory = memory;
    this.address = address;
    this.spec = spec;
    this.data = memory.u32[(address + MAP_HEADER.data) >> 2]!;
    this.stride = memory.u32[(address + MAP_HEADER.stride) >> 2]!;
    this.maxEntries = spec.maxEntries;
  }

  /** @throws MapError EINVAL if the key is not 4 bytes, or a size is 0; ENOMEM */
  static create(memory: Memory, spec: MapSpec): ArrayMap {
    checkSpec(spec, spec.keySize === 4);
    const stride = round8(spec.valueSize);
    const shape = { dataBytes: stride * spec.maxEntries, stride, valueOffset: 0 };
    return ArrayMap.attach(memory, createHeader(memory, BPF_MAP_TYPE_ARRAY, spec, shape));
  }

  /** @throws MapError EINVAL */
  static attach(memory: Memory, address: Address): ArrayMap {
    return new ArrayMap(memory, address, readHeader(memory, address, BPF_MAP_TYPE_ARRAY).spec);
  }

  get count(): number {
    return this.maxEntries;
  }

  lookup(key: Address): Address {
    const index = loadU32(this.memory, key);
    return index < this.maxEntries ? this.data + index * this.stride : NULL;
  }

  update(key: Address, value: Address, flags = 0): number {
    if (flags > BPF_EXIST) return -EINVAL;
    const at = this.lookup(key);
    if (at === NULL) return -E2BIG;
    if (flags === BPF_NOEXIST) return -EEXIST;
    const m = this.memory;
    if (this.spec.valueSize === 4) Atomics.store(m.i32, at >> 2, loadU32(m, value) | 0);
    else if (this.spec.valueSize === 8) Atomics.store(m.u64, at >> 3, m.view.getBigUint64(value, true));
    else copyBytes(m, at, value, this.spec.valueSize);
    return 0;
  }

  /** Elements of an array cannot be deleted. */
  delete(_key: Address): number {
    return -EINVAL;
  }

  getNextKey(key: Address, nextKey: Address): number {
    const index = key === NULL ? this.maxEntries : loadU32(this.memory, key);
    if (index === this.maxEntries - 1) return -ENOENT;
    this.memory.view.setUint32(nextKey, index >= this.maxEntries ? 0 : index + 1, true);
    return 0;
  }

  /** The index of each value lies in one word that all entries share: read it before taking the next. */
  *entries(): Generator<MapEntry> {
    const key = this.memory.alloc(4);
    try {
      for (let index = 0; index < this.maxEntries; index++) {
        this.memory.u32[key >> 2] = index;
        yield { key, value: this.data + index * this.stride };
      }
    } finally {
      this.memory.free(key, 4);
    }
  }

  destroy(): void {
    destroyHeader(this.memory, this.address);
  }
}
