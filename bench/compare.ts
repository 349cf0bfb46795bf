import { median, percentile, round, spread } from './stats.ts';
import type { Subject } from './subject.ts';
import { BLOCK, MAX_QUESTIONS } from './types.ts';

/** A slice is long enough to warm its caches, and short enough that all subjects see the same weather. */
const SLICE_MS = 12;
/** This share of a slice, from its start, is not counted: the caches are still full of the subject before. */
const WARM_UP = 0.25;
const MIN_SLICES = 5;

export interface Timing {
  subject: Subject;
  /** Median over the slices, harness included. */
  grossNs: number;
  /** The harness's own: the fastest slice of the empty loop of the same kind, so that noise takes nothing off. */
  harnessNs: number;
  nsPerVerdict: number;
  /** Millions of verdicts a second, and the spread over the slices. */
  mops: number;
  plusMinus: number;
  /** Of the times of blocks, as nanoseconds of one verdict, harness included. */
  p50: number;
  p99: number;
}

/**
 * Times all subjects in turns of one slice each, in rotating order, until each had `durationMs`. The questions of a slice
 * follow those of the slice before, so that the run goes through all keys.
 */
export async function compare(subjects: readonly Subject[], durationMs: number): Promise<Timing[]> {
  const runs = await Promise.all(subjects.map(start));
  const rounds = Math.max(MIN_SLICES, Math.round(durationMs / SLICE_MS));
  for (let round = 0; round < rounds; round++)
    for (let n = 0; n < runs.length; n++) await runs[(n + round) % runs.length]!.slice();
  const least = new Map(runs.map(({ subject, slices }) => [`${subject.name} ${subject.mode}`, Math.min(...slices)]));
  return runs.map(({ subject, slices, blocks }) => {
    const grossNs = median(slices);
    const harnessNs = least.get(subject.harness) ?? 0;
    const net = slices.map((ns) => Math.max(0.1, ns - harnessNs));
    const nsPerVerdict = median(net);
    return {
      subject,
      grossNs: round(grossNs, 2),
      harnessNs: round(harnessNs, 2),
      nsPerVerdict: round(nsPerVerdict, 2),
      mops: round(1e3 / nsPerVerdict, 3),
      plusMinus: round(spread(net.map((ns) => 1e3 / ns)), 3),
      p50: round(percentile(blocks, 0.5), 2),
      p99: round(percentile(blocks, 0.99), 2),
    };
  });
}

interface Run {
  subject: Subject;
  /** Nanoseconds of one verdict: of each slice, and of each block. */
  slices: number[];
  blocks: number[];
  slice(): Promise<void>;
}

async function start(subject: Subject): Promise<Run> {
  const slices: number[] = [];
  const blocks: number[] = [];
  let size = 0;
  // Not where the engine's other mode begins: one that keeps answers would know them.
  let from = subject.mode === 'batch' ? MAX_QUESTIONS / 2 : 0;
  return {
    subject,
    slices,
    blocks,
    async slice() {
      size ||= await sliceBlocks(subject);
      if (from + size * BLOCK > MAX_QUESTIONS) from = 0;
      const ns = await subject.time(from, size);
      from += size * BLOCK;
      const counted = ns.subarray(Math.floor(size * WARM_UP));
      slices.push(counted.reduce((sum, block) => sum + block, 0) / counted.length / BLOCK);
      for (const block of counted) blocks.push(block / BLOCK);
    },
  };
}

/** How many blocks fill a slice, at most all questions. */
async function sliceBlocks(subject: Subject): Promise<number> {
  await subject.time(0, 1);
  const [first = 0] = await subject.time(BLOCK, 1);
  const guess = Math.min(64, Math.max(1, Math.floor((SLICE_MS * 1e6) / first)));
  const ns = await subject.time(0, guess);
  const each = ns.reduce((sum, block) => sum + block, 0) / guess;
  return Math.min(MAX_QUESTIONS / BLOCK, Math.max(1, Math.round((SLICE_MS * 1e6) / each)));
}
