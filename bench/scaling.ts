/**
 * How does throughput grow with worker threads? All workers ask one engine, built once: they attach to it, if its
 * definition has `attach`. An engine that has none is built by each worker for itself; `shared` in the results says so.
 */
import { once } from 'node:events';
import { availableParallelism, cpus } from 'node:os';
import { Worker } from 'node:worker_threads';
import { ENGINES, type EngineEntry, engineByName, QUESTION } from '@ciliate/bpf';
import { type Address, Memory, PolicyMap } from '@ciliate/maps';
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
/** Of up to so many rounds, those in which other processes worked least. */
const ROUNDS = 9;
const MOST_ROUNDS = 18;
const TWO_WORKERS = 1.9;
/** A thread's first milliseconds after a wait are slow. */
const LEAST_MS = 100;
/** From here on a round is made again, and said if it has to count: workers cannot scale on processors of others. */
const BUSY_PERCENT = 4;

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
  const shared = build(engine, memory, entries);
  const questions = memory.alloc(MAX_QUESTIONS * QUESTION.size);
  const most = Math.max(...counts);
  const workers = await Promise.all(
    Array.from({ length: most }, async (_, n) => {
      const from = Math.floor(MAX_QUESTIONS / most) * n;
      const job: ScalingJob = { memory: memory.wasm, engine, shared, entries, questions, count: MAX_QUESTIONS, from };
      const worker = new Worker(new URL('./scaling_worker.ts', import.meta.url), { workerData: job });
      await once(worker, 'message');
      return worker;
    }),
  );
  generateQuestions(memory, questions, spec, entries, new Reference(entries));
  const rounds = await quietRounds(workers, counts, options.durationMs);
  await Promise.all(workers.map((worker) => worker.terminate()));
  const busy = median(rounds.map((one) => one.busy));
  if (busy >= BUSY_PERCENT) options.say(`scaling ${engine}: ${busy} % of this machine's processors worked for others`);
  return counts.map((count, n) => {
    const rates = rounds.map(({ mops }) => mops[n]!);
    const rate = median(rates);
    return {
      question: 'scaling',
      engine,
      profile: '1.18',
      entries: size,
      mode: 'batch',
      workers: count,
      shared: shared !== undefined,
      nsPerVerdict: round(1e3 / rate, 2),
      mops: round(rate, 3),
      plusMinus: round(spread(rates), 3),
      timesOne: round(median(rounds.map(({ timesOne }) => timesOne[n]!)), 2),
      othersBusyPercent: busy,
    };
  });
}

interface Round {
  /** Percentage of the processors' time that went to other processes. */
  busy: number;
  /** Millions of verdicts a second by each number of workers. */
  mops: number[];
  /** By each number of workers: their rate, as a multiple of what one of them has alone, on average. */
  timesOne: number[];
}

/** Rounds in which other processes worked least. @param workers that answer as scaling_worker.ts does */
async function quietRounds(
  workers: readonly Worker[],
  counts: readonly number[],
  durationMs: number,
): Promise<Round[]> {
  const ms = Math.max(LEAST_MS, durationMs / ROUNDS);
  await oneRound(workers, counts, ms); // for the compiler
  const all: Round[] = [];
  while (all.length < MOST_ROUNDS && all.filter(({ busy }) => busy < BUSY_PERCENT).length < ROUNDS)
    all.push(await oneRound(workers, counts, ms));
  return all.sort((a, b) => a.busy - b.busy).slice(0, ROUNDS);
}

/** What several threads have together, and one of them alone. */
export interface TimesOne {
  /** Millions a second by one, and by all. */
  readonly one: number;
  readonly all: number;
  /** Their rate, as a multiple of what one of them has alone. */
  readonly ratio: number;
  /** Percentage of the processors' time that went to other processes. */
  readonly busy: number;
}

/** A thread for each job, one alone and all at once, in turns. @param script answers as scaling_worker.ts does */
export async function timesOne(script: URL, jobs: readonly unknown[], durationMs: number): Promise<TimesOne> {
  const workers = await Promise.all(
    jobs.map(async (workerData) => {
      const worker = new Worker(script, { workerData });
      await once(worker, 'message');
      return worker;
    }),
  );
  const rounds = await quietRounds(workers, [1, jobs.length], durationMs);
  await Promise.all(workers.map((worker) => worker.terminate()));
  const [one, all] = [0, 1].map((n) => round(median(rounds.map(({ mops }) => mops[n]!)), 3));
  const ratio = round(median(rounds.map((each) => each.timesOne[1]!)), 2);
  return { one: one!, all: all!, ratio, busy: median(rounds.map(({ busy }) => busy)) };
}

async function oneRound(workers: readonly Worker[], counts: readonly number[], ms: number): Promise<Round> {
  const others = busyElsewhere();
  // Each one alone: where its memory lies makes a worker a tenth faster or slower than its neighbour, whoever else works.
  const alone: number[] = [];
  for (const worker of workers) alone.push(await ask(worker, ms));
  const mops: number[] = [];
  for (const count of counts) {
    const rates = count === 1 ? [mean(alone)] : await Promise.all(workers.slice(0, count).map((one) => ask(one, ms)));
    mops.push(sum(rates));
  }
  const timesOne = counts.map((count, n) => (count === 1 ? 1 : mops[n]! / mean(alone.slice(0, count))));
  return { busy: others(), mops, timesOne };
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

/** What all workers ask. @returns undefined if each has to build its own */
function build(engine: string, memory: Memory, entries: readonly EngineEntry[]): Address | undefined {
  const definition = engineByName(engine);
  if (definition.attach !== undefined) return definition.create(memory, entries, entries.length).address;
  if (engine !== 'lpm-trie') return undefined;
  // The datapath's own map, which its workers attach to.
  const map = PolicyMap.create(memory, 1, entries.length);
  for (const entry of entries) map.update(entry, entry);
  return map.address;
}

/** @returns millions of verdicts a second */
async function ask(worker: Worker, ms: number): Promise<number> {
  worker.postMessage({ ms });
  const [answer] = (await once(worker, 'message')) as [{ verdicts: number; ms: number }];
  return answer.verdicts / answer.ms / 1e3;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
const mean = (numbers: readonly number[]): number => sum(numbers) / numbers.length;
