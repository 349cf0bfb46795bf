import { expect, test } from 'vitest';
import { ArrayMap, BPF_EXIST, BPF_NOEXIST, E2BIG, EEXIST, EINVAL } from '../src/index.ts';
import { Bench } from './support.ts';

const index = (i: number): number[] => [i & 0xff, (i >>> 8) & 0xff, 0, 0];

test.each([
  ['an element that exists is set', 2, 0, 0],
  ['EXIST always holds', 2, BPF_EXIST, 0],
  ['NOEXIST never holds', 2, BPF_NOEXIST, -EEXIST],
  ['an index beyond the end does not fit', 3, 0, -E2BIG],
  ['an unknown flag is refused', 0, 3, -EINVAL],
])('%s', (_name, i, flags, want) => {
  const bench = new Bench();
  const map = ArrayMap.create(bench.memory, { keySize: 4, valueSize: 12, maxEntries: 3 });
  const value = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
  expect(bench.update(map, index(i), value, flags)).toBe(want);
  const untouched = Array.from({ length: 12 }, () => 0);
  expect(bench.lookup(map, index(2))).toEqual(want === 0 ? value : untouched);
  expect(bench.lookup(map, index(0))).toEqual(untouched);
});

test.each([4, 8])('a value of %i bytes is stored in one piece, at any alignment of the caller', (valueSize) => {
  const bench = new Bench();
  const map = ArrayMap.create(bench.memory, { keySize: 4, valueSize, maxEntries: 3 });
  const value = [255, 2, 3, 254, 5, 6, 7, 253].slice(0, valueSize);
  bench.put(bench.key + 1, index(1));
  bench.put(bench.value + 3, value);
  expect(map.update(bench.key + 1, bench.value + 3)).toBe(0);
  expect([0, 1, 2].map((i) => bench.lookup(map, index(i))![0])).toEqual([0, 255, 0]);
  expect(bench.lookup(map, index(1))).toEqual(value);
});

test('all indices are walked in order; a key beyond the end begins again', () => {
  const bench = new Bench();
  const map = ArrayMap.create(bench.memory, { keySize: 4, valueSize: 1, maxEntries: 3 });
  expect(bench.keys(map)).toEqual([index(0), index(1), index(2)]);
  expect(map.getNextKey(bench.put(bench.key, index(9)), bench.next)).toBe(0);
  expect(bench.bytes(bench.next, 4)).toEqual(index(0));
  expect([...map.entries()].map(({ value }) => value - map.lookup(bench.put(bench.key, index(0))))).toEqual([0, 8, 16]);
});

test('an element cannot be deleted, and is not there beyond the end', () => {
  const bench = new Bench();
  const map = ArrayMap.create(bench.memory, { keySize: 4, valueSize: 1, maxEntries: 3 });
  expect(bench.delete(map, index(0))).toBe(-EINVAL);
  expect(bench.lookup(map, index(3))).toBeUndefined();
  expect(map.count).toBe(3);
});

test('the key must be 4 bytes', () => {
  const spec = { keySize: 8, valueSize: 1, maxEntries: 3 };
  expect(() => ArrayMap.create(new Bench().memory, spec)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
});
