/** What does one lookup in one map cost (a verdict makes two)? Our LPM trie and hash map beside the kernel's. */
import { QUESTION, writeAnswer } from '@ciliate/bpf';
import { type BpfMap, HashMap, LpmTrie, Memory, POLICY_FULL_PREFIX_BITS, Scratch, setPolicyKey } from '@ciliate/maps';
import { External, Workshop } from './external.ts';
import { isWanted } from './field.ts';
import type { Asked } from './loop.ts';
import { policyBytes } from './policy_bytes.ts';
import { rawRows } from './raw_rows.ts';
import { Reference } from './reference.ts';
import { type Ground, localSubject } from './subject.ts';
import { type BenchOptions, MAX_QUESTIONS, type QuestionResult } from './types.ts';
import { defaultSpec, generateEntries, generateQuestions } from './workload.ts';

const SIZES = [16, 128, 1024, 16_384, 65_536];
const QUICK_SIZES = [1024, 16_384];
const KEY_SIZE = 12;
const VALUE_SIZE = 8;

export async function run(options: BenchOptions): Promise<QuestionResult> {
  using workshop = new Workshop();
  const result: QuestionResult = { results: [], ratios: [], skipped: [] };
  for (const size of options.entries ?? (options.quick ? QUICK_SIZES : SIZES)) {
    const { results, skipped } = await measure(size, options, workshop);
    result.results.push(...results);
    result.skipped = skipped;
  }
  return result;
}

async function measure(size: number, options: BenchOptions, workshop: Workshop) {
  const memory = Memory.create();
  const spec = defaultSpec(size, options.seed);
  const entries = generateEntries(spec);
  const bytes = policyBytes(memory, entries);
  const mapSpec = { keySize: KEY_SIZE, valueSize: VALUE_SIZE, maxEntries: size, name: 'bench' };
  const maps: [name: string, map: BpfMap][] = [
    ['lpm-trie-map', filled(LpmTrie.create(memory, mapSpec), bytes)],
    ['hash-map', filled(HashMap.create(memory, mapSpec), bytes)],
  ];
  const questions = memory.alloc(MAX_QUESTIONS * QUESTION.size);
  const ground: Ground = { memory, questions, answers: memory.alloc(MAX_QUESTIONS * 8) };
  generateQuestions(memory, questions, spec, entries, new Reference(entries));
  const ours = await Promise.all(
    maps
      .filter(([name]) => isWanted(options.engines, name))
      .map(([name, map]) => localSubject(name, '', 'single', new RawMap(memory, map), ground)),
  );
  const u8 = memory.u8.subarray(questions, questions + MAX_QUESTIONS * QUESTION.size);
  workshop.write(size, KEY_SIZE, VALUE_SIZE, bytes, u8);
  const kernel = {
    start: () => External.start(workshop.kernelCommand('policy')),
    variants: { 'kernel-lpm': 'lpm_raw', 'kernel-hash': 'hash_raw' },
    twins: { 'kernel-lpm': 'lpm-trie-map', 'kernel-hash': 'hash-map' },
  };
  return rawRows('map-lookup', size, ground, ours, kernel, options);
}

function filled(map: BpfMap, bytes: Uint8Array): BpfMap {
  const { memory } = map;
  const scratch = Scratch.create(memory, 32);
  const [key, value] = [scratch.take(16), scratch.take(8)];
  for (let at = 0; at < bytes.length; at += KEY_SIZE + VALUE_SIZE) {
    memory.u8.set(bytes.subarray(at, at + KEY_SIZE), key);
    memory.u8.set(bytes.subarray(at + KEY_SIZE, at + KEY_SIZE + VALUE_SIZE), value);
    const result = map.update(key, value);
    if (result !== 0) throw new Error(`map update: ${result}`);
  }
  return map;
}

/** The answer says only whether there is an entry. */
class RawMap implements Asked {
  private readonly memory: Memory;
  private readonly map: BpfMap;
  private readonly key: number;

  constructor(memory: Memory, map: BpfMap) {
    this.memory = memory;
    this.map = map;
    this.key = Scratch.create(memory, 16).take(KEY_SIZE);
  }

  lookup(question: number, answer: number): number {
    const m = this.memory;
    const word = m.u32[(question + QUESTION.dport) >> 2]!;
    const egress = (word >>> 24) as 0 | 1;
    const identity = m.u32[question >> 2]!;
    setPolicyKey(m, this.key, POLICY_FULL_PREFIX_BITS, identity, egress, (word >>> 16) & 0xff, word & 0xffff);
    return writeAnswer(m, answer, this.map.lookup(this.key) === 0 ? 0 : 1, 0, 0, 0);
  }

  lookupBatch(questions: number, answers: number, count: number): void {
    for (let n = 0; n < count; n++) this.lookup(questions + n * QUESTION.size, answers + n * 8);
  }
}
