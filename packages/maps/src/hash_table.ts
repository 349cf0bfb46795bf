import { copyBytes, equalBytes, round8 } from './bytes.ts';
import { E2BIG, ENOENT, ENOMEM } from './errors.ts';
import { keyHash } from './key_hash.ts';
import { LRU, LruList } from './lru_list.ts';
import { type BpfMap, checkSpec, createHeader, MAP_HEADER, type MapEntry, type MapSpec, readHeader } from './map.ts';
import { mapBytes, releaseMap } from './map_memory.ts';
import { type Address, type Memory, NULL } from './memory.ts';
import { Slab } from './slab.ts';

/**
 * A node: link to the next of its bucket, the slab's two words, the key's hash, the key, the value. Key and value are
 * padded to 8. Nodes of an LRU hash have `LRU.prefix` bytes in front.
 */
export const NODE = { next: 0, slabLink: 4, chunk: 8, hash: 12, key: 16 } as const;
const MAX_BUCKETS = 2 ** 28;

/** How the nodes of a kind of hash look. */
export interface TableShape {
  /** Bytes of the value in the node. */
  nodeValue: number;
  /** Bytes of the value that each worker has outside the node. */
  perCpu: number;
  isLru: boolean;
}

/**
 * What all hashes share: chains of nodes behind a fixed number of buckets (`maxEntries` rounded up to a power of two).
 *
 * Readers follow the links with plain loads: each is the address that the next load depends on, which no processor
 * that runs Node.js reorders; an `Atomics.load` here costs four times as much. A writer publishes a node, with all
 * its bytes, by one atomic store of the link to it.
 */
export abstract class HashTable implements BpfMap {
  readonly memory: Memory;
  readonly address: Address;
  readonly type: number;
  readonly spec: Readonly<MapSpec>;
  protected readonly words: Int32Array;
  protected readonly slab: Slab;
  protected readonly lru: LruList | null;
  protected readonly valueOffset: number;
  /** For code that looks keys up by itself: the links to the first nodes, and which bits of a key's hash choose one. */
  readonly buckets: Address;
  readonly bucketMask: number;
  /** Index of the key's last word, and which of its bits are the key's. */
  private readonly lastWord: number;
  private readonly lastMask: number;

  protected constructor(memory: Memory, address: Address, type: number, isLru: boolean) {
    const { spec } = readHeader(memory, address, type);
    this.memory = memory;
    this.address = address;
    this.type = type;
    this.spec = spec;
    this.words = memory.i32;
    this.slab = new Slab(memory, address, NODE.slabLink, spec.singleOwner === true);
    this.lru = isLru ? new LruList(memory, address) : null;
    this.valueOffset = memory.u32[(address + MAP_HEADER.valueOffset) >> 2]!;
    this.buckets = memory.u32[(address + MAP_HEADER.buckets) >> 2]!;
    this.bucketMask = memory.u32[(address + MAP_HEADER.bucketMask) >> 2]!;
    this.lastWord = (spec.keySize - 1) >> 2;
    this.lastMask = (0xffff_ffff >>> (8 * (3 - ((spec.keySize - 1) & 3)))) | 0;
  }

  /** Makes header and buckets. @throws MapError EINVAL if a size is 0; ENOMEM */
  protected static createTable(memory: Memory, type: number, spec: MapSpec, shape: TableShape): Address {
    checkSpec(spec, spec.maxEntries <= MAX_BUCKETS);
    const valueOffset = NODE.key + round8(spec.keySize);
    const prefix = shape.isLru ? LRU.prefix : 0;
    const stride = prefix + valueOffset + round8(shape.nodeValue);
    const bucketCount = 2 ** Math.ceil(Math.log2(spec.maxEntries));
    const buckets = memory.alloc(bucketCount * 4);
    let at: Address;
    try {
      at = createHeader(memory, type, spec, { stride, valueOffset });
    } catch (error) {
      memory.free(buckets, bucketCount * 4);
      throw error;
    }
    memory.u32[(at + MAP_HEADER.buckets) >> 2] = buckets;
    memory.u32[(at + MAP_HEADER.bucketMask) >> 2] = bucketCount - 1;
    Slab.init(memory, at, { stride, prefix, perCpu: round8(shape.perCpu) });
    return at;
  }

  abstract lookup(key: Address): Address;
  abstract update(key: Address, value: Address, flags?: number): number;
  /** What `lookup` would answer for this node. */
  protected abstract valueOf(node: Address): Address;

  get count(): number {
    return this.memory.u32[(this.address + MAP_HEADER.count) >> 2]!;
  }
  get bytesUsed(): number {
    return mapBytes(this.memory, this.address);
  }

  /**
   * Takes memory for so many new keys now, for code that writes entries by itself; gives up none for it.
   * @returns 0, -EBUSY or -ENOMEM
   */
  prepare(entries: number): number {
    this.slab.lock();
    const result = this.slab.reserve(entries);
    this.slab.unlock();
    return result;
  }

  /** @returns 0 or -ENOENT */
  delete(key: Address): number {
    this.slab.lock();
    const link = this.linkTo(key);
    const node = this.words[link >> 2]!;
    if (node !== NULL) this.unlink(link, node);
    this.slab.unlock();
    return node === NULL ? -ENOENT : 0;
  }

  /** A key that is no longer in the map is followed by the first one, as in the kernel. */
  getNextKey(key: Address, nextKey: Address): number {
    const node = key === NULL ? NULL : this.find(key);
    const next = node === NULL ? this.firstFrom(0) : this.after(node);
    if (next === NULL) return -ENOENT;
    copyBytes(this.memory, nextKey, next + NODE.key, this.spec.keySize);
    return 0;
  }

