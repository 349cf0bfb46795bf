import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { kernel, runKernel } from './kernel/kernel.ts';
import { KINDS, type Kind } from './kernel/kinds.ts';
import { Ours } from './kernel/ours.ts';
import { seed } from './support.ts';

const KEYS = 8;
const keyIndex = fc.nat(KEYS - 1);
const valueIndex = fc.nat(3);
/** Flags 0..2 are known; 3 and 4 (a lock that no value has) are refused. */
const flags = fc.constantFrom(0, 0, 0, 1, 2, 3, 4);

/** One operation, in the words of maps.c. */
function operation(kind: Kind, keys: string[]): fc.Arbitrary<string> {
  const key = keyIndex.map((i) => keys[i]!);
  const update = fc.tuple(flags, key, valueIndex).map(([f, k, v]) => `u ${f} ${k} ${kind.value(v, kernel.cpus)}`);
  const op = (letter: string): fc.Arbitrary<string> => key.map((k) => `${letter} ${k}`);
  // Which key a hash gives next is not specified.
  return fc.oneof({ weight: 6, arbitrary: update }, op('l'), op('d'), kind.isOrdered ? op('n') : op('l'));
}

const workload = (kind: Kind): fc.Arbitrary<{ keys: string[]; max: number; ops: string[] }> =>
  fc.uniqueArray(kind.key, { minLength: KEYS, maxLength: KEYS }).chain((keys) =>
    fc.record({
      keys: fc.constant(keys),
      max: kind.maxEntries === undefined ? fc.integer({ min: 1, max: KEYS - 1 }) : fc.constant(kind.maxEntries),
      ops: fc.array(operation(kind, keys), { maxLength: 60 }),
    }),
  );

/** An answer of `w` or `b`, without the order if that is not specified. */
function normal(kind: Kind, line: string, answer: string): string {
  if (kind.isOrdered) return answer;
  if (line === 'w') return answer.split(' ').sort().join(' ');
  if (!line.startsWith('b')) return answer;
  const [result, count, keys = '', values = ''] = answer.split(':');
  const n = Number(count);
  const part = (text: string, i: number): string => text.slice((text.length / n) * i, (text.length / n) * (i + 1));
  const entries = Array.from({ length: n }, (_, i) => `${part(keys, i)}=${part(values, i)}`);
  return [result, count, ...entries.sort()].join(' ');
}

const reason = kernel.reason === undefined ? '' : ` (skipped: ${kernel.reason})`;

describe.skipIf(kernel.reason !== undefined)(`as the kernel's own maps${reason}`, () => {
  test.each(KINDS)('$name: results, errors, values, keys, batches', (kind) => {
    fc.assert(
      fc.property(workload(kind), ({ keys, max, ops }) => {
        // How many fit into a batch depends on a hash's buckets, unless all do. Prog arrays have none.
        const batches = kind.type === 3 ? [] : kind.isOrdered ? ['b 1', 'b 3', 'b 100'] : ['b 100'];
        const lines = [...ops, ...keys.map((key) => `l ${key}`), 'w', ...batches];
        const compare = (answers: string[]): string[] =>
          answers.map((a, i) => `${lines[i - 1] ?? 'create'} -> ${normal(kind, lines[i - 1] ?? '', a)}`);
        expect(compare(new Ours(kind, max, kernel.cpus).run(lines))).toEqual(compare(runKernel(kind, max, lines)));
      }),
      { seed, numRuns: 60 },
    );
  });

  test.each(KINDS)('$name: sizes that cannot be', (kind) => {
    const size = fc.constantFrom(0, 1, 3, 4, 5, 8, 260, 261);
    fc.assert(
      fc.property(size, fc.constantFrom(0, 1, 4, 8), fc.constantFrom(0, 1, 4), (keySize, valueSize, max) => {
        const sized = { ...kind, keySize, valueSize };
        expect([String(new Ours(sized, max, kernel.cpus).created)]).toEqual(runKernel(sized, max, []));
      }),
      { seed, numRuns: 25 },
    );
  });

  // Which entry an LRU hash gives up is not specified; the kernel frees up to 128 at a time.
  test.each([9, 10])(
    'map type %i under pressure: never E2BIG, never above its size, the newest entry is there',
    (type) => {
      const kind = KINDS.find((k) => k.type === type)!;
      const max = 1024;
      const key = (i: number): string => `${i.toString(16).padStart(8, '0')}${'00'.repeat(kind.keySize - 4)}`;
      const count = 4 * max;
      const value = kind.value(1, kernel.cpus);
      const lines = [];
      for (let i = 0; i < count; i++) lines.push(`u 0 ${key(i)} ${value}`, `l ${key(i)}`, `u 0 ${key(0)} ${value}`);
      lines.push('w');
      const answers = { ours: new Ours(kind, max, kernel.cpus).run(lines), kernel: runKernel(kind, max, lines) };
      for (const [who, given] of Object.entries(answers)) {
        const errors = given.slice(0, -1).filter((answer) => answer.split(' ')[0] !== '0');
        expect({ who, errors }).toEqual({ who, errors: [] });
        const there = given.at(-1)!.split(' ').slice(0, -1);
        expect(there.length, who).toBeLessThanOrEqual(max);
        expect(there.length, who).toBeGreaterThan(max / 2);
        expect(there, who).toContain(key(count - 1));
        expect(there, who).toContain(key(0)); // overwritten all the time
        const oldest = there
          .filter((k) => k !== key(0))
          .map((k) => Number.parseInt(k.slice(0, 8), 16))
          .sort((a, b) => a - b)[0]!;
        expect(oldest, who).toBeGreaterThan(count - 2 * max); // nothing untouched for two rounds is left
      }
    },
  );
});
