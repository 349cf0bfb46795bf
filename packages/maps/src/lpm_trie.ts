import { copyBytes, loadU32, round8 } from './bytes.ts';
import { EEXIST, EINVAL, ENOENT, ENOSPC } from './errors.ts';
import { bitAt } from './lpm_bits.ts';
import { longestMatch, longestMatch64, longestMatchUnaligned } from './lpm_lookup.ts';
import { after, INTERMEDIATE, KEY_DATA, type LpmLayout, leftmost, matchNode, NODE, pathTo } from './lpm_node.ts';
import {
  BPF_EXIST,
  BPF_MAP_TYPE_LPM_TRIE,
  BPF_NOEXIST,
  type BpfMap,
  checkSpec,
  createHeader,
  MAP_HEADER,
  type MapEntry,
  type MapSpec,
  readHeader,
} from './map.ts';
import { mapBytes, releaseMap } from './map_memory.ts';
import { type Address, type Memory, NULL } from './memory.ts';
import { Slab } from './slab.ts';

const MAX_DATA_BYTES = 256;
/**
 * BPF_MAP_TYPE_LPM_TRIE, walked as the kernel walks it: a binary trie whose nodes name the whole prefix they stand for,
 * so that a step may skip many bits. The key is a u32 prefix length in bits, then up to 256 bytes of data, matched from
 * the most significant bit of the first byte. `count` and `maxEntries` are about entries; intermediate nodes come on top.
 *
 * Any number of readers, and writers one at a time: links are published by one atomic store, a replaced node stays whole until the
 * readers have passed a quiet point. Source: semantics of kernel/bpf/lpm_trie.c (Linux 6.13 and later).
 */
export class LpmTrie implements BpfMap {
  readonly memory: Memory;
  readonly address: Address;
  readonly type = BPF_MAP_TYPE_LPM_TRIE;
  readonly spec: Readonly<MapSpec>;
  private readonly words: Int32Array;
  private readonly slab: Slab;
  /** Of the link to the root. */
  readonly root: Address;
  private readonly maxPrefixlen: number;
  private readonly valueOffset: number;

  private constructor(memory: Memory, address: Address, spec: MapSpec) {
    this.memory = memory;
    this.address = address;
    this.spec = spec;
    this.words = memory.i32;
    this.slab = new Slab(memory, address, NODE.slabLink, spec.singleOwner === true);
    this.root = address + MAP_HEADER.root;
    this.maxPrefixlen = (spec.keySize - KEY_DATA) * 8;
    this.valueOffset = memory.u32[(address + MAP_HEADER.valueOffset) >> 2]!;
  }

  /** @throws MapError EINVAL if the key is not 5..260 bytes, or a size is 0; ENOMEM */
  static create(memory: Memory, spec: MapSpec): LpmTrie {
    checkSpec(spec, spec.keySize > KEY_DATA && spec.keySize <= KEY_DATA + MAX_DATA_BYTES);
    const valueOffset = NODE.prefixlen + round8(spec.keySize);
    const stride = valueOffset + round8(spec.valueSize);
    const at = createHeader(memory, BPF_MAP_TYPE_LPM_TRIE, spec, { stride, valueOffset });
    Slab.init(memory, at, { stride, prefix: 0, perCpu: 0 });
    return LpmTrie.attach(memory, at);
  }

  /** @throws MapError EINVAL */
  static attach(memory: Memory, address: Address): LpmTrie {
    return new LpmTrie(memory, address, readHeader(memory, address, BPF_MAP_TYPE_LPM_TRIE).spec);
  }

  get count(): number {
    return this.memory.u32[(this.address + MAP_HEADER.count) >> 2]!;
  }

  get bytesUsed(): number {
    return mapBytes(this.memory, this.address);
  }

  /** For a walk by WebAssembly code on the same memory. The same rules hold for it as for `lookup`: see `Reader`. */
  get layout(): LpmLayout {
    return { ...NODE, intermediate: INTERMEDIATE, value: this.valueOffset, root: this.root };
  }

