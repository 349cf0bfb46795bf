import fc from 'fast-check';
import { expect, test } from 'vitest';
import { portRangeToPrefixes } from '../src/portrange.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

test.each<[sentence: string, start: number, end: number, want: string]>([
  ['no end is one port', 80, 0, '80/16'],
  ['an end below the start is one port', 80, 79, '80/16'],
  ['an end at the start is one port', 80, 80, '80/16'],
  ['port 0 without an end is every port', 0, 0, '0/0'],
  ['0 to 65535 is every port', 0, 65535, '0/0'],
  [
    '1 to 65535 is not',
    1,
    65535,
    '1/16 2/15 4/14 8/13 16/12 32/11 64/10 128/9 256/8 512/7 1024/6 2048/5 4096/4 8192/3 16384/2 32768/1',
  ],
  ['a range may begin with port 0', 0, 100, '0/10 64/11 96/14 100/16'],
  ['a range that is a prefix stays whole', 16, 31, '16/12'],
  ['a range across a power of two', 79, 82, '79/16 80/15 82/16'],
])('%s', (_sentence, start, end, want) => {
  expect(
    portRangeToPrefixes(start, end)
      .map(({ port, prefixLen }) => `${port}/${prefixLen}`)
      .join(' '),
  ).toBe(want);
});

test('the prefixes of a range hold each of its ports once and nothing else, and no two could be one', () => {
  const range = fc.tuple(fc.nat(0xffff), fc.nat(0xffff)).filter(([start, end]) => start < end);
  fc.assert(
    fc.property(range, ([start, end]) => {
      let next = start;
      const prefixes = portRangeToPrefixes(start, end);
      for (const [index, { port, prefixLen }] of prefixes.entries()) {
        const size = 2 ** (16 - prefixLen);
        expect([port, port % size]).toEqual([next, 0]);
        const before = prefixes[index - 1];
        if (before?.prefixLen === prefixLen) expect(before.port % (2 * size)).not.toBe(0);
        next = port + size;
      }
      expect(next).toBe(end + 1);
    }),
    { seed, numRuns: 500 },
  );
});
