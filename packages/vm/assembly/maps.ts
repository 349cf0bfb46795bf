/*
 * Updates and deletes of hashes that need neither memory nor somebody else: what the classes of the room maps do (hash.ts,
 * hash_table.ts, slab.ts, lru_list.ts, percpu_hash.ts, array.ts), word by word the same. Everything else is left to them.
 */

// @ts-ignore: helpers 2 and 3 in TypeScript
@external("env", "update") declare function updateBySlow(map: u32, key: u32, value: u32, flags: u32, high: u32): i32;
// @ts-ignore
@external("env", "delete") declare function deleteBySlow(map: u32, key: u32): i32;
// @ts-ignore: the address of the machine's words
@external("env", "state") declare const STATE: u32;
const CPU: u32 = 4;

const EINVAL: i32 = -22;
const EEXIST: i32 = -17;
const ENOENT: i32 = -2;
const E2BIG: i32 = -7;
const NOEXIST: u32 = 1;
const EXIST: u32 = 2;

const HASH_MAP: u32 = 1;
const ARRAY: u32 = 2;
const PERCPU_HASH: u32 = 5;
const LRU_HASH: u32 = 9;
const LRU_PERCPU_HASH: u32 = 10;

// Of a map's header.
const MAGIC_AT: u32 = 0;
const MAGIC: u32 = 0x5046_4243;
const TYPE: u32 = 4;
const KEY_SIZE: u32 = 8;
const VALUE_SIZE: u32 = 12;
const MAX_ENTRIES: u32 = 16;
const FLAGS: u32 = 20;
const SINGLE_OWNER: u32 = 1;
const ELEMENTS: u32 = 24;
const STRIDE: u32 = 32;
const VALUE_OFFSET: u32 = 36;
const BUCKETS: u32 = 40;
const BUCKET_MASK: u32 = 44;
const COUNT: u32 = 52;
const LOCK: u32 = 56;
const CPUS: u32 = 64;
const CPU_STRIDE: u32 = 68;
const CHUNKS_WITH_FREE: u32 = 76;
const CHUNK_NODES: u32 = 84;
const FREE_COUNT: u32 = 92;
const RETIRED: u32 = 96;
const RETIRED_COUNT: u32 = 100;
const WAITING_COUNT: u32 = 108;
const INACTIVE: u32 = 116;
/** From so many on the readers are asked: see `Slab`. */
const BATCH: u32 = 64;
const MAX_RETIRED: u32 = 256;

// Of a node: next, the slab's two words, hash, key; in front of it, of an LRU hash, neighbours, used, list.
const SLAB_LINK: u32 = 4;
const CHUNK: u32 = 8;
const HASH: u32 = 12;
const KEY: u32 = 16;
const LRU_PREV: u32 = 16;
const LRU_NEXT: u32 = 12;
const LRU_USED: u32 = 8;
const LRU_LIST: u32 = 4;
// Of a chunk.
const FREE_PREV: u32 = 0;
const FREE_NEXT: u32 = 4;
const FREE_HEAD: u32 = 16;
const FRESH: u32 = 20;
const USED: u32 = 24;
// Of a list.
const LAST: u32 = 4;
const LENGTH: u32 = 8;

const FREE: i32 = 0;
const HELD: i32 = 1;
const CONTENDED: i32 = 2;

@inline
function isMap(map: u32): bool {
  return map !== 0 && (map & 7) === 0 && load<u32>(map, MAGIC_AT) === MAGIC;
}
@inline
function isLru(type: u32): bool {
  return type === LRU_HASH || type === LRU_PERCPU_HASH;
}
/** @returns false if somebody else holds the lock */
@inline
function lock(map: u32, isShared: bool): bool {
  return !isShared || atomic.cmpxchg<i32>(map + LOCK, FREE, HELD) === FREE;
}
@inline
function unlock(map: u32, isShared: bool): void {
  if (isShared && atomic.xchg<i32>(map + LOCK, FREE) === CONTENDED) atomic.notify(map + LOCK, 1);
}

/** Each word by one store. */
@inline
function copyWords(to: u32, from: u32, size: u32): void {
  let i: u32 = 0;
  for (; i + 4 <= size; i += 4) store<u32>(to + i, load<u32>(from + i));
  for (; i < size; i++) store<u8>(to + i, load<u8>(from + i));
}

/** The last word of a key, which may be shorter than 4 bytes. */
@inline
function tailOf(key: u32, size: u32): u32 {
  const at = key + ((size - 1) & ~3);
  switch (size & 3) {
    case 0:
      return load<u32>(at);
    case 1:
      return load<u8>(at);
    case 2:
      return load<u16>(at);
    default:
      return <u32>load<u16>(at) | (<u32>load<u8>(at, 2) << 16);
  }
}

