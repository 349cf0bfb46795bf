/**
 * How does throughput grow with worker threads? `lpm-trie` is one map that all workers attach to, as the datapath's
 * workers do; any other engine is built by each worker for itself, because engines of one thread cannot be attached to.
 */
import { once } from 'node:events';
import { availableParallelism, cpus } from 'node:os';
import { Worker } from 'node:worker_threads';
import { ENGINES, type EngineEntry, QUESTION } from '@ciliate/bpf';
import { Memory, PolicyMap } from '@ciliate/maps';
import { isWanted } from './field.ts';
import { printTable } from './print.ts';
import { bestEngine } from './ratios.ts';
import { Reference } from './reference.ts';
import type { ScalingJob } from './scaling_worker.ts';
import { median, round, spread } from './stats.ts';
import {
  type BenchOptions,
  type LookupRow,
  MAX_QUESTIONS,
  type QuestionResult,
  type Ratio,
  type ResultRow,
} from './types.ts';
import { defaultSpec, generateEntries, generateQuestions } from './workload.ts';

const ENTRIES = 16_384;
const ROUNDS = 5;
const TWO_WORKERS = 1.9;
/** A thread's first milliseconds after a wait are slow. */
const LEAST_MS = 100;
/** From here on the machine's other work is said, because workers cannot scale on processors that others use. */
const BUSY_PERCENT = 10;

export async function run(options: BenchOptions): Promise<QuestionResult> {
  const results: ResultRow[] = [];
  const names = ENGINES.filter(({ profile, name }) => profile === '1.18' && name !== 'linear').map(({ name }) => name);
  const counts = [1, 2, 3, 4, 6, 8].filter((workers) => workers <= Math.max(2, availableParallelism()));
  for (const engine of names.filter((name) => isWanted(options.engines, name)))
    for (const entries of options.entries ?? [ENTRIES])
      results.push(...(await scale(engine, entries, counts, options)));
  const columns = ['engine', 'entries', 'workers', 'mops', 'plusMinus', 'timesOne', 'nsPerVerdict', 'shared'];
  printTable(options.say, 'scaling: verdicts a second by worker threads, batched (M ops/s)', columns, results);
  const ratios = results.filter(({ workers }) => workers === 2).map(twoWorkers);
  return { results, ratios, skipped: [] };
}

/** Two workers against one, for the engine that won `lookup`. */
export async function workerRatio(rows: readonly LookupRow[], options: BenchOptions): Promise<Ratio | undefined> {
  const sizes = rows.map(({ entries }) => entries);
  const entries = sizes.includes(ENTRIES) ? ENTRIES : Math.max(...sizes);
  const best = bestEngine(rows.filter((row) => row.entries === entries));
  if (best === undefined || options.filters !== undefined || availableParallelism() < 2) return undefined;
  const [, two] = await scale(best.engine, entries, [1, 2], options);
  return twoWorkers(two!);
}

function twoWorkers({ engine, entries, timesOne }: ResultRow): Ratio {
  const ratio = Number(timesOne);
  const name = 'two workers give times one';
  return { name, entries, engine, baseline: engine, ratio, reach: `>= ${TWO_WORKERS}`, reached: ratio >= TWO_WORKERS };
}

async function scale(engine: string, size: number, counts: number[], options: BenchOptions): Promise<ResultRow[]> {
  const memory = Memory.create(1024 * 1024 * 1024);
  const spec = defaultSpec(size, options.seed);
  const entries = generateEntries(spec);
  const trie = engine === 'lpm-trie' ? sharedTrie(memory, entries) : undefined;
  const questions = memory.alloc(MAX_QUESTIONS * QUESTION.size);
  const most = Math.max(...counts);
  const workers = await Promise.all(
    Array.from({ length: most }, async (_, n) => {
      const from = Math.floor(MAX_QUESTIONS / most) * n;
      const job: ScalingJob = { memory: memory.wasm, trie, engine, entries, questions, count: MAX_QUESTIONS, from };
      const worker = new Worker(new URL('./scaling_worker.ts', import.meta.url), { workerData: job });
      await once(worker, 'message');
      return worker;
    }),
  );
  generateQuestions(memory, questions, spec, entries, new Reference(entries));
  const ms = Math.max(LEAST_MS, options.durationMs / ROUNDS);
  const others = busyElsewhere();
  const mops = new Map<number, number[]>(counts.map((count) => [count, []]));
  // The first round of all is for the compiler.
  for (let round = -1; round < ROUNDS; round++) {
    for (const count of counts) {
      const answers = await Promise.all(workers.slice(0, count).map((worker) => ask(worker, ms)));
      if (round >= 0) mops.get(count)!.push(answers.reduce((sum, a) => sum + a.verdicts / a.ms / 1e3, 0));
    }
  }
  await Promise.all(workers.map((worker) => worker.terminate()));
  const busy = others();
  if (busy >= BUSY_PERCENT) options.say(`scaling ${engine}: ${busy} % of this machine's processors worked for others`);
  const one = median(mops.get(counts[0]!)!);
  return counts.map((count) => {
    const rate = median(mops.get(count)!);
    return {
      question: 'scaling',
      engine,
      profile: '1.18',
      entries: size,
      mode: 'batch',
      workers: count,
      shared: trie !== undefined,
      nsPerVerdict: round(1e3 / rate, 2),
      mops: round(rate, 3),
      plusMinus: round(spread(mops.get(count)!), 3),
      timesOne: round(rate / one, 2),
      othersBusyPercent: busy,
    };
  });
}

/** Begins to watch the processors; call what it gives for the percentage of their time that other processes had since. */
function busyElsewhere(): () => number {
  const now = (): { busy: number; all: number; own: number } => {
    const times = cpus().map((cpu) => cpu.times);
    const all = times.reduce((sum, t) => sum + t.user + t.nice + t.sys + t.irq + t.idle, 0);
    const { user, system } = process.cpuUsage();
    return { busy: all - times.reduce((sum, t) => sum + t.idle, 0), all, own: (user + system) / 1e3 };
  };
  const begin = now();
  return () => {
    const end = now();
    const others = end.busy - begin.busy - (end.own - begin.own);
    return Math.max(0, Math.round((100 * others) / (end.all - begin.all)));
  };
}

function sharedTrie(memory: Memory, entries: readonly EngineEntry[]): number {
  const map = PolicyMap.create(memory, 1, entries.length);
  for (const entry of entries) map.update(entry, entry);
  return map.address;
}

async function ask(worker: Worker, ms: number): Promise<{ verdicts: number; ms: number }> {
  worker.postMessage({ ms });
  const [answer] = (await once(worker, 'message')) as [{ verdicts: number; ms: number }];
  return answer;
}
