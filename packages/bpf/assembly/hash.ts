import { NO_NODES, NOT_USUAL } from './context';

/*
 * Hashes of the maps (packages/maps: hash_table.ts, slab.ts, lru_list.ts say how they lie in memory). A table is three words:
 * the links to the first nodes, the mask that chooses one, the map's header.
 *
 * On the way of every packet conditions that are joined by `&&` are `if`s in each other: the compiler makes branches of these,
 * and of the others values that are branched on.
 */

// Nodes: next, the slab's two words, hash, key, value; in front of those of LRU hashes: neighbours, used, list.
const SLAB_LINK: u32 = 4;
const CHUNK: u32 = 8;
const HASH: u32 = 12;
export const NODE_KEY: u32 = 16;
const LRU_PREV: u32 = 16;
const LRU_NEXT: u32 = 12;
const LRU_USED: u32 = 8;
const LRU_LIST: u32 = 4;
// Of a map's header.
const MAX_ENTRIES: u32 = 16;
const STRIDE: u32 = 32;
const COUNT: u32 = 52;
const CHUNKS_WITH_FREE: u32 = 76;
const CHUNK_NODES: u32 = 84;
const FREE_COUNT: u32 = 92;
const INACTIVE: u32 = 116;
// Of a chunk.
const FREE_PREV: u32 = 0;
const FREE_NEXT: u32 = 4;
const FREE_HEAD: u32 = 16;
const FRESH: u32 = 20;
const USED: u32 = 24;
// Of a list.
const LIST_LAST: u32 = 4;
const LIST_LENGTH: u32 = 8;

@inline
function mix(h: u32, word: u32): u32 {
  h = (h ^ word) * 0x9e37_79b1;
  return h ^ (h >> 15);
}

@inline
function end(h: u32, tail: u32): u32 {
  h = (h ^ tail) * 0x85eb_ca6b;
  h ^= h >> 13;
  h *= 0xc2b2_ae35;
  return h ^ (h >> 16);
}

@inline
function hash4(word0: u32, word1: u32, word2: u32, tail: u32): u32 {
  return end(mix(mix(mix(0, word0), word1), word2), tail);
}

/** The link to the first node of the hash's bucket. */
@inline
function bucket(table: u32, hash: u32): u32 {
  return load<u32>(table) + ((hash & load<u32>(table, 4)) << 2);
}

/** The link to the node of a key of one word; to 0 if there is none. */
@inline
export function find1(table: u32, word: u32): u32 {
  const hash = end(0, word);
  let node = load<u32>(bucket(table, hash));
  while (node !== 0) {
    if (load<u32>(node, NODE_KEY) === word) return node;
    node = load<u32>(node);
  }
  return 0;
}

/** The same for a key of three words. */
@inline
export function find3(table: u32, word0: u32, word1: u32, word2: u32): u32 {
  const hash = end(mix(mix(0, word0), word1), word2);
  const words01 = (<u64>word1 << 32) | word0;
  let node = load<u32>(bucket(table, hash));
  while (node !== 0) {
    if (load<u32>(node, HASH) === hash)
      if (load<u64>(node, NODE_KEY) === words01) if (load<u32>(node, NODE_KEY + 8) === word2) return node;
    node = load<u32>(node);
  }
  return 0;
}

/** The same for one of four words. */
@inline
export function find4(table: u32, word0: u32, word1: u32, word2: u32, tail: u32): u32 {
  const hash = hash4(word0, word1, word2, tail);
  const words01 = (<u64>word1 << 32) | word0;
  const words23 = (<u64>tail << 32) | word2;
  let node = load<u32>(bucket(table, hash));
  while (node !== 0) {
    if (load<u32>(node, HASH) === hash)
      if (load<u64>(node, NODE_KEY) === words01) if (load<u64>(node, NODE_KEY + 8) === words23) return node;
    node = load<u32>(node);
  }
  return 0;
}

/** The hash of all words but the last. */
@inline
export function beginHash(key: u32, words: u32): u32 {
  const last = key + ((words - 1) << 2);
  let h: u32 = 0;
  for (let k = key; k < last; k += 4) h = mix(h, load<u32>(k));
  return h;
}

@inline
function hashOf(key: u32, words: u32): u32 {
  return end(beginHash(key, words), load<u32>(key + ((words - 1) << 2)));
}

