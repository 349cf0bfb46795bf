import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BPF_ANY, BPF_EXIST, BPF_NOEXIST, E2BIG, EEXIST, EINVAL, ENOENT, HashMap } from '../src/index.ts';
import { Bench, seed } from './support.ts';

const A = [1, 0];
const B = [2, 0];
const C = [3, 0];
type Op = ['update', number[], number] | ['update', number[], number, number] | ['delete', number[]];
/** A map of two entries; what its last operation answers, and how many entries it has then. */
const scenarios: [name: string, ops: Op[], want: number, count: number][] = [
  ['a new key is added', [['update', A, 1]], 0, 1],
  [
    'a known key is replaced',
    [
      ['update', A, 1],
      ['update', A, 2],
    ],
    0,
    1,
  ],
  [
    'a third key does not fit',
    [
      ['update', A, 1],
      ['update', B, 2],
      ['update', C, 3],
    ],
    -E2BIG,
    2,
  ],
  [
    'a known key is replaced in a full map',
    [
      ['update', A, 1],
      ['update', B, 2],
      ['update', B, 3],
    ],
    0,
    2,
  ],
  [
    'a deleted entry makes room',
    [
      ['update', A, 1],
      ['update', B, 2],
      ['delete', A],
      ['update', C, 3],
    ],
    0,
    2,
  ],
  ['NOEXIST adds a new key', [['update', A, 1, BPF_NOEXIST]], 0, 1],
  [
    'NOEXIST refuses a known key',
    [
      ['update', A, 1],
      ['update', A, 2, BPF_NOEXIST],
    ],
    -EEXIST,
    1,
  ],
  ['EXIST refuses a new key', [['update', A, 1, BPF_EXIST]], -ENOENT, 0],
  [
    'EXIST replaces a known key',
    [
      ['update', A, 1],
      ['update', A, 2, BPF_EXIST],
    ],
    0,
    1,
  ],
  [
    'EXIST of a new key in a full map: not there',
    [
      ['update', A, 1],
      ['update', B, 1],
      ['update', C, 2, BPF_EXIST],
    ],
    -ENOENT,
    2,
  ],
  ['an unknown flag is refused', [['update', A, 1, 3]], -EINVAL, 0],
  [
    'a key that is not there cannot be deleted',
    [
      ['update', A, 1],
      ['delete', B],
    ],
    -ENOENT,
    1,
  ],
  [
    'a key is deleted once',
    [
      ['update', A, 1],
      ['delete', A],
      ['delete', A],
    ],
    -ENOENT,
    0,
  ],
];

describe.each([false, true])('HashMap, single owner: %s', (singleOwner) => {
  test.each(scenarios)('%s', (_name, ops, want, count) => {
    const bench = new Bench();
    const map = HashMap.create(bench.memory, { keySize: 2, valueSize: 4, maxEntries: 2, singleOwner });
    let result = 0;
    for (const [op, key, value = 0, flags = BPF_ANY] of ops) {
      result = op === 'update' ? bench.update(map, key, [value, 0, 0, 0], flags) : bench.delete(map, key);
    }
    expect(result).toBe(want);
    expect(map.count).toBe(count);
  });

  test('answers as a plain Map would, until it is full', () => {
    // Few distinct keys, few slots: collisions, overwrites and a full map all happen often. 3 and 5 bytes: a tail each.
    const key = fc.array(fc.nat(2), { minLength: 3, maxLength: 3 });
    const value = fc.array(fc.nat(255), { minLength: 5, maxLength: 5 });
    const op = fc.record({ key, value, kind: fc.constantFrom('update', 'update', 'delete') });
    fc.assert(
      fc.property(fc.array(op, { maxLength: 100 }), fc.nat(3), (ops, misalign) => {
        const bench = new Bench();
        const at = { key: bench.key + misalign, value: bench.value + misalign };
        const map = HashMap.create(bench.memory, { keySize: 3, valueSize: 5, maxEntries: 8, singleOwner });
        const model = new Map<string, number[]>();
        for (const { kind, key, value } of ops) {
          bench.put(at.key, key);
          const has = model.has(`${key}`);
          if (kind === 'delete') {
            expect(map.delete(at.key)).toBe(model.delete(`${key}`) ? 0 : -ENOENT);
            continue;
          }
          const isFull = !has && model.size === 8;
          expect(map.update(at.key, bench.put(at.value, value))).toBe(isFull ? -E2BIG : 0);
          if (!isFull) model.set(`${key}`, value);
          expect(map.count).toBe(model.size);
        }
        const reader = HashMap.attach(bench.memory, map.address); // as another thread would
        for (const { key } of ops) {
          bench.put(at.key, key);
          const found = reader.lookup(at.key);
          expect(found === 0 ? undefined : bench.bytes(found, 5)).toEqual(model.get(`${key}`));
          if (found !== 0) expect(bench.bytes(reader.keyOf(found), 3)).toEqual(key);
        }
        const walked = bench.keys(reader);
        expect(walked.map(String).sort()).toEqual([...model.keys()].sort());
        expect([...reader.entries()].map((e) => bench.bytes(e.key, 3))).toEqual(walked);
      }),
      { seed, numRuns: 300 },
    );
  });
});

test('a single-owner update keeps the entry where it is; else the new value is elsewhere and the old one whole', () => {
  const bench = new Bench();
  for (const singleOwner of [true, false]) {
    const map = HashMap.create(bench.memory, { keySize: 2, valueSize: 4, maxEntries: 4, singleOwner });
    bench.update(map, A, [1, 1, 1, 1]);
    const before = map.lookup(bench.put(bench.key, A));
    bench.update(map, A, [2, 2, 2, 2]);
    expect(map.lookup(bench.key) === before).toBe(singleOwner);
    expect(bench.bytes(before, 4)).toEqual(singleOwner ? [2, 2, 2, 2] : [1, 1, 1, 1]);
    expect(bench.lookup(map, A)).toEqual([2, 2, 2, 2]);
  }
});

test('a walk that deletes each key it has passed sees all of them', () => {
  const bench = new Bench();
  const map = HashMap.create(bench.memory, { keySize: 4, valueSize: 4, maxEntries: 100 });
  for (let i = 0; i < 100; i++) bench.update(map, [i, 0, 0, 0], [i, 0, 0, 0]);
  let seen = 0;
  for (let more = map.getNextKey(0, bench.key); more === 0; seen++) {
    bench.put(bench.value, bench.bytes(bench.key, 4));
    more = map.getNextKey(bench.key, bench.key);
    expect(map.delete(bench.value)).toBe(0);
  }
  expect([seen, map.count]).toEqual([100, 0]);
});

test.each([
  ['key', { keySize: 0, valueSize: 4, maxEntries: 1 }],
  ['value', { keySize: 4, valueSize: 0, maxEntries: 1 }],
  ['entries', { keySize: 4, valueSize: 4, maxEntries: 0 }],
])('a map without %s is refused', (_what, spec) => {
  expect(() => HashMap.create(new Bench().memory, spec)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
});

test('a map that does not fit leaves nothing behind', () => {
  const { memory } = new Bench();
  const before = memory.usedBytes;
  const spec = { keySize: 8, valueSize: 64, maxEntries: 10_000_000 }; // the buckets alone are too much
  expect(() => HashMap.create(memory, spec)).toThrow(expect.objectContaining({ code: 'ENOMEM' }));
  expect(memory.usedBytes).toBe(before);
});
