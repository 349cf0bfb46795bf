import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import type { Scenario } from '../src/index.ts';

/** A sample of what Cilium's programs did in a kernel, made by `fixtures/make_scenarios.py`. */
export const scenarios: readonly Scenario[] = gunzipSync(
  readFileSync(new URL('fixtures/scenarios.jsonl.gz', import.meta.url)),
)
  .toString('utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Scenario);

/** Every mention of an aspect that a step expects and does not have, or has and does not expect. */
export function differences({ expected, actual }: { expected: object; actual: object }): string[] {
  const want = expected as Record<string, string>;
  const have = actual as Record<string, string>;
  return [...new Set([...Object.keys(want), ...Object.keys(have)])]
    .filter((name) => want[name] !== have[name])
    .map((name) => `${name}: want ${want[name]}, have ${have[name]}`);
}
