import { copyBytes, copyInPlace } from './bytes.ts';
import { EEXIST, EINVAL, ENOENT } from './errors.ts';
import { HashTable, NODE } from './hash_table.ts';
import { BPF_EXIST, BPF_MAP_TYPE_HASH, BPF_NOEXIST, type MapSpec } from './map.ts';
import { type Address, type Memory, NULL } from './memory.ts';

/**
 * BPF_MAP_TYPE_HASH. An update of an existing key puts a new node in the place of the old one, so that a reader sees the
 * old value or the new one whole; in a single-owner map it overwrites the value.
 */
export class HashMap extends HashTable {
  protected constructor(memory: Memory, address: Address, type: number, isLru: boolean) {
    super(memory, address, type, isLru);
  }

  /** @throws MapError EINVAL if a size is 0; ENOMEM */
  static create(memory: Memory, spec: MapSpec): HashMap {
    const shape = { nodeValue: spec.valueSize, perCpu: 0, isLru: false };
    return HashMap.attach(memory, HashTable.createTable(memory, BPF_MAP_TYPE_HASH, spec, shape));
  }

  /** @throws MapError EINVAL */
  static attach(memory: Memory, address: Address): HashMap {
    return new HashMap(memory, address, BPF_MAP_TYPE_HASH, false);
  }

  lookup(key: Address): Address {
    const node = this.find(key);
    return node === NULL ? NULL : node + this.valueOffset;
  }

  /** The key that belongs to a value address found by `lookup`. */
  keyOf(value: Address): Address {
    return value - this.valueOffset + NODE.key;
  }

  /**
   * @returns 0; -EEXIST, -ENOENT by the flags; -E2BIG if full (never for an LRU hash); -EINVAL for other flags; -ENOMEM if
   * the memory is full; -EBUSY if a reader passes no quiet point
   */
  update(key: Address, value: Address, flags = 0): number {
    if (flags < 0 || flags > BPF_EXIST) return -EINVAL;
    this.slab.lock();
    const result = this.put(key, value, flags);
    this.slab.unlock();
    return result;
  }

  private put(key: Address, value: Address, flags: number): number {
    const reserved = this.reserve();
    if (reserved !== 0) return reserved;
    const old = this.find(key);
    if (old !== NULL && flags === BPF_NOEXIST) return -EEXIST;
    if (old === NULL) {
      if (flags === BPF_EXIST) return -ENOENT;
      const room = this.makeRoom();
      if (room !== 0) return room;
    } else if (this.spec.singleOwner) {
      copyInPlace(this.memory, old + this.valueOffset, value, this.spec.valueSize);
      this.lru?.touch(old);
      return 0;
    }
    const node = this.newNode(key);
    copyBytes(this.memory, node + this.valueOffset, value, this.spec.valueSize);
    this.publish(this.linkTo(key), node, old);
    return 0;
  }

  protected valueOf(node: Address): Address {
    return node + this.valueOffset;
  }
}
