import {
  type Address,
  BPF_MAP_TYPE_ARRAY,
  BPF_MAP_TYPE_HASH,
  BPF_MAP_TYPE_LPM_TRIE,
  BPF_MAP_TYPE_LRU_HASH,
  BPF_MAP_TYPE_LRU_PERCPU_HASH,
  BPF_MAP_TYPE_PERCPU_ARRAY,
  BPF_MAP_TYPE_PERCPU_HASH,
  HASH_NODE,
  LpmTrie,
  LRU_NODE,
  MAP_HEADER,
  type Memory,
} from '@ciliate/maps';
import { STATE } from '../machine/machine.ts';
import type { ModuleFunction } from './module.ts';
import { CodeWriter, OP, TYPE } from './wasm.ts';

const LRU_TYPES: readonly number[] = [BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_LRU_PERCPU_HASH];
const PER_CPU_TYPES: readonly number[] = [BPF_MAP_TYPE_PERCPU_HASH, BPF_MAP_TYPE_LRU_PERCPU_HASH];
/** Longer keys are looked up in TypeScript. */
const MAX_KEY_WORDS = 16;
/** The key's address: the only parameter. */
const KEY = 0;

/**
 * lookup(key) of one map, as code with the map's addresses and sizes in it. It reads what `lookup` of the map's class reads, in
 * the same order; the same rules hold for readers.
 * @param state global: address of `STATE`
 * @returns undefined for types and keys that are left to the class
 */
export function mapLookup(memory: Memory, map: Address, state: number): ModuleFunction | undefined {
  const field = (at: number): number => memory.u32[(map + at) >> 2]!;
  const type = field(MAP_HEADER.type);
  const words = (field(MAP_HEADER.keySize) + 3) >> 2;
  const signature = { params: [TYPE.i32], results: [TYPE.i32] };
  if (type === BPF_MAP_TYPE_ARRAY || type === BPF_MAP_TYPE_PERCPU_ARRAY) {
    return { signature, i32Locals: 1, i64Locals: 0, code: arrayLookup(field, type, state) };
  }
  if (type === BPF_MAP_TYPE_LPM_TRIE) {
    return { signature, i32Locals: 8, i64Locals: 0, code: trieLookup(LpmTrie.attach(memory, map), state) };
  }
  const isHash = type === BPF_MAP_TYPE_HASH || LRU_TYPES.includes(type) || PER_CPU_TYPES.includes(type);
  if (!isHash || words > MAX_KEY_WORDS) return undefined;
  return { signature, i32Locals: 2 + words, i64Locals: 0, code: hashLookup(field, type, words, state) };
}

/** Adds this worker's distance from worker 0's values to the address on the stack. */
function addCpu(w: CodeWriter, field: (at: number) => number, state: number): void {
  if (field(MAP_HEADER.cpus) === 1) return;
  w.u8(OP.globalGet)
    .unsigned(state)
    .memory(OP.i32Load, STATE.cpu, 2)
    .i32(field(MAP_HEADER.cpuStride))
    .u8(OP.i32Mul, OP.i32Add);
}

function arrayLookup(field: (at: number) => number, type: number, state: number): CodeWriter {
  const index = 1;
  const w = new CodeWriter().get(KEY).memory(OP.i32Load, 0).tee(index).i32(field(MAP_HEADER.maxEntries));
  w.u8(OP.i32GeU, OP.if, TYPE.none).i32(0).u8(OP.return, OP.end);
  w.get(index).i32(field(MAP_HEADER.stride)).u8(OP.i32Mul).i32(field(MAP_HEADER.data)).u8(OP.i32Add);
  if (type === BPF_MAP_TYPE_PERCPU_ARRAY) addCpu(w, field, state);
  return w;
}

/** See `HashTable.find` in the room maps, and `keyHash` for the numbers. */
function hashLookup(field: (at: number) => number, type: number, words: number, state: number): CodeWriter {
  const [hash, node, first] = [1, 2, 3];
  const lastBytes = ((field(MAP_HEADER.keySize) - 1) & 3) + 1;
  const w = new CodeWriter();
  const shifted = (bits: number): void => {
    w.tee(hash).get(hash).i32(bits).u8(OP.i32ShrU, OP.i32Xor);
  };
  for (let i = 0; i < words; i++) {
    const isLast = i === words - 1;
    w.get(KEY).memory(OP.i32Load, 4 * i);
    if (isLast && lastBytes < 4) w.i32(2 ** (8 * lastBytes) - 1).u8(OP.i32And);
    w.tee(first + i);
    if (i > 0) w.get(hash).u8(OP.i32Xor);
    w.i32(isLast ? 0x85eb_ca6b : 0x9e37_79b1).u8(OP.i32Mul);
    shifted(isLast ? 13 : 15);
    if (isLast) {
      w.i32(0xc2b2_ae35).u8(OP.i32Mul);
      shifted(16);
    }
    w.set(hash);
  }
  w.get(hash).i32(field(MAP_HEADER.bucketMask)).u8(OP.i32And).i32(2).u8(OP.i32Shl);
  w.memory(OP.i32Load, field(MAP_HEADER.buckets), 2).set(node);
  w.u8(OP.block, TYPE.none, OP.loop, TYPE.none);
  w.get(node).u8(OP.i32Eqz, OP.brIf).unsigned(1);
  w.u8(OP.block, TYPE.none);
  w.get(node).memory(OP.i32Load, HASH_NODE.hash, 2).get(hash).u8(OP.i32Ne, OP.brIf).unsigned(0);
  for (let i = 0; i < words; i++) {
    w.get(node)
      .memory(OP.i32Load, HASH_NODE.key + 4 * i, 2)
      .get(first + i)
      .u8(OP.i32Ne, OP.brIf)
      .unsigned(0);
  }
  if (LRU_TYPES.includes(type)) {
    // Below the node, so the offset is no unsigned one. Stored only once: see `LruList.touch`.
    w.get(node).i32(LRU_NODE.used).u8(OP.i32Add).memory(OP.i32Load, 0, 2).u8(OP.i32Eqz, OP.if, TYPE.none);
    w.get(node).i32(LRU_NODE.used).u8(OP.i32Add).i32(1).memory(OP.i32Store, 0, 2).u8(OP.end);
  }
  w.get(node);
  if (PER_CPU_TYPES.includes(type)) {
    w.memory(OP.i32Load, field(MAP_HEADER.valueOffset), 2);
    addCpu(w, field, state);
  } else w.i32(field(MAP_HEADER.valueOffset)).u8(OP.i32Add);
  w.u8(OP.return, OP.end);
  w.get(node).memory(OP.i32Load, HASH_NODE.next, 2).set(node).u8(OP.br).unsigned(0);
  w.u8(OP.end, OP.end).i32(0);
  return w;
}

