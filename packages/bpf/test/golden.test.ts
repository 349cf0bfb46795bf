import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { CTX_ACT_DROP } from '../src/index.ts';
import { type Expected, play, type Scenario } from './golden.ts';

/**
 * What Cilium's programs answered in a kernel to the same packets: return code, rewritten packet, mark, redirect, events
 * byte for byte (but for the place in Cilium's sources that drops name) and conntrack entries.
 */
const scenarios = readFileSync(new URL('fixtures/golden.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Scenario);

test.each(scenarios.map((scenario) => [scenario.name, scenario] as const))('as the kernel did: %s', (_, scenario) => {
  const wanted = scenario.steps.flatMap((step) => (step.op === 'packet' ? [comparable(step.expect)] : []));
  expect(play(scenario).map(comparable)).toEqual(wanted);
});

/** The bytes and the mark of a dropped packet are left-overs that nobody sees. */
const comparable = (outcome: Expected): Partial<Expected> =>
  outcome.ret === CTX_ACT_DROP ? { ...outcome, packet: '', mark: 0 } : outcome;
