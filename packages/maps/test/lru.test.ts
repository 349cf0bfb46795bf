import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BPF_EXIST, BPF_NOEXIST, EEXIST, ENOENT, LruHashMap, LruPerCpuHashMap, Memory } from '../src/index.ts';
import { Bench, seed } from './support.ts';

const SIZE = 4;
const spec = { keySize: 4, valueSize: 8, maxEntries: SIZE };
const key = (i: number): number[] => [i & 255, i >> 8, 0, 0];
const value = (i: number): number[] => [i & 255, 0, 0, 0, 0, 0, 0, 0];

/** Fills a map with keys 1..4 in this order, does `use`, adds key 9. @returns what is there then */
function survivors(use: (bench: Bench, map: LruHashMap) => void, singleOwner: boolean): number[] {
  const bench = new Bench();
  const map = LruHashMap.create(bench.memory, { ...spec, singleOwner });
  for (let i = 1; i <= SIZE; i++) bench.update(map, key(i), value(i));
  use(bench, map);
  expect(bench.update(map, key(9), value(9))).toBe(0);
  return bench
    .keys(map)
    .map((k) => k[0]!)
    .sort();
}

const scenarios: [name: string, use: (bench: Bench, map: LruHashMap) => void, want: number[]][] = [
  ['nothing was used: the oldest goes', () => {}, [2, 3, 4, 9]],
  ['a lookup saves an entry', (bench, map) => bench.lookup(map, key(1)), [1, 3, 4, 9]],
  ['a peek does not, as a lookup by bpf(2)', (bench, map) => map.peek(bench.put(bench.key, key(1))), [2, 3, 4, 9]],
  ['an update saves an entry', (bench, map) => bench.update(map, key(1), value(7)), [1, 3, 4, 9]],
  ['a walk and a dump save none', (bench, map) => [bench.keys(map), map.entries()], [2, 3, 4, 9]],
  ['a deleted entry makes room: nothing else goes', (bench, map) => bench.delete(map, key(3)), [1, 2, 4, 9]],
  [
    'all were used: the oldest goes',
    (bench, map) => {
      for (let i = 1; i <= SIZE; i++) bench.lookup(map, key(i));
    },
    [2, 3, 4, 9],
  ],
];

describe.each([false, true])('LruHashMap, single owner: %s', (singleOwner) => {
  test.each(scenarios)('%s', (_name, use, want) => {
    expect(survivors(use, singleOwner)).toEqual(want);
  });

  test('flags are obeyed; a refused update gives nothing up', () => {
    const bench = new Bench();
    const map = LruHashMap.create(bench.memory, { ...spec, singleOwner });
    for (let i = 1; i <= SIZE; i++) bench.update(map, key(i), value(i));
    expect(bench.update(map, key(9), value(9), BPF_EXIST)).toBe(-ENOENT);
    expect(bench.update(map, key(1), value(9), BPF_NOEXIST)).toBe(-EEXIST);
    expect(map.count).toBe(SIZE);
    expect(bench.update(map, key(9), value(9), BPF_NOEXIST)).toBe(0);
  });
});

// Laws that hold whatever is given up. New keys all the time; key 0 is used before each, some others are deleted.
test.each([
  ['LruHashMap', LruHashMap],
  ['LruPerCpuHashMap', LruPerCpuHashMap],
])('%s: never above its size, the newest is there with its value, a used entry outlives unused ones', (_name, kind) => {
  fc.assert(
    fc.property(fc.array(fc.nat(9), { maxLength: 150 }), fc.boolean(), (ops, singleOwner) => {
      const bench = new Bench();
      const map = kind.create(bench.memory, { ...spec, singleOwner });
      expect(bench.update(map, key(0), value(1))).toBe(0);
      for (const [i, back] of ops.entries()) {
        const newest = i + 1;
        expect(bench.lookup(map, key(0))).toEqual(value(1));
        expect(bench.update(map, key(newest), value(i))).toBe(0);
        const at = map.peek(bench.put(bench.key, key(newest)));
        expect(bench.bytes(at, 8)).toEqual(value(i));
        const old = newest - back;
        if (old > 0) {
          const has = map.peek(bench.put(bench.key, key(old))) !== 0;
          expect(bench.delete(map, key(old))).toBe(has ? 0 : -ENOENT);
        }
        expect(map.count).toBeLessThanOrEqual(SIZE);
        expect(map.entries()).toHaveLength(map.count);
      }
    }),
    { seed, numRuns: 200 },
  );
});

test('the same run gives up the same entries', () => {
  const run = (): number[][] => {
    const bench = new Bench();
    const map = LruHashMap.create(bench.memory, { ...spec, maxEntries: 50 });
    for (let i = 0; i < 1000; i++) {
      bench.update(map, key(i), value(i));
      bench.lookup(map, key((i * 7) % (i + 1)));
    }
    return bench.keys(map);
  };
  expect(run()).toEqual(run());
});

test('a full memory makes an LRU hash give up entries before its size is reached', () => {
  const memory = Memory.create(256 * 1024);
  const map = LruHashMap.create(memory, { keySize: 4, valueSize: 1024, maxEntries: 1000, singleOwner: true });
  const at = memory.alloc(8);
  const big = memory.alloc(1024);
  for (let i = 0; i < 1000; i++) {
    memory.u32[at >> 2] = i;
    expect(map.update(at, big)).toBe(0);
  }
  expect(map.count).toBeGreaterThan(100);
  expect(map.count).toBeLessThan(256);
});
