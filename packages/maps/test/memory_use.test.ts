import { expect, test } from 'vitest';
import { type BpfMap, ENOMEM, HashMap, LpmTrie, LruHashMap, Memory, PerCpuHashMap, Reader } from '../src/index.ts';
import { Bench, lpmKey } from './support.ts';

const ENTRIES = 5000;
const spec = { keySize: 8, valueSize: 24, maxEntries: ENTRIES };
const makers: [name: string, create: (memory: Memory, singleOwner: boolean) => BpfMap][] = [
  ['HashMap', (memory, singleOwner) => HashMap.create(memory, { ...spec, singleOwner })],
  ['LruHashMap', (memory, singleOwner) => LruHashMap.create(memory, { ...spec, singleOwner })],
  ['PerCpuHashMap', (memory, singleOwner) => PerCpuHashMap.create(memory, { ...spec, cpus: 2, singleOwner })],
  ['LpmTrie', (memory, singleOwner) => LpmTrie.create(memory, { ...spec, singleOwner })],
];
const key = (i: number): number[] => lpmKey(32, [i & 255, i >> 8, (i * 37) & 255, i % 251]);
/** A chunk of nodes, and those that wait for readers. */
const REST = 24 * 1024;

test.each(makers)('%s: deleted entries give their memory back, and so does the map', (_name, create) => {
  for (const singleOwner of [false, true]) {
    const bench = new Bench();
    const { memory } = bench;
    const before = memory.usedBytes;
    const map = create(memory, singleOwner);
    const empty = memory.usedBytes;
    expect(map.bytesUsed).toBe(empty - before);
    for (let i = 0; i < ENTRIES; i++) expect(bench.update(map, key(i), [i & 255])).toBe(0);
    expect(map.bytesUsed).toBe(memory.usedBytes - before);
    expect(memory.usedBytes - empty).toBeGreaterThan(ENTRIES * 32);
    expect(memory.usedBytes - empty).toBeLessThan(ENTRIES * 140);
    for (let i = 0; i < ENTRIES; i++) expect(bench.delete(map, key(i))).toBe(0);
    expect(map.bytesUsed).toBe(memory.usedBytes - before);
    expect(memory.usedBytes - empty).toBeLessThan(REST);
    map.destroy();
    expect(memory.usedBytes).toBe(before);
  }
});

test.each(makers)('%s: memory of deleted entries is kept while a reader may still look at them', (_name, create) => {
  const bench = new Bench();
  const map = create(bench.memory, false);
  for (let i = 0; i < ENTRIES; i++) bench.update(map, key(i), [i & 255]);
  const full = bench.memory.usedBytes;
  const reader = Reader.join(bench.memory);
  const held = map.lookup(bench.put(bench.key, key(7)));
  for (let i = 0; i < ENTRIES; i++) bench.delete(map, key(i));
  expect(bench.memory.usedBytes).toBe(full);
  expect(bench.memory.u8[held]).toBe(7);
  reader.pause();
  expect(bench.update(map, key(1), [1])).toBe(0); // the writer asks the readers before it takes more
  expect(bench.memory.usedBytes).toBeLessThan(full - ENTRIES * 16);
  reader.leave();
});

test.each(makers.filter(([name]) => name !== 'LruHashMap'))(
  '%s: a full memory is answered with ENOMEM; what is there stays',
  (_name, create) => {
    const memory = Memory.create(192 * 1024);
    const map = create(memory, true);
    const at = memory.alloc(8);
    const value = memory.alloc(24);
    let result = 0;
    let added = 0;
    for (; added < ENTRIES && result === 0; added++) {
      memory.u8.set(key(added), at);
      memory.u8[value] = added & 255;
      result = map.update(at, value);
    }
    expect(result).toBe(-ENOMEM);
    expect(map.count).toBe(added - 1);
    for (let i = 0; i < added - 1; i++) {
      memory.u8.set(key(i), at);
      expect(memory.u8[map.lookup(at)]).toBe(i & 255);
    }
  },
);
