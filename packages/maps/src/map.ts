import { MapError } from './errors.ts';
import { type Address, type Memory, NULL } from './memory.ts';

/** Numbers of bpf(2). Source: include/uapi/linux/bpf.h. */
export const BPF_MAP_TYPE_HASH = 1;
export const BPF_MAP_TYPE_ARRAY = 2;
export const BPF_MAP_TYPE_PROG_ARRAY = 3;
export const BPF_MAP_TYPE_PERF_EVENT_ARRAY = 4;
export const BPF_MAP_TYPE_PERCPU_HASH = 5;
export const BPF_MAP_TYPE_PERCPU_ARRAY = 6;
export const BPF_MAP_TYPE_LRU_HASH = 9;
export const BPF_MAP_TYPE_LRU_PERCPU_HASH = 10;
export const BPF_MAP_TYPE_LPM_TRIE = 11;
export const BPF_MAP_TYPE_ARRAY_OF_MAPS = 12;
export const BPF_MAP_TYPE_HASH_OF_MAPS = 13;
export const BPF_MAP_TYPE_RINGBUF = 27;

/** Flags of `update`: create or replace; only create; only replace. */
export const BPF_ANY = 0;
export const BPF_NOEXIST = 1;
export const BPF_EXIST = 2;

export interface MapSpec {
  /** Bytes. */
  keySize: number;
  /** Bytes. */
  valueSize: number;
  maxEntries: number;
  /** For messages; at most 32 bytes are kept. */
  name?: string;
  /**
   * Only one thread ever reads or writes this map (conntrack of one shard). Then an update goes in place and a deleted
   * entry is used again at once. Otherwise: any number of writers (one at a time, by a lock) and readers, and a replaced
   * entry stays whole until the readers have passed a quiet point.
   */
  singleOwner?: boolean;
  /** Of a per-CPU map: how many values each key has, one a worker. 1..64, by default 1. */
  cpus?: number;
}

export interface MapEntry {
  key: Address;
  value: Address;
}

/**
 * What every map can do. Keys and values are passed as addresses, as pointers to the BPF stack are; results are codes.
 * An entry stays at its address while it exists: a program may keep it, until its next quiet point, and change fields.
 */
export interface BpfMap {
  readonly memory: Memory;
  /** Of the header: the handle that any thread may `attach` to. */
  readonly address: Address;
  /** BPF_MAP_TYPE_*. */
  readonly type: number;
  readonly spec: Readonly<MapSpec>;
  /** Entries now in the map. */
  readonly count: number;
  /** Bytes of the memory that the map takes now: header, buckets, entries. */
  readonly bytesUsed: number;
  /** @returns address of the value, or NULL. Allocates nothing. */
  lookup(key: Address): Address;
  /** @returns 0, or a negative errno. */
  update(key: Address, value: Address, flags?: number): number;
  /** @returns 0, or a negative errno. */
  delete(key: Address): number;
  /** Writes the key after the one at `key` (NULL or not in the map: the first) to `nextKey`. @returns 0, or -ENOENT at the end */
  getNextKey(key: Address, nextKey: Address): number;
  /** The entries as of the call, in the order of `getNextKey`. For dumps; writer's thread. */
  entries(): Iterable<MapEntry>;
  /** Waits for the readers, then gives all memory back. The object is of no use afterwards. @throws MapError EBUSY */
  destroy(): void;
}

/**
 * The header of every map, 256 bytes, u32 each; the same for all languages that read it. `data` is valid only where
 * elements lie in one block (arrays, rings); `bucketMask` and `buckets` only for hashes; `root` only for an LPM trie;
 * `inner` only for maps of maps.
 */
export const MAP_HEADER = {
  size: 256,
  magic: 0,
  type: 4,
  keySize: 8,
  valueSize: 12,
  maxEntries: 16,
  /** Bit 0: single owner. */
  flags: 20,
  /** Address and bytes of the elements. */
  data: 24,
  dataBytes: 28,
  /** Bytes from one entry to the next. */
  stride: 32,
  /** Bytes from an entry's start to its value. */
  valueOffset: 36,
  buckets: 40,
  bucketMask: 44,
  root: 48,
  count: 52,
  /** The writers' lock word. */
  lock: 56,
  /** Who holds the map: 1 for its creator, 1 for each slot of a map of maps. Freed at 0. */
  references: 60,
  /** Values per key, and bytes from one worker's value to the next one's. */
  cpus: 64,
  cpuStride: 68,
  /** See slab.ts. */
  chunks: 72,
  chunksWithFree: 76,
  chunkCount: 80,
  chunkNodes: 84,
  chunkBytes: 88,
  freeCount: 92,
  nodePrefix: 156,
  retired: 96,
  retiredCount: 100,
  waiting: 104,
  waitingCount: 108,
  waitingEpoch: 112,
  /** See lru_list.ts: two lists of first, last, length. */
  inactive: 116,
  active: 128,
  /** Type, key size, value size and maximal number of entries that an inner map must have. */
  inner: 140,
  /** 32 bytes, UTF-8, padded with zero. */
  name: 224,
} as const;
const NAME_BYTES = 32;
const MAGIC = 0x5046_4243; // 'CBFP'
const SINGLE_OWNER = 1;
const MAX_CPUS = 64;

