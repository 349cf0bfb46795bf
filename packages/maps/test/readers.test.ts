import { expect, test } from 'vitest';
import { EBUSY, HashMap, LpmTrie, Memory, Reader } from '../src/index.ts';
import { Bench, MIB } from './support.ts';

test('synchronize waits for a reader that is between two quiet points, and for no other', () => {
  const memory = Memory.create(MIB);
  expect(memory.synchronize(5)).toBe(true); // nobody reads
  const reader = Reader.join(memory);
  expect(memory.synchronize(5)).toBe(false);
  reader.quiet();
  expect(memory.synchronize(5)).toBe(false); // asked anew: a quiet point from before does not count
  reader.pause();
  expect(memory.synchronize(5)).toBe(true);
  reader.quiet();
  expect(memory.synchronize(5)).toBe(false);
  reader.leave();
  expect(memory.synchronize(5)).toBe(true);
});

test('a reader whose thread died is expelled', () => {
  const memory = Memory.create(MIB);
  const reader = Reader.join(memory);
  Reader.expel(memory, reader.slot);
  expect(memory.synchronize(5)).toBe(true);
  expect(Reader.join(memory).slot).toBe(reader.slot);
});

test('64 readers join, the 65th is refused', () => {
  const memory = Memory.create(MIB);
  const readers = Array.from({ length: 64 }, () => Reader.join(memory));
  expect(() => Reader.join(memory)).toThrow(expect.objectContaining({ code: 'EBUSY' }));
  readers[10]!.leave();
  expect(Reader.join(memory).slot).toBe(10);
});

test.each([
  ['HashMap', HashMap],
  ['LpmTrie', LpmTrie],
])('%s: an old value stays whole until the reader has passed a quiet point', (_name, kind) => {
  const bench = new Bench();
  const map = kind.create(bench.memory, { keySize: 8, valueSize: 4, maxEntries: 1 });
  const key = [32, 0, 0, 0, 10, 0, 0, 1];
  const reader = Reader.join(bench.memory);
  bench.update(map, key, [42, 42, 42, 42]);
  const held = map.lookup(bench.key);
  bench.memory.synchronize = () => false; // as if the reader never came, without the wait
  let result = 0;
  for (let i = 0; i < 1000 && result === 0; i++) result = bench.update(map, key, [7, 7, 7, 7]);
  expect(result).toBe(-EBUSY);
  expect(bench.bytes(held, 4)).toEqual([42, 42, 42, 42]);
  expect(bench.lookup(map, key)).toEqual([7, 7, 7, 7]);
  expect(() => map.destroy()).toThrow(expect.objectContaining({ code: 'EBUSY' }));

  for (let i = 0; i < 1000; i++) {
    reader.quiet();
    expect(bench.update(map, key, [8, 8, 8, 8])).toBe(0);
  }
});

test.each([
  ['HashMap', HashMap],
  ['LpmTrie', LpmTrie],
])(
  '%s: a reader that writes itself does not wait for itself: what it replaces stays whole, and is used again later',
  (_name, kind) => {
    const bench = new Bench();
    const map = kind.create(bench.memory, { keySize: 8, valueSize: 4, maxEntries: 1 });
    const key = [32, 0, 0, 0, 10, 0, 0, 1];
    const reader = Reader.join(bench.memory, { writes: true });
    bench.memory.synchronize = () => {
      throw new Error('waits');
    };
    bench.update(map, key, [42, 42, 42, 42]);
    const held = map.lookup(bench.key);
    for (let i = 0; i < 2000; i++) expect(bench.update(map, key, [7, 7, 7, 7])).toBe(0);
    expect(bench.bytes(held, 4)).toEqual([42, 42, 42, 42]);
    const most = map.bytesUsed;
    for (let i = 0; i < 2000; i++) {
      reader.quiet();
      expect(bench.update(map, key, [8, 8, 8, 8])).toBe(0);
    }
    expect(map.bytesUsed).toBeLessThan(most);
  },
);
