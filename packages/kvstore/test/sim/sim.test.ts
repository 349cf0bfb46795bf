import { expect, test } from 'vitest';
import { violations } from '../history/violations.ts';
import { simulate } from './world.ts';

// A failure names its seed: CILIATE_SEED=that CILIATE_SIM_RUNS=1 is the same again.
const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);
const RUNS = Number(process.env.CILIATE_SIM_RUNS ?? 60);

test('power cuts, freezes, clocks that start anywhere, late and lost messages: no violation', async () => {
  const sum = { cuts: 0, calls: 0, answered: 0, revisions: 0 };
  for (let run = seed; run < seed + RUNS; run++) {
    const { history, cuts } = await simulate(run);
    expect({ seed: run, violations: violations(history) }).toEqual({ seed: run, violations: [] });
    sum.cuts += cuts;
    sum.calls += history.calls.length;
    sum.answered += history.calls.filter(({ output }) => output !== undefined).length;
    sum.revisions += history.last.revision;
  }
  const { cuts, calls, answered, revisions } = sum;
  console.log(
    `${RUNS} simulations: ${cuts} power cuts, ${calls} operations, ${answered} of them answered, ` +
      `${revisions} revisions, violations 0`,
  );
});

test('the same seed is the same history', async () => {
  const [once, again] = [await simulate(seed), await simulate(seed)];
  expect(JSON.stringify(again)).toBe(JSON.stringify(once));
});

test('a store whose syncs do nothing is found out', async () => {
  const found: string[] = [];
  for (let run = seed; run < seed + 10; run++) found.push(...violations((await simulate(run, { lies: true })).history));
  expect(found.join('\n')).toMatch(/acknowledged and lost|not linearizable|does not start|a read at/);
});

test('a machine whose clock is too fast ends leases early, and is found out', async () => {
  const found: string[] = [];
  for (let run = seed; run < seed + 10; run++)
    found.push(...violations((await simulate(run, { clockRate: 1.5 })).history));
  expect(found.join('\n')).toMatch(/ended [\d.]+ ms after its renewal/);
});