function hashOf(key: u32, size: u32, tail: u32): u32 {
  let h: u32 = 0;
  const end = (size - 1) & ~3;
  for (let i: u32 = 0; i < end; i += 4) {
    h = (h ^ load<u32>(key + i)) * 0x9e37_79b1;
    h ^= h >> 15;
  }
  h = (h ^ tail) * 0x85eb_ca6b;
  h ^= h >> 13;
  h *= 0xc2b2_ae35;
  return h ^ (h >> 16);
}

/** The link to the key's node, or the NULL link at the end of its chain. */
function linkTo(map: u32, key: u32, size: u32, tail: u32, hash: u32): u32 {
  const end = (size - 1) & ~3;
  let link = load<u32>(map, BUCKETS) + ((hash & load<u32>(map, BUCKET_MASK)) << 2);
  for (let node = load<u32>(link); node !== 0; node = load<u32>(link)) {
    if (load<u32>(node, HASH) === hash && load<u32>(node + end, KEY) === tail) {
      let i: u32 = 0;
      while (i < end && load<u32>(node + i, KEY) === load<u32>(key + i)) i += 4;
      if (i === end) return link;
    }
    link = node;
  }
  return link;
}

/** A node of a chunk with a free one. */
function take(map: u32): u32 {
  const chunk = load<u32>(map, CHUNKS_WITH_FREE);
  let node = load<u32>(chunk, FREE_HEAD);
  if (node !== 0) store<u32>(chunk, load<u32>(node, SLAB_LINK), FREE_HEAD);
  else {
    node = load<u32>(chunk, FRESH);
    store<u32>(chunk, node + load<u32>(map, STRIDE), FRESH);
  }
  store<u32>(node, chunk, CHUNK);
  const used = load<u32>(chunk, USED) + 1;
  store<u32>(chunk, used, USED);
  if (used === load<u32>(map, CHUNK_NODES)) {
    const before = load<u32>(chunk, FREE_PREV);
    const after = load<u32>(chunk, FREE_NEXT);
    if (before === 0) store<u32>(map, after, CHUNKS_WITH_FREE);
    else store<u32>(before, after, FREE_NEXT);
    if (after !== 0) store<u32>(after, before, FREE_PREV);
  }
  store<u32>(map, load<u32>(map, FREE_COUNT) - 1, FREE_COUNT);
  return node;
}

/** First of the inactive list, not used yet. */
function addToList(map: u32, node: u32): void {
  const list = map + INACTIVE;
  const first = load<u32>(list);
  store<u32>(node - LRU_USED, 0);
  store<u32>(node - LRU_PREV, 0);
  store<u32>(node - LRU_NEXT, first);
  store<u32>(node - LRU_LIST, list);
  store<u32>(first === 0 ? list + LAST : first - LRU_PREV, node);
  store<u32>(list, node);
  store<u32>(list, load<u32>(list, LENGTH) + 1, LENGTH);
}

function removeFromList(node: u32): void {
  const list = load<u32>(node - LRU_LIST);
  const before = load<u32>(node - LRU_PREV);
  const after = load<u32>(node - LRU_NEXT);
  store<u32>(before === 0 ? list : before - LRU_NEXT, after);
  store<u32>(after === 0 ? list + LAST : after - LRU_PREV, before);
  store<u32>(list, load<u32>(list, LENGTH) - 1, LENGTH);
}

/** Whether one more node may be taken out without asking the readers. */
@inline
function canRetire(map: u32): bool {
  return load<u32>(map, RETIRED_COUNT) + 1 < BATCH;
}

@inline
function retire(map: u32, node: u32): void {
  store<u32>(node, load<u32>(map, RETIRED), SLAB_LINK);
  store<u32>(map, node, RETIRED);
  store<u32>(map, load<u32>(map, RETIRED_COUNT) + 1, RETIRED_COUNT);
}

@inline
function touch(node: u32): void {
  if (load<u32>(node - LRU_USED) === 0) store<u32>(node - LRU_USED, 1);
}

const SLOW: i32 = 1;

