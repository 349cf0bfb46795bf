import { expect, test } from 'vitest';
import { csv, html } from '../bench/report.ts';
import type { ResultRow } from '../bench/types.ts';

const row = (question: string, engine: string, entries: number, rest: Partial<ResultRow>): ResultRow => {
  const fields = Object.entries(rest).filter((pair) => pair[1] !== undefined) as [string, string | number][];
  return { question, engine, entries, mode: 'single', ...Object.fromEntries(fields) };
};
const results = [
  row('lookup', 'lpm-trie', 16, { mops: 10 }),
  row('lookup', 'lpm-trie', 1024, { mops: 5 }),
  row('lookup', 'a<b', 16, { mops: 7 }),
  row('lookup', 'empty', 16, { mops: 900 }),
  row('memory', 'lpm-trie', 16, { bytesPerEntry: 64 }),
  row('scaling', 'lpm-trie', 16, { workers: 1, mops: 5 }),
  row('scaling', 'lpm-trie', 16, { workers: 2, mops: 10 }),
];
const skipped = [{ engine: 'kernel-lpm', reason: 'BPF programs need root' }];

test('csv: a column for every field of any row, quotes where they are needed', () => {
  const [head, first, , , , memory] = csv([...results, row('x', 'y', 1, { note: 'one, "two"' })]).split('\n');
  expect(head).toBe('question,engine,entries,mode,mops,bytesPerEntry,workers,note');
  expect(first).toBe('lookup,lpm-trie,16,single,10,,,');
  expect(memory).toBe('memory,lpm-trie,16,single,,64,,');
  expect(csv([row('x', 'y', 1, { note: 'one, "two"' })])).toContain('"one, ""two"""');
});

test('html: one page without references, a plot a question, what was skipped, no raw names', () => {
  const page = html({ node: 'v1', cpu: 'any', seed: 1, results, ratios: [], skipped });
  expect(page).not.toMatch(/(src|href)=/);
  expect(page.match(/<svg/g)).toHaveLength(3);
  // Throughput: two engines, the empty loop is none; memory and scaling: one each. The ipcache was not measured.
  expect(page.match(/<polyline/g)).toHaveLength(4);
  expect(page).toContain('not measured');
  expect(page).toContain('kernel-lpm skipped: BPF programs need root');
  expect(page).not.toContain('a<b');
});
