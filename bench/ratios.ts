import { round } from './stats.ts';
import type { LookupRow, Ratio } from './types.ts';

const DEFAULT_PROFILE = '1.18';
/** What the project asks of the best engine against the kernel's trie, by size. */
const TIMES_KERNEL_LPM: Record<number, number> = { 1024: 4, 16384: 8 };
const OF_C_TIME = 1.35;
const OF_KERNEL_LPM_TIME = 1.5;

/** The engine that answers fastest, among those that answer as 1.18 does, rightly, and keep no answers. */
export function bestEngine(rows: readonly LookupRow[]): LookupRow | undefined {
  return rows
    .filter((row) => row.mode !== 'loop' && row.profile === DEFAULT_PROFILE && row.engine !== 'js-map')
    .filter((row) => row.memoises === false && row.agrees === true)
    .sort((a, b) => a.nsPerVerdict - b.nsPerVerdict)[0];
}

/** For each size, the ratios whose two sides were measured. */
export function lookupRatios(rows: readonly LookupRow[]): Ratio[] {
  const ratios: Ratio[] = [];
  for (const entries of new Set(rows.map((row) => row.entries))) {
    const here = rows.filter((row) => row.entries === entries);
    const fastest = (engine: string): LookupRow | undefined =>
      here.filter((row) => row.engine === engine).sort((a, b) => a.nsPerVerdict - b.nsPerVerdict)[0];
    const best = bestEngine(here);
    const [kernelLpm, kernelHash, c] = [fastest('kernel-lpm'), fastest('kernel-hash'), fastest('c-tuple-space')];
    const times = TIMES_KERNEL_LPM[entries];
    ratios.push(
      ...faster('best is times faster than', best, kernelLpm, times ?? null),
      ...faster('best is times faster than', best, kernelHash, 1),
      ...slower('best takes times as long as', best, c, OF_C_TIME),
      ...slower('compiled takes times as long as', fastest('compiled'), fastest('c-compiled'), OF_C_TIME),
      ...slower('tuple-space takes times as long as', fastest('tuple-space'), c, null),
      ...slower('trie takes times as long as', fastest('lpm-trie'), kernelLpm, OF_KERNEL_LPM_TIME),
    );
  }
  return ratios;
}

function faster(
  name: string,
  row: LookupRow | undefined,
  base: LookupRow | undefined,
  atLeast: number | null,
): Ratio[] {
  if (row === undefined || base === undefined) return [];
  const ratio = round(base.nsPerVerdict / row.nsPerVerdict, 2);
  const reached = atLeast === null ? null : ratio >= atLeast;
  return [made(name, row, base, ratio, atLeast === null ? null : `>= ${atLeast}`, reached)];
}

function slower(name: string, row: LookupRow | undefined, base: LookupRow | undefined, atMost: number | null): Ratio[] {
  if (row === undefined || base === undefined) return [];
  const ratio = round(row.nsPerVerdict / base.nsPerVerdict, 2);
  return [
    made(name, row, base, ratio, atMost === null ? null : `<= ${atMost}`, atMost === null ? null : ratio <= atMost),
  ];
}

function made(
  name: string,
  row: LookupRow,
  base: LookupRow,
  ratio: number,
  reach: string | null,
  reached: boolean | null,
): Ratio {
  const { engine, entries } = row;
  return {
    name: `${name} ${base.engine}`,
    entries,
    engine: `${engine} ${row.mode}`,
    baseline: base.engine,
    ratio,
    reach,
    reached,
  };
}