/** Under the lock. @returns SLOW, and nothing has changed, or what an update answers */
function put(map: u32, type: u32, isShared: bool, key: u32, value: u32, flags: u32): i32 {
  if (load<u32>(map, FREE_COUNT) === 0) return SLOW;
  if (load<u32>(map, RETIRED_COUNT) + load<u32>(map, WAITING_COUNT) > MAX_RETIRED) return SLOW;
  const keySize = load<u32>(map, KEY_SIZE);
  const valueSize = load<u32>(map, VALUE_SIZE);
  const valueOffset = load<u32>(map, VALUE_OFFSET);
  const tail = tailOf(key, keySize);
  const hash = hashOf(key, keySize, tail);
  const link = linkTo(map, key, keySize, tail, hash);
  const old = load<u32>(link);
  if (old !== 0 && flags === NOEXIST) return EEXIST;
  if (old === 0 && flags === EXIST) return ENOENT;
  const isPerCpu = type === PERCPU_HASH || type === LRU_PERCPU_HASH;
  if (isPerCpu && load<u32>(STATE, CPU) >= load<u32>(map, CPUS)) return SLOW;
  if (old !== 0 && (isPerCpu || !isShared)) {
    const at = isPerCpu
      ? load<u32>(old + valueOffset) + load<u32>(STATE, CPU) * load<u32>(map, CPU_STRIDE)
      : old + valueOffset;
    copyWords(at, value, valueSize);
    if (isLru(type)) touch(old);
    return 0;
  }
  if (isPerCpu) return SLOW;
  if (old === 0 ? load<u32>(map, COUNT) >= load<u32>(map, MAX_ENTRIES) : !canRetire(map)) return SLOW;
  const node = take(map);
  store<u32>(node + ((keySize - 1) & ~3), 0, KEY);
  memory.copy(node + KEY, key, keySize);
  store<u32>(node, hash, HASH);
  memory.copy(node + valueOffset, value, valueSize);
  store<u32>(node, old === 0 ? 0 : load<u32>(old));
  atomic.store<u32>(link, node);
  if (isLru(type)) addToList(map, node);
  if (old === 0) {
    atomic.add<u32>(map + COUNT, 1);
    return 0;
  }
  if (isLru(type)) {
    store<u32>(node - LRU_USED, 1);
    removeFromList(old);
  }
  retire(map, old);
  return 0;
}

function putElement(map: u32, key: u32, value: u32, flags: u32): i32 {
  const index = load<u32>(key);
  if (index >= load<u32>(map, MAX_ENTRIES)) return E2BIG;
  if (flags === NOEXIST) return EEXIST;
  const at = load<u32>(map, ELEMENTS) + index * load<u32>(map, STRIDE);
  const size = load<u32>(map, VALUE_SIZE);
  if (size === 4) atomic.store<u32>(at, load<u32>(value));
  else if (size === 8) atomic.store<u64>(at, load<u64>(value));
  else copyWords(at, value, size);
  return 0;
}

export function helper_2(map: u32, key: u32, value: u32, flags: u32, high: u32): i32 {
  if (high !== 0) return EINVAL;
  const type = isMap(map) ? load<u32>(map, TYPE) : 0;
  const isHash = type === HASH_MAP || type === PERCPU_HASH || isLru(type);
  if (flags > EXIST && (isHash || type === ARRAY)) return EINVAL;
  if (type === ARRAY) return putElement(map, key, value, flags);
  const isShared = isHash && (load<u32>(map, FLAGS) & SINGLE_OWNER) === 0;
  if (!isHash || !lock(map, isShared)) return updateBySlow(map, key, value, flags, high);
  const result = put(map, type, isShared, key, value, flags);
  unlock(map, isShared);
  return result === SLOW ? updateBySlow(map, key, value, flags, high) : result;
}

export function helper_3(map: u32, key: u32): i32 {
  const type = isMap(map) ? load<u32>(map, TYPE) : 0;
  const isHash = type === HASH_MAP || type === PERCPU_HASH || isLru(type);
  // What a single owner takes out is free at once, and its chunk may be given back.
  if (!isHash || (load<u32>(map, FLAGS) & SINGLE_OWNER) !== 0 || !lock(map, true)) return deleteBySlow(map, key);
  const keySize = load<u32>(map, KEY_SIZE);
  const tail = tailOf(key, keySize);
  const link = linkTo(map, key, keySize, tail, hashOf(key, keySize, tail));
  const node = load<u32>(link);
  const isFast = node === 0 || canRetire(map);
  if (node !== 0 && isFast) {
    atomic.store<u32>(link, load<u32>(node));
    atomic.sub<u32>(map + COUNT, 1);
    if (isLru(type)) removeFromList(node);
    retire(map, node);
  }
  unlock(map, true);
  if (!isFast) return deleteBySlow(map, key);
  return node === 0 ? ENOENT : 0;
}
