import { availableParallelism } from 'node:os';
import { Memory } from '@ciliate/maps';
import { Vm } from '@ciliate/vm';
import { printTable } from '../print.ts';
import { timesOne } from '../scaling.ts';
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
    const jobs = Array.from(
      { length: WORKERS },
      (_, n): WorkerJob => ({ wasm: memory.wasm, cpu: n + 1, cpus, maps, program, connection: 8 + 100 * n }),
    );
    const { one, all, ratio, busy } = await timesOne(new URL('./worker.ts', import.meta.url), jobs, durationMs);
    const row = { question: 'bytecode', engine: 'vm', entries: ENTRIES, mode: program, workers: WORKERS };
    answer.results.push({ ...row, one, two: all, timesOne: ratio, busy });
    answer.ratios.push({
      ...{ name: `${program}: two workers give times one`, entries: ENTRIES, engine: 'vm', baseline: 'vm', ratio },
      ...{ reach: `>= ${TIMES_ONE}`, reached: ratio >= TIMES_ONE },
    });
  }
  const title = 'bytecode: million runs a second of one worker and of two; % of the processors that others had';
  printTable(say, title, ['mode', 'one', 'two', 'timesOne', 'busy'], answer.results);
  return answer;
}
