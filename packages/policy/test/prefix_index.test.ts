import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PrefixIndex } from '../src/prefix_index.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

const indexOf = (...keys: string[]): PrefixIndex<string> => {
  const index = new PrefixIndex<string>();
  for (const key of keys) index.add(key, key);
  return index;
};

test.each<[sentence: string, prefix: string, within: string[], containing: string[]]>([
  ['a prefix lies within itself', '10.0.0.0/8', ['10.0.0.0/8', '10.1.0.0/16'], ['0.0.0.0/0', '10.0.0.0/8']],
  ['every prefix of the family lies within /0', '0.0.0.0/0', ['0.0.0.0/0', '10.0.0.0/8', '10.1.0.0/16'], ['0.0.0.0/0']],
  ['a neighbour does not', '10.2.0.0/16', [], ['0.0.0.0/0', '10.0.0.0/8']],
  ['the first bit counts', '128.0.0.0/1', [], ['0.0.0.0/0']],
  ['colons are written as dashes', '2001-db8--0/33', ['2001-db8--1/128'], ['0--0/0', '2001-db8--0/32']],
  ['one family is not within the other', '0--0/0', ['0--0/0', '2001-db8--0/32', '2001-db8--1/128'], ['0--0/0']],
  ['an IPv4 address may end one of IPv6', '0--ffff-10.0.0.0/120', [], ['0--0/0']],
  ['what is no prefix is nowhere', '10.0.0.0/99', [], []],
])('%s', (_sentence, prefix, within, containing) => {
  const index = indexOf(
    '0.0.0.0/0',
    '10.0.0.0/8',
    '10.1.0.0/16',
    '0--0/0',
    '2001-db8--0/32',
    '2001-db8--1/128',
    'nonsense/3',
  );
  expect([[...index.within(prefix)], [...index.containing(prefix)]]).toEqual([within, containing]);
});

test('what is taken out is not found any more', () => {
  const index = indexOf('10.0.0.0/8');
  index.delete('10.0.0.0/8', '10.0.0.0/8');
  expect([...index.within('0.0.0.0/0')]).toEqual([]);
});

test('containment is that of the bits', () => {
  const bits = fc.string({ unit: fc.constantFrom('0', '1'), maxLength: 128 });
  const groups = (text: string, size: number, count: number): number[] =>
    Array.from({ length: count }, (_, at) =>
      Number.parseInt(text.padEnd(size * count, '0').slice(at * size, (at + 1) * size), 2),
    );
  const v4 = (text: string): string => `${groups(text, 8, 4).join('.')}/${text.length}`;
  const v6 = (text: string): string =>
    `${groups(text, 16, 8)
      .map((one) => one.toString(16))
      .join('-')}/${text.length}`;
  fc.assert(
    fc.property(bits, fc.nat(128), bits, (a, length, tail) => {
      const b = a.slice(0, length) + tail;
      for (const [format, width] of [
        [v4, 32],
        [v6, 128],
      ] as const) {
        const [outer, inner] = [a.slice(0, width), b.slice(0, width)];
        expect([...indexOf(format(inner)).within(format(outer))].length === 1).toBe(inner.startsWith(outer));
        expect([...indexOf(format(outer)).containing(format(inner))].length === 1).toBe(inner.startsWith(outer));
      }
    }),
    { seed, numRuns: 300 },
  );
});