@inline
function isKey(node: u32, hash: u32, key: u32, words: u32): bool {
  if (load<u32>(node, HASH) !== hash) return false;
  let i: u32 = 0;
  for (; i < (words >> 1) << 3; i += 8) if (load<u64>(node + i, NODE_KEY) !== load<u64>(key + i)) return false;
  return (words & 1) === 0 || load<u32>(node + i, NODE_KEY) === load<u32>(key + i);
}

/** The same for a key of any length that lies in memory, its last word filled up with zeros. */
export function find(table: u32, key: u32, words: u32): u32 {
  return findBegun(table, key, words, beginHash(key, words));
}

/** The same with the hash of all words but the last. */
@inline
export function findBegun(table: u32, key: u32, words: u32, begun: u32): u32 {
  const hash = end(begun, load<u32>(key + ((words - 1) << 2)));
  let node = load<u32>(bucket(table, hash));
  while (node !== 0 && !isKey(node, hash, key, words)) node = load<u32>(node);
  return node;
}

/** Marks an entry of an LRU hash as used. */
@inline
export function touch(node: u32): void {
  if (load<u32>(node - LRU_USED) === 0) store<u32>(node - LRU_USED, 1);
}

/** @returns 0 if there are nodes for so many entries more, and the map takes them without giving up others */
@inline
export function room(table: u32, entries: u32): i32 {
  const header = load<u32>(table, 8);
  if (load<u32>(header, COUNT) + entries > load<u32>(header, MAX_ENTRIES)) return NOT_USUAL;
  return load<u32>(header, FREE_COUNT) < entries ? NO_NODES : 0;
}

/**
 * The node of a key, for its value to be written; a new one at the end of its chain if there is none. The map is an LRU hash
 * of one owner, and has `room`.
 */
export function insert(table: u32, key: u32, words: u32): u32 {
  const hash = hashOf(key, words);
  let link = bucket(table, hash);
  let node = load<u32>(link);
  while (node !== 0) {
    if (isKey(node, hash, key, words)) {
      touch(node);
      return node;
    }
    link = node;
    node = load<u32>(link);
  }
  const header = load<u32>(table, 8);
  node = take(header);
  store<u32>(node, hash, HASH);
  for (let i: u32 = 0; i < words << 2; i += 4) store<u32>(node + i, load<u32>(key + i), NODE_KEY);
  store<u32>(node, 0);
  store<u32>(link, node);
  push(node, header + INACTIVE);
  store<u32>(header, load<u32>(header, COUNT) + 1, COUNT);
  return node;
}

/** A free node of the slab. */
function take(header: u32): u32 {
  const chunk = load<u32>(header, CHUNKS_WITH_FREE);
  let node = load<u32>(chunk, FREE_HEAD);
  if (node !== 0) store<u32>(chunk, load<u32>(node, SLAB_LINK), FREE_HEAD);
  else {
    node = load<u32>(chunk, FRESH);
    store<u32>(chunk, node + load<u32>(header, STRIDE), FRESH);
  }
  store<u32>(node, chunk, CHUNK);
  const used = load<u32>(chunk, USED) + 1;
  store<u32>(chunk, used, USED);
  if (used === load<u32>(header, CHUNK_NODES)) unchain(header, chunk);
  store<u32>(header, load<u32>(header, FREE_COUNT) - 1, FREE_COUNT);
  return node;
}

/** Takes a chunk that is full now, the first one, out of the list of those with free nodes. */
function unchain(header: u32, chunk: u32): void {
  const next = load<u32>(chunk, FREE_NEXT);
  store<u32>(header, next, CHUNKS_WITH_FREE);
  if (next !== 0) store<u32>(next, 0, FREE_PREV);
}

/** Makes a node the newest of an LRU list; it counts as not used yet. */
function push(node: u32, list: u32): void {
  const first = load<u32>(list);
  store<u32>(node - LRU_USED, 0);
  store<u32>(node - LRU_PREV, 0);
  store<u32>(node - LRU_NEXT, first);
  store<u32>(node - LRU_LIST, list);
  if (first === 0) store<u32>(list, node, LIST_LAST);
  else store<u32>(first - LRU_PREV, node);
  store<u32>(list, node);
  store<u32>(list, load<u32>(list, LIST_LENGTH) + 1, LIST_LENGTH);
}
