import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ENOENT, ENOSPC, LpmTrie } from '../src/index.ts';
import { Bench, lpmKey, seed } from './support.ts';

interface Entry {
  bits: string;
  value: number;
}
const bitsOf = (data: number[]): string => data.map((b) => b.toString(2).padStart(8, '0')).join('');

// Bytes of few values, so that prefixes share long parts; data sizes with and without a tail behind the last word.
const workload = fc.constantFrom(1, 4, 6, 8).chain((size) => {
  const data = fc.array(fc.constantFrom(0, 1, 128, 255), { minLength: size, maxLength: size });
  const op = fc.record({
    kind: fc.constantFrom('update', 'update', 'update', 'delete'),
    prefixlen: fc.nat(size * 8),
    data,
    value: fc.nat(255),
  });
  return fc.record({
    size: fc.constant(size),
    misalign: fc.nat(3),
    ops: fc.array(op, { maxLength: 60 }),
    probes: fc.array(fc.record({ prefixlen: fc.nat(size * 8), data }), { maxLength: 30 }),
  });
});

test('an LpmTrie answers as a scan of all prefixes would', () => {
  fc.assert(
    fc.property(workload, ({ size, misalign, ops, probes }) => {
      const bench = new Bench();
      const trie = LpmTrie.create(bench.memory, { keySize: 4 + size, valueSize: 1, maxEntries: 20 });
      const key = (prefixlen: number, data: number[]) => bench.put(bench.key + misalign, lpmKey(prefixlen, data));
      const model = new Map<string, Entry>();
      for (const { kind, prefixlen, data, value } of ops) {
        const bits = bitsOf(data).slice(0, prefixlen);
        if (kind === 'delete') {
          expect(trie.delete(key(prefixlen, data))).toBe(model.delete(bits) ? 0 : -ENOENT);
        } else {
          const isFull = !model.has(bits) && model.size === 20;
          expect(trie.update(key(prefixlen, data), bench.put(bench.value, [value]))).toBe(isFull ? -ENOSPC : 0);
          if (!isFull) model.set(bits, { bits, value });
        }
        expect(trie.count).toBe(model.size);
      }
      for (const { prefixlen, data } of [...probes, ...ops.map(({ data }) => ({ prefixlen: size * 8, data }))]) {
        const bits = bitsOf(data).slice(0, prefixlen);
        const matching = [...model.values()].filter((e) => bits.startsWith(e.bits));
        const longest = matching.sort((a, b) => b.bits.length - a.bits.length)[0];
        const found = trie.lookup(key(prefixlen, data));
        expect(found === 0 ? undefined : bench.memory.u8[found]).toBe(longest?.value);
        if (longest) expect(bench.memory.u32[trie.keyOf(found) >> 2]).toBe(longest.bits.length);
      }
      // In postorder: by bits, but a prefix after all that it contains.
      const order = [...model.keys()].sort((a, b) => (a.startsWith(b) ? -1 : b.startsWith(a) ? 1 : a < b ? -1 : 1));
      const walked = bench.keys(trie).map((k) => bitsOf(k.slice(4)).slice(0, k[0]));
      expect(walked).toEqual(order);
      const entries = trie.entries().map((e) => bitsOf(bench.bytes(e.key + 4, size)).slice(0, bench.memory.u8[e.key]));
      expect(entries).toEqual(order);
    }),
    { seed, numRuns: 500 },
  );
});

test('nodes of deleted entries are used again: a small trie never runs out', () => {
  const bench = new Bench();
  const trie = LpmTrie.create(bench.memory, { keySize: 8, valueSize: 8, maxEntries: 4 });
  for (let i = 0; i < 20_000; i++) {
    expect(bench.update(trie, lpmKey(32, [i & 255, i >> 8, 0, i % 7]), [i & 255])).toBe(0);
    if (i % 2 === 1) expect(bench.update(trie, lpmKey(32, [i & 255, i >> 8, 0, i % 7]), [1])).toBe(0);
    if (i >= 3) expect(bench.delete(trie, lpmKey(32, [(i - 3) & 255, (i - 3) >> 8, 0, (i - 3) % 7]))).toBe(0);
  }
  expect(trie.count).toBe(3);
});
