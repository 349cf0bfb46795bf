/**
 * What does the shape of policy and traffic change? One size, one thing varied at a time: the share of hits, the number of
 * identities, the mix of prefixes, uniform or Zipf keys.
 */
import { Workshop } from './external.ts';
import { measure } from './lookup.ts';
import type { BenchOptions, QuestionResult } from './types.ts';
import { defaultSpec, type WorkloadSpec } from './workload.ts';

const SIZES = [16_384];
const QUICK_SIZES = [1024];

function variations(entries: number, quick: boolean): Partial<WorkloadSpec>[] {
  const few: Partial<WorkloadSpec>[] = [{ skew: 'zipf' }, { mix: 'exact' }, { hitRatio: 0.9 }];
  if (quick) return few;
  return [
    ...few,
    { hitRatio: 0 },
    { hitRatio: 1 },
    { identities: Math.max(1, entries >> 6) },
    { identities: entries },
    { mix: 'ranges' },
    { mix: 'wildcards' },
  ];
}

export async function run(options: BenchOptions): Promise<QuestionResult> {
  using workshop = new Workshop();
  const result: QuestionResult = { results: [], ratios: [], skipped: [] };
  for (const entries of options.entries ?? (options.quick ? QUICK_SIZES : SIZES)) {
    for (const variation of variations(entries, options.quick)) {
      const spec = { ...defaultSpec(entries, options.seed), ...variation };
      const { results, skipped } = await measure('shapes', spec, options, workshop);
      result.results.push(...results);
      result.skipped = skipped;
    }
  }
  return result;
}
