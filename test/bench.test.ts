import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, expect, test } from 'vitest';

const BENCH = fileURLToPath(new URL('../bench/run.ts', import.meta.url));
const run = promisify(execFile);
const ENGINES = ['lpm-trie', 'compiled', 'tuple-space'];
const BASELINES = ['js-map', 'kernel-lpm', 'kernel-hash', 'c-tuple-space', 'c-compiled'];
const bench = (...args: string[]) => run(process.execPath, [BENCH, ...args], { maxBuffer: 2 ** 26 });

interface Row {
  engine: string;
  entries: number;
  mode: string;
  nsPerVerdict: number;
  p50: number;
  p99: number;
  bytesPerEntry: number | null;
  checked: number;
  agrees: boolean | null;
  distinctKeys: number;
}
let document: {
  node: string;
  cpu: string;
  seed: number;
  results: Row[];
  ratios: { name: string; entries: number; ratio: number }[];
  skipped: { engine: string; reason: string }[];
};

beforeAll(async () => {
  const engine = [...ENGINES, ...BASELINES].join();
  const args = [
    'lookup',
    '--quick',
    '--json',
    '--entries',
    '128',
    '--duration',
    '20',
    '--seed',
    '7',
    '--engine',
    engine,
  ];
  document = JSON.parse((await bench(...args)).stdout);
}, 60_000);

test('with --json, stdout is one JSON document that says machine and seed', () => {
  expect(document).toMatchObject({ node: process.version, seed: 7 });
  expect(document.cpu).not.toBe('');
});

test('every engine and baseline is measured, or skipped by name', () => {
  const names = new Set([...document.results, ...document.skipped].map(({ engine }) => engine));
  for (const name of ['empty', ...ENGINES, ...BASELINES]) expect(names).toContain(name);
});

test('all answers are as the reference expects', () => {
  const rows = document.results.filter(({ engine }) => !engine.startsWith('empty'));
  for (const row of rows) expect(row, row.engine).toMatchObject({ agrees: true });
  for (const row of rows) expect(row.checked, row.engine).toBeGreaterThanOrEqual(256);
});

test('each row has its numbers, over at least a million distinct keys', () => {
  for (const row of document.results) {
    expect(row.nsPerVerdict, row.engine).toBeGreaterThan(0);
    expect(row.p99, row.engine).toBeGreaterThanOrEqual(row.p50);
    expect(row.distinctKeys).toBeGreaterThan(1_000_000);
  }
  expect(document.results.find(({ engine }) => engine === 'tuple-space')?.bytesPerEntry).toBeGreaterThan(8);
});

test('a ratio is there for each baseline that was measured', () => {
  const measured = new Set(document.results.map(({ engine }) => engine));
  for (const baseline of BASELINES.filter((name) => name !== 'js-map' && measured.has(name)))
    expect(document.ratios.some(({ name }) => name.endsWith(baseline))).toBe(true);
  expect(document.ratios.at(-1)?.name).toMatch(/two workers/);
});

test.each([
  ['a question that is none', ['lokup'], /no question lokup; there are: lookup/],
  ['an engine that is none', ['lookup', '--engine', 'lpm-tri'], /"lpm-tri".*did you mean "lpm-trie"/],
  ['a size that is no number', ['lookup', '--entries', '1k'], /--entries 1k: want a whole number/],
  ['a trace without filters', ['lookup', '--trace', 'x'], /--trace needs --filters/],
  ['a filter file that is not there', ['lookup', '--filters', 'none.txt'], /^none.txt:0: cannot be read/],
])('%s: message on stderr, exit code 2', async (_what, args, message) => {
  await expect(bench(...args)).rejects.toMatchObject({ code: 2, stderr: expect.stringMatching(message) });
});

test('the policy engine computes what the real one computed, and its times stand beside that', async () => {
  const { stdout } = await bench('policy', '--quick', '--json');
  const { results, ratios } = JSON.parse(stdout);
  const rows = results.filter(({ question }: { question: string }) => question === 'policy');
  expect(rows.map(({ mode }: { mode: string }) => mode)).toContain('one identity more, map changes');
  for (const row of rows) expect(row).toMatchObject({ entries: 11_762, agrees: true, ms: expect.any(Number) });
  expect(ratios).toHaveLength(5);
}, 60_000);