export interface Shape {
  /** Of elements in one block; 0 = the map has none. */
  dataBytes?: number;
  stride: number;
  valueOffset: number;
  cpuStride?: number;
}

/** Allocates header and data of a map. @throws MapError EINVAL, ENOMEM */
export function createHeader(memory: Memory, type: number, spec: MapSpec, shape: Shape): Address {
  const { dataBytes = 0, cpuStride = 0 } = shape;
  const cpus = spec.cpus ?? 1;
  if (!(Number.isInteger(cpus) && cpus >= 1 && cpus <= MAX_CPUS)) {
    throw new MapError('EINVAL', 'a map has between 1 and 64 workers', { name: spec.name ?? '', cpus });
  }
  const at = memory.alloc(MAP_HEADER.size);
  let data: Address = NULL;
  try {
    if (dataBytes > 0) data = memory.alloc(dataBytes);
  } catch (error) {
    memory.free(at, MAP_HEADER.size);
    throw error;
  }
  const set = (field: number, value: number): void => {
    memory.u32[(at + field) >> 2] = value;
  };
  set(MAP_HEADER.type, type);
  set(MAP_HEADER.keySize, spec.keySize);
  set(MAP_HEADER.valueSize, spec.valueSize);
  set(MAP_HEADER.maxEntries, spec.maxEntries);
  set(MAP_HEADER.flags, spec.singleOwner ? SINGLE_OWNER : 0);
  set(MAP_HEADER.data, data);
  set(MAP_HEADER.dataBytes, dataBytes);
  set(MAP_HEADER.stride, shape.stride);
  set(MAP_HEADER.valueOffset, shape.valueOffset);
  set(MAP_HEADER.references, 1);
  set(MAP_HEADER.cpus, cpus);
  set(MAP_HEADER.cpuStride, cpuStride);
  memory.u8.set(new TextEncoder().encode(spec.name ?? '').subarray(0, NAME_BYTES), at + MAP_HEADER.name);
  set(MAP_HEADER.magic, MAGIC);
  return at;
}

/** @throws MapError EINVAL if no map of this type is there; `type` undefined accepts any */
export function readHeader(memory: Memory, at: Address, type?: number): { type: number; spec: MapSpec } {
  const isInside = at > 0 && at % 8 === 0 && at + MAP_HEADER.size <= memory.u8.length;
  const get = (field: number): number => (isInside ? memory.u32[(at + field) >> 2]! : 0);
  if (get(MAP_HEADER.magic) !== MAGIC) throw new MapError('EINVAL', 'no map at this address', { address: at });
  const found = get(MAP_HEADER.type);
  if (type !== undefined && found !== type) {
    throw new MapError('EINVAL', 'a map of another type', { address: at, wanted: type, found });
  }
  const name = new TextDecoder().decode(memory.u8.slice(at + MAP_HEADER.name, at + MAP_HEADER.name + NAME_BYTES));
  const spec = {
    keySize: get(MAP_HEADER.keySize),
    valueSize: get(MAP_HEADER.valueSize),
    maxEntries: get(MAP_HEADER.maxEntries),
    name: name.replace(/\0+$/, ''),
    singleOwner: (get(MAP_HEADER.flags) & SINGLE_OWNER) !== 0,
    cpus: get(MAP_HEADER.cpus),
  };
  return { type: found, spec };
}

/** @throws MapError EINVAL, as map creation does, for sizes out of range */
export function checkSpec(spec: MapSpec, isValidKeySize: boolean): void {
  const isCount = (n: number): boolean => Number.isInteger(n) && n > 0 && n < 2 ** 31;
  if (isValidKeySize && isCount(spec.keySize) && isCount(spec.valueSize) && isCount(spec.maxEntries)) return;
  const { keySize, valueSize, maxEntries, name = '' } = spec;
  throw new MapError('EINVAL', 'a map cannot have these sizes', { name, keySize, valueSize, maxEntries });
}
