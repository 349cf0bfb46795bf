import { expect, test } from 'vitest';
import { violations } from '../history/violations.ts';
import type { MachineFaults } from './machine.ts';
import { simulate } from './world.ts';

// A failure names its seed: CILIATE_SEED=that CILIATE_SIM_RUNS=1 is the same again.
const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);
const RUNS = Number(process.env.CILIATE_SIM_RUNS ?? 60);
const TIMEOUT_MS = 600_000;

test('power cuts, freezes, clocks that start anywhere, late and lost messages: no violation', {
  timeout: TIMEOUT_MS,
}, async () => {
  const sum = { cuts: 0, compactions: 0, calls: 0, answered: 0, revisions: 0 };
  for (let run = seed; run < seed + RUNS; run++) {
    const { history, cuts, compactions } = await simulate(run);
    expect({ seed: run, violations: violations(history) }).toEqual({ seed: run, violations: [] });
    sum.cuts += cuts;
    sum.compactions += compactions;
    sum.calls += history.calls.length;
    sum.answered += history.calls.filter(({ output }) => output !== undefined).length;
    sum.revisions += history.last.revision;
  }
  const { cuts, compactions, calls, answered, revisions } = sum;
  if (RUNS > 1) expect(compactions).toBeGreaterThan(0);
  console.log(
    `${RUNS} simulations: ${cuts} power cuts, ${compactions} compactions, ${calls} operations, ${answered} of them answered, ` +
      `${revisions} revisions, violations 0`,
  );
});

test('the same seed is the same history', async () => {
  const [once, again] = [await simulate(seed), await simulate(seed)];
  expect(JSON.stringify(again)).toBe(JSON.stringify(once));
});

/** Violations of as many simulations as it takes to find one of a kind: each shows it in a third of them at least. */
async function foundBySome(kind: RegExp, faults: MachineFaults): Promise<string[]> {
  const found: string[] = [];
  for (let run = seed; run < seed + RUNS && !found.some((one) => kind.test(one)); run++)
    found.push(...violations((await simulate(run, faults)).history));
  return found;
}

const faulty: [name: string, faults: MachineFaults, kind: RegExp][] = [
  ['a store whose syncs do nothing', { lies: true }, /acknowledged and lost|not linearizable|does not start|a read at/],
  ['a machine whose clock is too fast and ends leases early', { clockRate: 1.5 }, /ended [\d.]+ ms after its renewal/],
];
test.each(faulty)('%s is found out', { timeout: TIMEOUT_MS }, async (_name, faults, kind) => {
  expect(await foundBySome(kind, faults)).toContainEqual(expect.stringMatching(kind));
});
