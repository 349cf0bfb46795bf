import { copyBytes, equalBytes, hash32, round8 } from './bytes.ts';
import { E2BIG, EBUSY, EEXIST, EINVAL, ENOENT } from './errors.ts';
import {
  BPF_EXIST,
  BPF_MAP_TYPE_HASH,
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
import { Slab } from './slab.ts';

/** A node: link to the next of its bucket, the slab's own link, the key, the value. Key and value are padded to 8. */
const NODE = { next: 0, slabLink: 4, key: 8 } as const;

/**
 * BPF_MAP_TYPE_HASH: chains of nodes behind a fixed number of buckets (`maxEntries` rounded up to a power of two).
 *
 * Readers follow the links with plain loads: each is the address that the next load depends on, which no processor
 * that runs Node.js reorders; an `Atomics.load` here costs four times as much. The writer publishes a node, with all
 * its bytes, by one atomic store of the link to it. An update of an existing key puts a new node in the place of the
 * old one, so that a reader sees the old value or the new one whole; in a single-owner map it overwrites the value.
 */
export class HashMap implements BpfMap {
  readonly memory: Memory;
  readonly address: Address;
  readonly type = BPF_MAP_TYPE_HASH;
  readonly spec: Readonly<MapSpec>;
  private readonly slab: Slab;
  private readonly buckets: Address;
  private readonly bucketMask: number;
  private readonly keySize: number;
  private readonly valueOffset: number;

  private constructor(memory: Memory, address: Address, spec: MapSpec) {
    this.memory = memory;
    this.address = address;
    this.spec = spec;
    this.slab = new Slab(memory, address, NODE.slabLink, spec.singleOwner === true);
    this.buckets = memory.u32[(address + MAP_HEADER.buckets) >> 2]!;
    this.bucketMask = memory.u32[(address + MAP_HEADER.bucketMask) >> 2]!;
    this.keySize = spec.keySize;
    this.valueOffset = memory.u32[(address + MAP_HEADER.valueOffset) >> 2]!;
  }

  /** @throws MapError EINVAL if a size is 0; ENOMEM */
  static create(memory: Memory, spec: MapSpec): HashMap {
    checkSpec(spec, true);
    const valueOffset = NODE.key + round8(spec.keySize);
    const stride = valueOffset + round8(spec.valueSize);
    const nodes = spec.maxEntries + (spec.singleOwner ? 0 : Slab.SPARE);
    const bucketCount = 2 ** Math.ceil(Math.log2(spec.maxEntries));
    const buckets = memory.alloc(bucketCount * 4);
    let at: Address;
    try {
      at = createHeader(memory, BPF_MAP_TYPE_HASH, spec, { dataBytes: nodes * stride, stride, valueOffset });
    } catch (error) {
      memory.free(buckets, bucketCount * 4);
      throw error;
    }
    memory.u32[(at + MAP_HEADER.buckets) >> 2] = buckets;
    memory.u32[(at + MAP_HEADER.bucketMask) >> 2] = bucketCount - 1;
    return HashMap.attach(memory, at);
  }

  /** @throws MapError EINVAL */
  static attach(memory: Memory, address: Address): HashMap {
    return new HashMap(memory, address, readHeader(memory, address, BPF_MAP_TYPE_HASH).spec);
  }

  get count(): number {
    return this.memory.u32[(this.address + MAP_HEADER.count) >> 2]!;
  }

  lookup(key: Address): Address {
    const m = this.memory;
    const words = m.i32;
    for (let node = words[this.bucketOf(key) >> 2]!; node !== NULL; node = words[node >> 2]!) {
      if (equalBytes(m, node + NODE.key, key, this.keySize)) return node + this.valueOffset;
    }
    return NULL;
  }

  /** The key that belongs to a value address found by `lookup`. */
  keyOf(value: Address): Address {
    return value - this.valueOffset + NODE.key;
  }

  /** @returns 0; -EEXIST, -ENOENT by the flags; -E2BIG if full; -EINVAL; -EBUSY if a reader passes no quiet point */
  update(key: Address, value: Address, flags = 0): number {
    if (flags > BPF_EXIST) return -EINVAL;
    const words = this.memory.i32;
    const link = this.linkTo(key);
    const old = words[link >> 2]!;
    if (old !== NULL && flags === BPF_NOEXIST) return -EEXIST;
    if (old === NULL && flags === BPF_EXIST) return -ENOENT;
    if (old === NULL && this.count >= this.spec.maxEntries) return -E2BIG;
    if (old !== NULL && this.spec.singleOwner) {
      copyBytes(this.memory, old + this.valueOffset, value, this.spec.valueSize);
      return 0;
    }
    const node = this.slab.take();
    if (node === NULL) return -EBUSY;
    copyBytes(this.memory, node + NODE.key, key, this.keySize);
    copyBytes(this.memory, node + this.valueOffset, value, this.spec.valueSize);
    words[node >> 2] = old === NULL ? NULL : words[old >> 2]!;
    Atomics.store(words, link >> 2, node);
    if (old === NULL) this.addToCount(1);
    else this.slab.retire(old);
    return 0;
  }

  /** @returns 0 or -ENOENT */
  delete(key: Address): number {
    const words = this.memory.i32;
    const link = this.linkTo(key);
    const node = words[link >> 2]!;
    if (node === NULL) return -ENOENT;
    Atomics.store(words, link >> 2, words[node >> 2]!);
    this.addToCount(-1);
    this.slab.retire(node);
    return 0;
  }

  getNextKey(key: Address, nextKey: Address): number {
    const words = this.memory.i32;
    const value = key === NULL ? NULL : this.lookup(key);
    let next: Address;
    if (value === NULL) next = this.firstFrom(this.buckets);
    else {
      next = words[(value - this.valueOffset) >> 2]!;
      if (next === NULL) next = this.firstFrom(this.bucketOf(key) + 4);
    }
    if (next === NULL) return -ENOENT;
    copyBytes(this.memory, nextKey, next + NODE.key, this.keySize);
    return 0;
  }

  entries(): MapEntry[] {
    const words = this.memory.i32;
    const found: MapEntry[] = [];
    for (let node = this.firstFrom(this.buckets); node !== NULL; ) {
      found.push({ key: node + NODE.key, value: node + this.valueOffset });
      const next = words[node >> 2]!;
      node = next !== NULL ? next : this.firstFrom(this.bucketOf(node + NODE.key) + 4);
    }
    return found;
  }

  destroy(): void {
    destroyHeader(this.memory, this.address);
  }

  /** Address of the word that heads the key's chain. */
  private bucketOf(key: Address): Address {
    return this.buckets + (hash32(this.memory, key, this.keySize) & this.bucketMask) * 4;
  }

  /** Address of the link that points to the key's node, or of the NULL link at the end of its chain. */
  private linkTo(key: Address): Address {
    const m = this.memory;
    let link = this.bucketOf(key);
    for (let node = m.i32[link >> 2]!; node !== NULL; node = m.i32[link >> 2]!) {
      if (equalBytes(m, node + NODE.key, key, this.keySize)) return link;
      link = node + NODE.next;
    }
    return link;
  }

  /** The first node in the bucket at `bucket` or behind. */
  private firstFrom(bucket: Address): Address {
    const end = this.buckets + (this.bucketMask + 1) * 4;
    for (let at = bucket; at < end; at += 4) if (this.memory.i32[at >> 2] !== NULL) return this.memory.i32[at >> 2]!;
    return NULL;
  }

  private addToCount(by: number): void {
    Atomics.add(this.memory.i32, (this.address + MAP_HEADER.count) >> 2, by);
  }
}
