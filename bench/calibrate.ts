/** How fast is this machine now? A fixed loop, to read times of different runs beside. */
import { execFileSync } from 'node:child_process';
import { Unavailable, type Workshop } from './external.ts';
import { median, round } from './stats.ts';
import type { ResultRow, Skipped } from './types.ts';

/** Of a chain of dependent multiplications and additions. */
export const CALIBRATION_STEPS = 20_000_000;
const RUNS = 5;

/** Rows for JavaScript and, where there is a compiler, C; `ms` is the median of five runs. */
export function calibrate(workshop: Workshop): { rows: ResultRow[]; skipped: Skipped[] } {
  const row = (engine: string, runs: readonly Run[]): ResultRow => ({
    ...{ question: 'calibration', engine, entries: CALIBRATION_STEPS, mode: 'loop' },
    ...{ ms: round(median(runs.map(({ ms }) => ms)), 2), agrees: runs.every(({ result }) => result === js[0]!.result) },
  });
  const js = Array.from({ length: RUNS }, inJavaScript);
  try {
    const program = workshop.calibrationCommand();
    const c = Array.from({ length: RUNS }, () => inC(program));
    return { rows: [row('javascript', js), row('c', c)], skipped: [] };
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    return { rows: [row('javascript', js)], skipped: [{ engine: 'c-calibration', reason: error.message }] };
  }
}

interface Run {
  readonly ms: number;
  readonly result: number;
}

function inJavaScript(): Run {
  const start = performance.now();
  let x = 1;
  for (let i = 0; i < CALIBRATION_STEPS; i++) x = (Math.imul(x, 1_664_525) + 1_013_904_223) >>> 0;
  return { ms: performance.now() - start, result: x };
}

function inC(program: string): Run {
  const [ns, result] = execFileSync(program, [`${CALIBRATION_STEPS}`], { encoding: 'utf8' })
    .split(' ')
    .map(Number);
  return { ms: ns! / 1e6, result: result! };
}