  /** The entry with the longest prefix that the key's first `prefixlen` bits begin with. */
  lookup(key: Address): Address {
    const words = this.words;
    const root = words[this.root >> 2]!;
    let node: Address;
    if ((key & 3) !== 0) node = longestMatchUnaligned(this.memory, root, key, this.maxPrefixlen);
    else if (this.maxPrefixlen === 64) {
      const k = key >> 2;
      node = longestMatch64(words, root, words[k]!, words[k + 1]!, words[k + 2]!);
    } else node = longestMatch(words, root, key, this.maxPrefixlen);
    return node === NULL ? NULL : node + this.valueOffset;
  }

  /** The key (u32 prefixlen, data) that belongs to a value address found by `lookup`. */
  keyOf(value: Address): Address {
    return value - this.valueOffset + NODE.prefixlen;
  }

  /** @returns 0; -EINVAL for a prefix too long; -EEXIST, -ENOENT by the flags; -ENOSPC if full; -EBUSY as `HashMap` */
  update(key: Address, value: Address, flags = 0): number {
    const m = this.memory;
    const keyBits = loadU32(m, key);
    if (flags < 0 || flags > BPF_EXIST || keyBits > this.maxPrefixlen) return -EINVAL;
    this.slab.lock();
    const reserved = this.slab.reserve(2); // the entry's node, and one where two prefixes part
    const result = reserved !== 0 ? reserved : this.put(key, value, flags, keyBits);
    this.slab.unlock();
    return result;
  }

  private put(key: Address, value: Address, flags: number, keyBits: number): number {
    const m = this.memory;
    const words = this.words;
    const link = this.walk(key, keyBits);
    const node = words[link >> 2]!;
    const matched = node === NULL ? 0 : matchNode(m, node, key);
    const isSame = node !== NULL && words[(node + NODE.prefixlen) >> 2] === matched;
    const isEntry = isSame && (words[(node + NODE.flags) >> 2]! & INTERMEDIATE) === 0;
    if (isEntry && flags === BPF_NOEXIST) return -EEXIST;
    if (!isEntry && flags === BPF_EXIST) return -ENOENT;
    if (!isEntry && this.count >= this.spec.maxEntries) return -ENOSPC;

    const fresh = this.slab.take();
    copyBytes(m, fresh + NODE.prefixlen, key, this.spec.keySize);
    copyBytes(m, fresh + this.valueOffset, value, this.spec.valueSize);
    this.setChildren(fresh, NULL, NULL);
    if (isSame) {
      this.setChildren(fresh, words[(node + NODE.child0) >> 2]!, words[(node + NODE.child1) >> 2]!);
      this.publish(link, fresh);
      this.slab.retire(node);
    } else if (node === NULL) {
      this.publish(link, fresh);
    } else if (matched === keyBits) {
      // The new prefix contains the node's: it becomes the node's parent.
      words[(fresh >> 2) + bitAt(m, node + NODE.data, matched)] = node;
      this.publish(link, fresh);
    } else {
      this.fork(link, node, fresh, matched);
    }
    if (!isEntry) this.addToCount(1);
    return 0;
  }

  /** @returns 0, -EINVAL for a prefix too long, or -ENOENT */
  delete(key: Address): number {
    const keyBits = loadU32(this.memory, key);
    if (keyBits > this.maxPrefixlen) return -EINVAL;
    this.slab.lock();
    const path = pathTo(this.memory, this.words[this.root >> 2]!, key);
    const result = path.length === 0 ? -ENOENT : this.unlink(path);
    this.slab.unlock();
    return result;
  }

  /** Takes out the entry at the end of `path`. */
  private unlink(path: Address[]): number {
    const words = this.words;
    const node = path.at(-1)!;
    const parent = path.at(-2);
    this.addToCount(-1);
    const child0 = words[(node + NODE.child0) >> 2]!;
    const child1 = words[(node + NODE.child1) >> 2]!;
    if (child0 !== NULL && child1 !== NULL) {
      Atomics.or(words, (node + NODE.flags) >> 2, INTERMEDIATE);
      return 0;
    }
    const isLeaf = child0 === NULL && child1 === NULL;
    if (isLeaf && parent !== undefined && (words[(parent + NODE.flags) >> 2]! & INTERMEDIATE) !== 0) {
      // The parent would keep one child only: that one takes its place.
      const isFirst = words[(parent + NODE.child0) >> 2] === node;
      const sibling = words[(parent + (isFirst ? NODE.child1 : NODE.child0)) >> 2]!;
      this.publish(this.linkTo(path, path.length - 2), sibling);
      this.slab.retire(parent);
    } else {
      this.publish(this.linkTo(path, path.length - 1), child0 !== NULL ? child0 : child1);
    }
    this.slab.retire(node);
    return 0;
  }

