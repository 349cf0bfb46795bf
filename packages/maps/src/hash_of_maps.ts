import { loadU32 } from './bytes.ts';
import { EEXIST, EINVAL, ENOENT } from './errors.ts';
import { HashTable } from './hash_table.ts';
import { fitsInner, type InnerShape, writeInner } from './inner_map.ts';
import { BPF_EXIST, BPF_MAP_TYPE_HASH_OF_MAPS, BPF_NOEXIST, checkSpec, type MapSpec } from './map.ts';
import { holdMap, releaseMap } from './map_memory.ts';
import { type Address, type Memory, NULL } from './memory.ts';

/**
 * BPF_MAP_TYPE_HASH_OF_MAPS: a hash whose values are addresses of maps' headers. `lookup` answers that address, as in a
 * program. A map inside stays alive while an entry holds it, even if its creator destroys it.
 */
export class HashOfMaps extends HashTable {
  /** The value is 4 bytes; every map inside must look like `inner`. @throws MapError EINVAL, ENOMEM */
  static create(memory: Memory, spec: MapSpec, inner: InnerShape): HashOfMaps {
    checkSpec(spec, spec.valueSize === 4);
    const shape = { nodeValue: 8, perCpu: 0, isLru: false };
    const at = HashTable.createTable(memory, BPF_MAP_TYPE_HASH_OF_MAPS, spec, shape);
    writeInner(memory, at, inner);
    return HashOfMaps.attach(memory, at);
  }

  /** @throws MapError EINVAL */
  static attach(memory: Memory, address: Address): HashOfMaps {
    return new HashOfMaps(memory, address, BPF_MAP_TYPE_HASH_OF_MAPS, false);
  }

  /** The inner map's address, or NULL. */
  lookup(key: Address): Address {
    const node = this.find(key);
    return node === NULL ? NULL : this.valueOf(node);
  }

  /**
   * @param value address of a u32, the inner map's address
   * @returns as `HashMap.update`; -EINVAL also for a map that looks different
   * @throws MapError EBUSY if the map that was there cannot be freed because a reader passes no quiet point
   */
  update(key: Address, value: Address, flags = 0): number {
    const inner = loadU32(this.memory, value);
    if (flags < 0 || flags > BPF_EXIST || !fitsInner(this.memory, this.address, inner)) return -EINVAL;
    this.slab.lock();
    let replaced: Address = NULL;
    let result = this.reserve();
    const old = result === 0 ? this.find(key) : NULL;
    if (old !== NULL) {
      if (flags === BPF_NOEXIST) result = -EEXIST;
      else replaced = this.set(old, inner); // one atomic store changes the entry
    } else if (result === 0) result = this.add(key, inner, flags);
    this.slab.unlock();
    if (replaced !== NULL) releaseMap(this.memory, replaced);
    return result;
  }

  /** @throws MapError EBUSY, as `update` */
  override delete(key: Address): number {
    this.slab.lock();
    const node = this.find(key);
    const inner = node === NULL ? NULL : this.valueOf(node);
    if (node !== NULL) this.unlink(this.linkTo(key), node);
    this.slab.unlock();
    if (node === NULL) return -ENOENT;
    releaseMap(this.memory, inner);
    return 0;
  }

  protected valueOf(node: Address): Address {
    return this.words[(node + this.valueOffset) >> 2]!;
  }

  private set(node: Address, inner: Address): Address {
    holdMap(this.memory, inner);
    return Atomics.exchange(this.words, (node + this.valueOffset) >> 2, inner);
  }

  private add(key: Address, inner: Address, flags: number): number {
    if (flags === BPF_EXIST) return -ENOENT;
    const room = this.makeRoom();
    if (room !== 0) return room;
    const node = this.newNode(key);
    this.set(node, inner);
    this.publish(this.linkTo(key), node, NULL);
    return 0;
  }
}
