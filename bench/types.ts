import type { EngineEntry } from '@ciliate/bpf';
import type { Address } from '@ciliate/maps';

export interface BenchOptions {
  /** Fewer sizes and shorter runs, under 90 seconds in all for one question. */
  quick: boolean;
  seed: number;
  /** How long each engine is timed at each size and in each mode. */
  durationMs: number;
  /** Names of engines and baselines; undefined = all. */
  engines: readonly string[] | undefined;
  /** Sizes; undefined = those of the question. */
  entries: readonly number[] | undefined;
  /** ClassBench files to take the workload of `lookup` from. */
  filters: string | undefined;
  trace: string | undefined;
  /** A BPF object of Cilium's tests, for `bytecode`. */
  object: string | undefined;
  /** Folder of Cilium's own programs, as `ciliate conformance datapath --build` fills it, for `datapath`. */
  objects: string | undefined;
  /** Folder into which `lookup` writes its workloads as ClassBench files. */
  save: string | undefined;
  /** Progress for a person; goes to stderr or nowhere where stdout is for a program. */
  say: (line: string) => void;
}

/** One measured row. Times are nanoseconds of one operation, without the harness's own unless a field says so. */
export interface ResultRow {
  question: string;
  engine: string;
  entries: number;
  /** How it was called: `single` or `batch` from JavaScript; `loop`: inside a program of its own (kernel, C). */
  mode: string;
  [field: string]: string | number | boolean | null;
}

/** A row of a question that is answered in lookups. */
export interface LookupRow extends ResultRow {
  nsPerVerdict: number;
}

export interface Ratio {
  name: string;
  entries: number;
  engine: string;
  baseline: string;
  ratio: number;
  /** What the ratio should be, e.g. `>= 4`; null = nothing is asked at this size. */
  reach: string | null;
  reached: boolean | null;
}

export interface Skipped {
  engine: string;
  reason: string;
}

export interface QuestionResult {
  results: ResultRow[];
  ratios: Ratio[];
  skipped: Skipped[];
}

/** Questions and entries as all subjects of one comparison get them. */
export interface Workload {
  entries: readonly EngineEntry[];
  /** In the shared memory, as QUESTION says. */
  questions: Address;
  count: number;
}

/** Verdicts that are timed together: one pair of clock readings a block, in JavaScript, C and the kernel alike. */
export const BLOCK = 256;
/** Most questions of a workload, as bench/c/workload.h. */
export const MAX_QUESTIONS = 1 << 21;