  entries(): MapEntry[] {
    const found: MapEntry[] = [];
    const { count } = this; // most buckets of a large map are empty: not one more is looked at than has to be
    for (let node = NULL; found.length < count; ) {
      node = node === NULL ? this.firstFrom(0) : this.after(node);
      if (node === NULL) break;
      found.push({ key: node + NODE.key, value: this.valueOf(node) });
    }
    return found;
  }

  destroy(): void {
    releaseMap(this.memory, this.address);
  }

  /** The entries of bucket `index`, for a batch; undefined behind the last bucket. */
  bucket(index: number): MapEntry[] | undefined {
    if (index > this.bucketMask) return undefined;
    const found: MapEntry[] = [];
    for (let node = this.words[(this.buckets >> 2) + index]!; node !== NULL; node = this.words[node >> 2]!) {
      found.push({ key: node + NODE.key, value: this.valueOf(node) });
    }
    return found;
  }

  /** The key's node, or NULL. */
  protected find(key: Address): Address {
    if ((key & 3) !== 0) return this.words[this.linkTo(key) >> 2]!;
    const words = this.words;
    const last = this.lastWord;
    const mask = this.lastMask;
    const k = key >> 2;
    let h = 0;
    for (let i = 0; i < last; i++) {
      h = Math.imul(h ^ words[k + i]!, 0x9e37_79b1);
      h ^= h >>> 15;
    }
    const tail = words[k + last]! & mask;
    h = Math.imul(h ^ tail, 0x85eb_ca6b);
    h ^= h >>> 13;
    h = Math.imul(h, 0xc2b2_ae35);
    h ^= h >>> 16;
    for (let node = words[(this.buckets >> 2) + (h & this.bucketMask)]!; node !== NULL; node = words[node >> 2]!) {
      const n = node >> 2;
      if (words[n + (NODE.hash >> 2)] !== h) continue;
      const at = n + (NODE.key >> 2);
      let i = 0;
      while (i < last && words[at + i] === words[k + i]) i++;
      if (i === last && words[at + last] === tail) return node;
    }
    return NULL;
  }

  /** Address of the link that points to the key's node, or of the NULL link at the end of its chain. */
  protected linkTo(key: Address): Address {
    const words = this.words;
    let link = this.buckets + (keyHash(this.memory, key, this.spec.keySize) & this.bucketMask) * 4;
    for (let node = words[link >> 2]!; node !== NULL; node = words[link >> 2]!) {
      if (equalBytes(this.memory, node + NODE.key, key, this.spec.keySize)) return link;
      link = node + NODE.next;
    }
    return link;
  }

  /**
   * Sees to it that there is a node for one more entry; an LRU hash gives up entries for it. Under the lock, which it may
   * let go of: first thing in an update.
   * @returns 0, -EBUSY or -ENOMEM
   */
  protected reserve(): number {
    for (;;) {
      const result = this.slab.reserve(1);
      if (result !== -ENOMEM || !this.evict()) return result;
    }
  }

  /** Whether one more entry fits; an LRU hash makes it fit. @returns 0 or -E2BIG */
  protected makeRoom(): number {
    while (this.count >= this.spec.maxEntries) if (!this.evict()) return -E2BIG;
    return 0;
  }

  /** Takes a node (there is one, by `reserve`) and writes the key to it. */
  protected newNode(key: Address): Address {
    const node = this.slab.take();
    // The last word may be longer than the key: `find` compares it whole.
    this.words[((node + NODE.key) >> 2) + this.lastWord] = 0;
    copyBytes(this.memory, node + NODE.key, key, this.spec.keySize);
    this.words[(node + NODE.hash) >> 2] = keyHash(this.memory, node + NODE.key, this.spec.keySize);
    return node;
  }

  /** Publishes a filled node at `link`, in the place of `old` if that is not NULL. */
  protected publish(link: Address, node: Address, old: Address): void {
    const words = this.words;
    words[node >> 2] = old === NULL ? NULL : words[old >> 2]!;
    Atomics.store(words, link >> 2, node);
    this.lru?.add(node);
    if (old === NULL) {
      Atomics.add(words, (this.address + MAP_HEADER.count) >> 2, 1);
      return;
    }
    if (this.lru !== null) {
      words[(node + LRU.used) >> 2] = 1; // as the kernel: an overwritten entry was used
      this.lru.remove(old);
    }
    this.slab.retire(old);
  }

  /** Takes out the entry that was used longest ago. @returns false if there is none, or the map never gives one up */
  private evict(): boolean {
    const node = this.lru === null ? NULL : this.lru.victim();
    if (node === NULL) return false;
    this.unlink(this.linkTo(node + NODE.key), node);
    return true;
  }

  protected unlink(link: Address, node: Address): void {
    Atomics.store(this.words, link >> 2, this.words[node >> 2]!);
    Atomics.sub(this.words, (this.address + MAP_HEADER.count) >> 2, 1);
    this.lru?.remove(node);
    this.slab.retire(node);
  }

  private after(node: Address): Address {
    const next = this.words[node >> 2]!;
    return next !== NULL ? next : this.firstFrom((this.words[(node + NODE.hash) >> 2]! & this.bucketMask) + 1);
  }

  /** The first node in bucket `index` or behind. */
  private firstFrom(index: number): Address {
    const start = this.buckets >> 2;
    for (let i = index; i <= this.bucketMask; i++) if (this.words[start + i] !== NULL) return this.words[start + i]!;
    return NULL;
  }
}
