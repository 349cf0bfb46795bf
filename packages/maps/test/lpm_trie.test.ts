import { expect, test } from 'vitest';
import { BPF_EXIST, BPF_NOEXIST, EEXIST, EINVAL, ENOENT, ENOSPC, LpmTrie } from '../src/index.ts';
import { Bench, lpmKey } from './support.ts';

const prefix = (text: string): number[] => {
  const [ip = '', bits = '32'] = text.split('/');
  return lpmKey(Number(bits), ip.split('.').map(Number));
};
const text = (key: number[]): string => `${key.slice(4).join('.')}/${key[0]}`;

function filled(prefixes: string[], maxEntries = 16): { bench: Bench; trie: LpmTrie } {
  const bench = new Bench();
  const trie = LpmTrie.create(bench.memory, { keySize: 8, valueSize: 1, maxEntries });
  for (const [i, p] of prefixes.entries()) expect(bench.update(trie, prefix(p), [i + 1])).toBe(0);
  return { bench, trie };
}

const nested = ['192.168.0.0/16', '192.168.0.0/24', '192.168.128.0/24', '192.168.1.0/24'];
/** Row i of `prefixes` holds the value i + 1; 0: not there. */
const lookups: [name: string, prefixes: string[], key: string, want: number][] = [
  ['an empty trie holds nothing', [], '10.0.0.1', 0],
  ['the longest prefix wins', nested, '192.168.0.7', 2],
  ['a shorter prefix answers for the rest', nested, '192.168.2.7', 1],
  ['outside all prefixes there is nothing', nested, '192.169.0.7', 0],
  ['an intermediate node is no answer', ['10.0.0.0/24', '10.0.1.0/24'], '10.0.2.1', 0],
  ['the empty prefix answers for everything', ['0.0.0.0/0'], '255.1.2.3', 1],
  ['a full-length prefix answers for one address', ['10.0.0.1/32', '10.0.0.0/31'], '10.0.0.1', 1],
  ['and not for its neighbour', ['10.0.0.1/32', '10.0.0.0/31'], '10.0.0.0', 2],
  ['a key shorter than a prefix does not match it', ['10.0.0.0/24'], '10.0.0.0/23', 0],
  ['a key as long as a prefix does', ['10.0.0.0/24'], '10.0.0.0/24', 1],
  ['bits behind the prefix do not count', ['10.0.0.99/24'], '10.0.0.1', 1],
  ['a key that is too long finds nothing', ['0.0.0.0/0'], '10.0.0.1/33', 0],
];

test.each(lookups)('%s', (_name, prefixes, key, want) => {
  const { bench, trie } = filled(prefixes);
  expect(bench.lookup(trie, prefix(key))?.[0] ?? 0).toBe(want);
});

test('a value address leads back to the key of the entry that matched', () => {
  const { bench, trie } = filled(nested);
  const value = trie.lookup(bench.put(bench.key, prefix('192.168.2.7')));
  expect(text(bench.bytes(trie.keyOf(value), 8))).toBe('192.168.0.0/16');
});

/** The answer to one operation on a trie of at most 4 entries that holds `nested`, and its entries then. */
const operations: [name: string, op: 'update' | 'delete', key: string, flags: number, want: number, count: number][] = [
  ['a fifth prefix does not fit', 'update', '10.0.0.0/8', 0, -ENOSPC, 4],
  ['a known prefix is replaced in a full trie', 'update', '192.168.1.0/24', 0, 0, 4],
  ['an intermediate node counts as a new prefix', 'update', '192.168.0.0/23', 0, -ENOSPC, 4],
  ['NOEXIST refuses a known prefix', 'update', '192.168.1.0/24', BPF_NOEXIST, -EEXIST, 4],
  ['EXIST replaces a known prefix', 'update', '192.168.1.0/24', BPF_EXIST, 0, 4],
  ['EXIST refuses a new prefix', 'update', '192.168.1.0/25', BPF_EXIST, -ENOENT, 4],
  ['EXIST refuses an intermediate node', 'update', '192.168.0.0/23', BPF_EXIST, -ENOENT, 4],
  ['an unknown flag is refused', 'update', '192.168.1.0/24', 4, -EINVAL, 4],
  ['a prefix that is too long is refused', 'update', '192.168.1.0/33', 0, -EINVAL, 4],
  ['a leaf is deleted', 'delete', '192.168.1.0/24', 0, 0, 3],
  ['the root of others is deleted', 'delete', '192.168.0.0/16', 0, 0, 3],
  ['an intermediate node cannot be deleted', 'delete', '192.168.0.0/23', 0, -ENOENT, 4],
  ['a prefix that only contains others cannot be deleted', 'delete', '192.0.0.0/8', 0, -ENOENT, 4],
  ['a prefix that is too long cannot be deleted', 'delete', '192.168.1.0/33', 0, -EINVAL, 4],
];

test.each(operations)('%s', (_name, op, key, flags, want, count) => {
  const { bench, trie } = filled(nested, 4);
  const got = op === 'update' ? bench.update(trie, prefix(key), [9], flags) : bench.delete(trie, prefix(key));
  expect(got).toBe(want);
  expect(trie.count).toBe(count);
  expect(bench.keys(trie)).toHaveLength(count);
});

test('keys are walked in postorder, as in the kernel', () => {
  const { bench, trie } = filled(nested);
  const order = ['192.168.0.0/24', '192.168.1.0/24', '192.168.128.0/24', '192.168.0.0/16'];
  expect(bench.keys(trie).map(text)).toEqual(order);
  // A key that is not in the trie, an intermediate node or a key too long: from the start.
  for (const key of ['1.2.3.4/32', '192.168.0.0/23', '192.168.0.0/33']) {
    trie.getNextKey(bench.put(bench.key, prefix(key)), bench.next);
    expect(text(bench.bytes(bench.next, 8))).toBe(order[0]);
  }
  expect(trie.getNextKey(bench.put(bench.key, prefix('192.168.0.0/16')), bench.next)).toBe(-ENOENT);
});

test('the end of an empty trie comes at once', () => {
  const { bench, trie } = filled([]);
  expect(trie.getNextKey(0, bench.next)).toBe(-ENOENT);
});

test.each([4, 261])('a key of %i bytes is refused', (keySize) => {
  const spec = { keySize, valueSize: 1, maxEntries: 1 };
  expect(() => LpmTrie.create(new Bench().memory, spec)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
});

test('a key has up to 256 bytes of data', () => {
  const bench = new Bench();
  const trie = LpmTrie.create(bench.memory, { keySize: 260, valueSize: 1, maxEntries: 4 });
  const data = Array.from({ length: 256 }, (_, i) => i);
  bench.update(trie, lpmKey(2048, data), [1]);
  bench.update(trie, lpmKey(2047, data), [2]);
  expect(bench.lookup(trie, lpmKey(2048, data))).toEqual([1]);
  expect(bench.lookup(trie, lpmKey(2048, [...data.slice(0, -1), 254]))).toEqual([2]);
});
