import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { Memory } from '@ciliate/maps';
import { Vm } from '@ciliate/vm';
import { printTable } from '../print.ts';
import { quietRounds } from '../scaling.ts';
import { median, round } from '../stats.ts';
import type { BenchOptions, QuestionResult } from '../types.ts';
import { ENTRIES, loadFilled } from './program.ts';
import type { WorkerJob } from './worker.ts';

const PROGRAMS = ['policy_drop', 'established'];
const TIMES_ONE = 1.9;
const WORKERS = 2;

/** Two threads run a program on one memory, each the packets of another connection: how many times one's runs a second? */
export async function workerRows({ durationMs, say, seed }: BenchOptions): Promise<QuestionResult> {
  const answer: QuestionResult = { results: [], ratios: [], skipped: [] };
  if (availableParallelism() < WORKERS)
    return { ...answer, skipped: [{ engine: 'vm, two workers', reason: 'needs two processors' }] };
  const memory = Memory.create(1024 * 1024 * 1024);
  const cpus = WORKERS + 1;
  const image = loadFilled(new Vm({ memory, cpus, seed }));
  const maps = [...image.maps].map(([name, map]): [string, number] => [name, map.address]);
  for (const program of PROGRAMS) {
    const workers = await Promise.all(
      Array.from({ length: WORKERS }, async (_, n) => {
        const workerData: WorkerJob = { wasm: memory.wasm, cpu: n + 1, cpus, maps, program, connection: 8 + 100 * n };
        const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData });
        await once(worker, 'message');
        return worker;
      }),
    );
    const rounds = await quietRounds(workers, [1, WORKERS], durationMs);
    await Promise.all(workers.map((worker) => worker.terminate()));
    const ratio = round(median(rounds.map(({ timesOne }) => timesOne[1]!)), 2);
    const row = { question: 'bytecode', engine: 'vm', entries: ENTRIES, mode: program, workers: WORKERS };
    const [one, two] = [0, 1].map((n) => round(median(rounds.map(({ mops }) => mops[n]!)), 3));
    answer.results.push({ ...row, one: one!, two: two!, timesOne: ratio, busy: median(rounds.map((r) => r.busy)) });
    answer.ratios.push({
      ...{ name: `${program}: two workers give times one`, entries: ENTRIES, engine: 'vm', baseline: 'vm', ratio },
      ...{ reach: `>= ${TIMES_ONE}`, reached: ratio >= TIMES_ONE },
    });
  }
  const title = 'bytecode: million runs a second of one worker and of two; % of the processors that others had';
  printTable(say, title, ['mode', 'one', 'two', 'timesOne', 'busy'], answer.results);
  return answer;
}