/** See `longestMatch` in the room maps: prefixes of a child begin with its parent's, so a word is compared whole once. */
function trieLookup({ layout, spec }: LpmTrie, state: number): CodeWriter {
  const [node, found, nodeBits, word, nextWord, keyWord, rest, keyBits] = [1, 2, 3, 4, 5, 6, 7, 8];
  const DATA = 4; // behind the prefix length of the key
  const maxBits = (spec.keySize - DATA) * 8;
  const w = new CodeWriter();
  const answerNode = (bits: number): void => {
    w.get(bits).i32(maxBits).u8(OP.i32Eq, OP.if, TYPE.none);
    w.get(node).i32(layout.value).u8(OP.i32Add, OP.return, OP.end);
  };
  w.get(KEY)
    .memory(OP.i32Load, 0)
    .tee(keyBits)
    .i32(maxBits)
    .u8(OP.i32GtU, OP.if, TYPE.none)
    .i32(0)
    .u8(OP.return, OP.end);
  w.i32(layout.root).memory(OP.i32Load, 0, 2).set(node);
  // `word`: bytes from the key's first word to the one that is compared now; `nextWord`: the bits up to its end.
  w.i32(32).set(nextWord).get(KEY).memory(OP.i32Load, DATA).set(keyWord);
  w.u8(OP.block, TYPE.none, OP.loop, TYPE.none);
  w.get(node).u8(OP.i32Eqz, OP.brIf).unsigned(1);
  w.get(node).memory(OP.i32Load, layout.prefixlen, 2).tee(nodeBits).get(keyBits).u8(OP.i32GtS, OP.brIf).unsigned(1);
  w.u8(OP.loop, TYPE.none);
  w.get(nodeBits).get(nextWord).u8(OP.i32GeS, OP.if, TYPE.none);
  w.get(node).get(word).u8(OP.i32Add).memory(OP.i32Load, layout.data, 2).get(keyWord).u8(OP.i32Ne, OP.brIf).unsigned(3);
  if (maxBits % 32 === 0) answerNode(nextWord);
  w.get(nextWord).i32(32).u8(OP.i32Add).set(nextWord);
  w.get(KEY).get(word).i32(4).u8(OP.i32Add).tee(word).u8(OP.i32Add).memory(OP.i32Load, DATA).set(keyWord);
  w.u8(OP.br).unsigned(1).u8(OP.end, OP.end);
  // The bits that are left, in a word of which each byte begins with its highest bit.
  w.get(node).get(word).u8(OP.i32Add).memory(OP.i32Load, layout.data, 2).get(keyWord).u8(OP.i32Xor);
  w.u8(OP.globalGet).unsigned(state).get(nodeBits).i32(31).u8(OP.i32And).tee(rest).i32(2).u8(OP.i32Shl, OP.i32Add);
  w.memory(OP.i32Load, STATE.masks, 2).u8(OP.i32And, OP.brIf).unsigned(1);
  if (maxBits % 32 !== 0) answerNode(nodeBits);
  w.get(node).memory(OP.i32Load, layout.flags, 2).i32(layout.intermediate).u8(OP.i32And, OP.i32Eqz, OP.if, TYPE.none);
  w.get(node).set(found).u8(OP.end);
  w.get(node)
    .get(keyWord)
    .get(rest)
    .i32(7)
    .u8(OP.i32Xor, OP.i32ShrU)
    .i32(1)
    .u8(OP.i32And)
    .i32(2)
    .u8(OP.i32Shl, OP.i32Add);
  w.memory(OP.i32Load, layout.child0, 2).set(node).u8(OP.br).unsigned(0);
  w.u8(OP.end, OP.end);
  w.get(found).u8(OP.i32Eqz, OP.if, TYPE.i32).i32(0).u8(OP.else).get(found).i32(layout.value).u8(OP.i32Add, OP.end);
  return w;
}
