import { copyInPlace, loadU32, round8 } from './bytes.ts';
import { E2BIG, EEXIST, EINVAL } from './errors.ts';
import { IndexMap } from './index_map.ts';
import {
  BPF_EXIST,
  BPF_MAP_TYPE_ARRAY,
  BPF_NOEXIST,
  checkSpec,
  createHeader,
  type MapEntry,
  type MapSpec,
} from './map.ts';
import { type Address, type Memory, NULL } from './memory.ts';

/**
 * BPF_MAP_TYPE_ARRAY: `maxEntries` values that always exist, at stride `valueSize` rounded up to 8; the key is a u32
 * index. An update goes in place, as in the kernel: a value of 4 or 8 bytes by one store. The kernel promises nothing
 * about a longer one; here each aligned word of 4 bytes is old or new, the value as a whole may be partly each.
 */
export class ArrayMap extends IndexMap {
  /** @throws MapError EINVAL if the key is not 4 bytes, or a size is 0; ENOMEM */
  static create(memory: Memory, spec: MapSpec): ArrayMap {
    checkSpec(spec, spec.keySize === 4);
    const stride = round8(spec.valueSize);
    const shape = { dataBytes: stride * spec.maxEntries, stride, valueOffset: 0 };
    return ArrayMap.attach(memory, createHeader(memory, BPF_MAP_TYPE_ARRAY, spec, shape));
  }

  /** @throws MapError EINVAL */
  static attach(memory: Memory, address: Address): ArrayMap {
    return new ArrayMap(memory, address, BPF_MAP_TYPE_ARRAY);
  }

  get count(): number {
    return this.maxEntries;
  }

  lookup(key: Address): Address {
    return this.slot(key);
  }

  update(key: Address, value: Address, flags = 0): number {
    if (flags < 0 || flags > BPF_EXIST) return -EINVAL;
    const at = this.slot(key);
    if (at === NULL) return -E2BIG;
    if (flags === BPF_NOEXIST) return -EEXIST;
    const m = this.memory;
    if (this.spec.valueSize === 4) Atomics.store(m.i32, at >> 2, loadU32(m, value) | 0);
    else if (this.spec.valueSize === 8) Atomics.store(m.u64, at >> 3, m.view.getBigUint64(value, true));
    else copyInPlace(m, at, value, this.spec.valueSize);
    return 0;
  }

  /** Elements of an array cannot be deleted. */
  delete(_key: Address): number {
    return -EINVAL;
  }

  /** See `IndexMap.slots`. */
  entries(): Generator<MapEntry> {
    return this.slots(
      () => true,
      (slot) => slot,
    );
  }
}
