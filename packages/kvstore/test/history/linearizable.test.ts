import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { notLinearizable, type Operation } from './linearizable.ts';
import { type KeyInput, type KeyOutput, REGISTER } from './register.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

type Op = Operation<KeyInput, KeyOutput>;
const at = (called: number, returned: number, input: KeyInput, output?: KeyOutput): Op => ({
  ...{ called, returned, input, output },
});
const put = (called: number, returned: number, value: string) =>
  at(called, returned, { type: 'put', value }, { type: 'put' });
const lostPut = (called: number, value: string) => at(called, 0, { type: 'put', value });
const get = (called: number, returned: number, value: string | null) =>
  at(called, returned, { type: 'get' }, { type: 'get', value });
const remove = (called: number, returned: number, deleted: boolean) =>
  at(called, returned, { type: 'delete' }, { type: 'delete', deleted });
const swap = (called: number, returned: number, expected: string | null, value: string, found?: string | null) =>
  at(
    called,
    returned,
    { type: 'swap', expected, value },
    found === undefined ? { type: 'swap', succeeded: true } : { type: 'swap', succeeded: false, found },
  );

const good: [name: string, history: Op[]][] = [
  ['nothing happened', []],
  ['a read during a write sees the value before it', [put(1, 4, 'a'), get(2, 3, null)]],
  ['a read during a write sees the value after it', [put(1, 4, 'a'), get(2, 3, 'a')]],
  ['writes at the same time come in the order that reads saw', [put(1, 4, 'a'), put(2, 3, 'b'), get(5, 6, 'a')]],
  ['a write of unknown outcome was done late', [lostPut(1, 'a'), get(2, 3, null), get(4, 5, 'a')]],
  ['a write of unknown outcome was never done', [lostPut(1, 'a'), get(2, 3, null), get(4, 5, null)]],
  ['a swap sees what it asks for', [put(1, 2, 'a'), swap(3, 4, 'a', 'b'), swap(5, 6, 'a', 'c', 'b'), get(7, 8, 'b')]],
  ['of two swaps at the same time one wins', [swap(1, 4, null, 'a'), swap(2, 3, null, 'b', 'a')]],
  [
    'fifty writes of unknown outcome, none of which was done, between a write and its readers',
    [
      put(1, 2, 'a'),
      ...Array.from({ length: 50 }, (_, n) => lostPut(3 + n, `lost ${n}`)),
      get(60, 62, 'a'),
      get(61, 63, 'a'),
    ],
  ],
  [
    'a delete of unknown outcome explains a missing key',
    [put(1, 2, 'a'), at(3, 0, { type: 'delete' }), get(4, 5, null)],
  ],
];
const bad: [name: string, history: Op[]][] = [
  ['an acknowledged write is lost', [put(1, 2, 'a'), get(3, 4, null)]],
  ['a read goes back in time', [put(1, 8, 'a'), get(2, 3, 'a'), get(4, 5, null)]],
  ['a stale read after an acknowledged write', [put(1, 2, 'a'), put(3, 4, 'b'), get(5, 6, 'a')]],
  ['a value that nobody wrote', [put(1, 2, 'a'), get(3, 4, 'x')]],
  ['two readers disagree on the order', [put(1, 4, 'a'), put(2, 3, 'b'), get(5, 6, 'a'), get(7, 8, 'b')]],
  ['a write of unknown outcome is seen, then undone', [lostPut(1, 'a'), get(2, 3, 'a'), get(4, 5, null)]],
  ['a write of unknown outcome is done twice', [lostPut(1, 'a'), get(2, 3, 'a'), put(4, 5, 'b'), get(6, 7, 'a')]],
  ['a write is seen before it is called', [get(1, 2, 'a'), put(3, 4, 'a')]],
  ['two swaps of the same value both win', [swap(1, 4, null, 'a'), swap(2, 3, null, 'b')]],
  ['a delete finds nothing where something was', [put(1, 2, 'a'), remove(3, 4, false)]],
  ['both of two deletes find the one value', [put(1, 2, 'a'), remove(3, 6, true), remove(4, 5, true)]],
];

describe('the checker', () => {
  test.each(good)('accepts: %s', (_name, history) => expect(notLinearizable(REGISTER, history)).toBeUndefined());
  test.each(bad)('rejects: %s', (_name, history) => expect(notLinearizable(REGISTER, history)).toBeDefined());

  test('says where it got stuck', () => {
    const found = notLinearizable(REGISTER, [put(1, 2, 'a'), put(3, 4, 'b'), get(5, 6, 'a'), get(7, 8, 'b')])!;
    expect([found.done.map(({ called }) => called), found.stuck.called]).toEqual([[1, 3], 5]);
  });

  // The plain way: every order of every choice of the unknown ones.
  const plainly = (history: readonly Op[], value: string | null = null): boolean => {
    const known = history.filter(({ output }) => output !== undefined);
    if (known.length === 0) return true;
    const firstReturn = Math.min(...known.map(({ returned }) => returned));
    return history.some((op) => {
      const next = op.called < firstReturn ? REGISTER.step(value, op.input, op.output) : undefined;
      return (
        next !== undefined &&
        plainly(
          history.filter((other) => other !== op),
          next,
        )
      );
    });
  };
  const value = fc.constantFrom('a', 'b');
  const valueOrNone = fc.constantFrom('a', 'b', null);
  const what: fc.Arbitrary<[KeyInput, KeyOutput | undefined]> = fc.oneof(
    fc.tuple(
      fc.constant<KeyInput>({ type: 'get' }),
      fc.record({ type: fc.constant('get' as const), value: valueOrNone }),
    ),
    fc.tuple(
      fc.record({ type: fc.constant('put' as const), value }),
      fc.constantFrom<(KeyOutput | undefined)[]>({ type: 'put' }, { type: 'put' }, undefined),
    ),
    fc.tuple(
      fc.constant<KeyInput>({ type: 'delete' }),
      fc.constantFrom<(KeyOutput | undefined)[]>(
        { type: 'delete', deleted: true },
        { type: 'delete', deleted: false },
        undefined,
      ),
    ),
    fc.tuple(
      fc.record({ type: fc.constant('swap' as const), expected: valueOrNone, value }),
      fc.constantFrom<(KeyOutput | undefined)[]>({ type: 'swap', succeeded: true }, undefined),
    ),
  );
  const histories = fc
    .array(fc.tuple(what, fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 12 })), { maxLength: 6 })
    .map((rows) =>
      rows.map(([[input, output], start, length], i): Op => {
        const called = start + i / 100; // each moment once
        return { called, returned: called + length + 0.005, input, output };
      }),
    );
  test('says what trying every order says', () => {
    const verdicts = { linearizable: 0, not: 0 };
    fc.assert(
      fc.property(histories, (history) => {
        const isLinearizable = notLinearizable(REGISTER, history) === undefined;
        verdicts[isLinearizable ? 'linearizable' : 'not']++;
        expect(isLinearizable).toBe(plainly(history));
      }),
      { seed, numRuns: 3000 },
    );
    expect(Math.min(...Object.values(verdicts))).toBeGreaterThan(300); // both happen
  });
});
