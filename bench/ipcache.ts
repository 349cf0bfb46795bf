/** How long does it take to find an address's identity, with 1k to 1M prefixes? Our ipcache beside the kernel's trie. */
import { QUESTION, writeAnswer } from '@ciliate/bpf';
import {
  IPCACHE_KEY,
  IpcacheMap,
  Memory,
  REMOTE_ENDPOINT_INFO,
  Scratch,
  secIdentity,
  setIpcacheKey4,
} from '@ciliate/maps';
import { External, Workshop } from './external.ts';
import { isWanted } from './field.ts';
import type { Asked } from './loop.ts';
import { Random } from './random.ts';
import { rawRows } from './raw_rows.ts';
import { type Ground, localSubject } from './subject.ts';
import { type BenchOptions, MAX_QUESTIONS, type QuestionResult } from './types.ts';

const SIZES = [1000, 10_000, 100_000, 1_000_000];
const QUICK_SIZES = [1000, 100_000];
/** The trie, its questions and answers: 1M prefixes are up to 2M nodes. */
const MEMORY_BYTES = 1024 * 1024 * 1024;

interface Prefix {
  ip: number;
  length: number;
  identity: number;
}

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
  const memory = Memory.create(MEMORY_BYTES);
  const prefixes = generatePrefixes(size, new Random(options.seed));
  const before = memory.usedBytes;
  const map = IpcacheMap.create(memory, size);
  const bytesPerEntry = Math.round((memory.usedBytes - before) / size);
  for (const { ip, length, identity } of prefixes)
    map.upsert(ip, length, { identity, tunnelEndpoint: 0, key: 0, flags: 0 });
  const questions = memory.alloc(MAX_QUESTIONS * QUESTION.size);
  const ground: Ground = { memory, questions, answers: memory.alloc(MAX_QUESTIONS * 8) };
  generateAddresses(memory, questions, prefixes, new Random(options.seed ^ 0x5bd1_e995));
  const ours = isWanted(options.engines, 'ipcache')
    ? [await localSubject('ipcache', '', 'single', new IpcacheLookup(memory, map), ground)]
    : [];
  const stride = IPCACHE_KEY.size + REMOTE_ENDPOINT_INFO.size;
  const bytes = new Uint8Array(size * stride);
  map.trie.entries().forEach(({ key, value }, n) => {
    bytes.set(memory.u8.subarray(key, key + IPCACHE_KEY.size), n * stride);
    bytes.set(memory.u8.subarray(value, value + REMOTE_ENDPOINT_INFO.size), n * stride + IPCACHE_KEY.size);
  });
  const u8 = memory.u8.subarray(questions, questions + MAX_QUESTIONS * QUESTION.size);
  workshop.write(size, IPCACHE_KEY.size, REMOTE_ENDPOINT_INFO.size, bytes, u8);
  const kernel = {
    start: () => External.start(workshop.kernelCommand('ipcache')),
    variants: { 'kernel-lpm': 'ipcache_lookup' },
    twins: { 'kernel-lpm': 'ipcache' },
  };
  const { results, skipped } = await rawRows('ipcache', size, ground, ours, kernel, options);
  return { results: results.map((row) => (row.engine === 'ipcache' ? { ...row, bytesPerEntry } : row)), skipped };
}

/** Six in ten are single addresses, three are /24 (pod ranges), the rest between /8 and /23. */
function generatePrefixes(size: number, random: Random): Prefix[] {
  const prefixes = new Map<string, Prefix>();
  while (prefixes.size < size) {
    const kind = random.below(10);
    const length = kind < 6 ? 32 : kind < 9 ? 24 : 8 + random.below(16);
    const ip = (random.next() & (-1 << (32 - length))) >>> 0;
    prefixes.set(`${ip}/${length}`, { ip, length, identity: 256 + random.below(1 << 20) });
  }
  return [...prefixes.values()];
}

/** Three in four lie in a prefix drawn uniformly; the others are any address. */
function generateAddresses(memory: Memory, questions: number, prefixes: readonly Prefix[], random: Random): void {
  for (let n = 0; n < MAX_QUESTIONS; n++) {
    const { ip, length } = random.pick(prefixes);
    const inside = length === 32 ? ip : (ip | (random.next() >>> length)) >>> 0;
    memory.u32[(questions + n * QUESTION.size) >> 2] = random.below(4) === 0 ? random.next() : inside;
  }
}

class IpcacheLookup implements Asked {
  private readonly memory: Memory;
  private readonly map: IpcacheMap;
  private readonly key: number;

  constructor(memory: Memory, map: IpcacheMap) {
    this.memory = memory;
    this.map = map;
    this.key = Scratch.create(memory, 32).take(IPCACHE_KEY.size);
  }

  lookup(question: number, answer: number): number {
    const m = this.memory;
    setIpcacheKey4(m, this.key, m.u32[question >> 2]!, 32, 0);
    const found = this.map.trie.lookup(this.key);
    return writeAnswer(m, answer, found === 0 ? 0 : secIdentity(m, found), 0, 0, 0);
  }

  lookupBatch(questions: number, answers: number, count: number): void {
    for (let n = 0; n < count; n++) this.lookup(questions + n * QUESTION.size, answers + n * 8);
  }
}