  /** Postorder, as in the kernel: longer prefixes before the ones that contain them. */
  getNextKey(key: Address, nextKey: Address): number {
    const words = this.memory.i32;
    const root = words[this.root >> 2]!;
    if (root === NULL) return -ENOENT;
    const keyBits = key === NULL ? this.maxPrefixlen + 1 : loadU32(this.memory, key);
    const path = keyBits > this.maxPrefixlen ? [] : pathTo(this.memory, words[this.root >> 2]!, key);
    const next = path.length === 0 ? leftmost(this.memory, root) : after(this.memory, path);
    if (next === NULL) return -ENOENT;
    copyBytes(this.memory, nextKey, next + NODE.prefixlen, this.spec.keySize);
    return 0;
  }

  entries(): MapEntry[] {
    const words = this.memory.i32;
    const found: MapEntry[] = [];
    const visit = (node: Address): void => {
      if (node === NULL) return;
      visit(words[(node + NODE.child0) >> 2]!);
      visit(words[(node + NODE.child1) >> 2]!);
      if ((words[(node + NODE.flags) >> 2]! & INTERMEDIATE) !== 0) return;
      found.push({ key: node + NODE.prefixlen, value: node + this.valueOffset });
    };
    visit(words[this.root >> 2]!);
    return found;
  }

  destroy(): void {
    releaseMap(this.memory, this.address);
  }

  /** Address of the link at which the key's walk stops: NULL there, or a node that is the key's or not a prefix of it. */
  private walk(key: Address, keyBits: number): Address {
    const words = this.memory.i32;
    let link = this.root;
    for (let node = words[link >> 2]!; node !== NULL; node = words[link >> 2]!) {
      const nodeBits = words[(node + NODE.prefixlen) >> 2]!;
      if (nodeBits === keyBits || matchNode(this.memory, node, key) !== nodeBits) break;
      link = node + 4 * bitAt(this.memory, key + KEY_DATA, nodeBits);
    }
    return link;
  }

  /** Address of the link that points to `path[depth]`. */
  private linkTo(path: Address[], depth: number): Address {
    if (depth === 0) return this.root;
    const parent = path[depth - 1]!;
    const isFirst = this.memory.i32[(parent + NODE.child0) >> 2] === path[depth];
    return parent + (isFirst ? NODE.child0 : NODE.child1);
  }

  /** Puts an intermediate node at `link`, above `node` and `fresh`, which part after `matched` bits. */
  private fork(link: Address, node: Address, fresh: Address, matched: number): void {
    const m = this.memory;
    const middle = this.slab.take();
    copyBytes(m, middle + NODE.data, node + NODE.data, this.spec.keySize - KEY_DATA);
    m.i32[(middle + NODE.prefixlen) >> 2] = matched;
    m.i32[(middle + NODE.flags) >> 2]! |= INTERMEDIATE;
    if (bitAt(m, fresh + NODE.data, matched) === 1) this.setChildren(middle, node, fresh);
    else this.setChildren(middle, fresh, node);
    this.publish(link, middle);
  }

  private setChildren(node: Address, child0: Address, child1: Address): void {
    this.memory.i32[(node + NODE.child0) >> 2] = child0;
    this.memory.i32[(node + NODE.child1) >> 2] = child1;
  }

  private publish(link: Address, node: Address): void {
    Atomics.store(this.memory.i32, link >> 2, node);
  }

  private addToCount(by: number): void {
    Atomics.add(this.memory.i32, (this.address + MAP_HEADER.count) >> 2, by);
  }
}
