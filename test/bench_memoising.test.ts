import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, expect, test } from 'vitest';
import { html, type Report } from '../bench/report.ts';

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const run = promisify(execFile);

/** The benchmark, with an engine in its registry that keeps answers. */
async function bench(...options: string[]): Promise<string> {
  const args = ['--import', path('./memoising_engine.ts'), path('../bench/run.ts'), 'lookup', '--quick', ...options];
  const few = ['--engine', 'test-memo,hash-fallback-1.13', '--entries', '16', '--duration', '20'];
  return (await run(process.execPath, [...args, ...few], { maxBuffer: 2 ** 26 })).stdout;
}

let said: string[];
let document: Report;

beforeAll(async () => {
  said = (await bench()).split('\n');
  document = JSON.parse(await bench('--json'));
}, 60_000);

test('an engine that keeps answers says how many it answered by them, any other one does not', () => {
  const rows = document.results.filter(({ engine }) => engine === 'test-memo');
  expect(rows.map(({ mode }) => mode).sort()).toEqual(['batch', 'single']);
  for (const { hitRatio, memoises, agrees } of rows) {
    expect({ memoises, agrees }).toEqual({ memoises: true, agrees: true });
    // More than half of the questions have a key of their own.
    expect(hitRatio).toBeGreaterThan(0.1);
    expect(hitRatio).toBeLessThan(0.9);
  }
  for (const row of document.results.filter(({ engine }) => engine !== 'test-memo'))
    expect(row, row.engine).toMatchObject({ memoises: false, hitRatio: null });
});

test('it is listed apart, on screen and in the report, and is never the best', () => {
  const apart = said.findIndex((line) => line.includes('these keep answers'));
  const linesOf = (engine: string) => said.flatMap((line, n) => (line.startsWith(`  ${engine} `) ? [n] : []));
  expect(Math.min(...linesOf('test-memo'))).toBeGreaterThan(apart);
  expect(Math.max(...linesOf('hash-fallback-1.13'))).toBeLessThan(apart);
  for (const n of linesOf('test-memo')) expect(said[n]).toMatch(/\d % from kept answers/);
  expect(document.ratios).toEqual([]); // there is no other engine of 1.18 here
  const [before, behind] = html(document).split('<h3>lookup: engines that keep answers');
  expect(before).not.toContain('<td>test-memo</td>');
  expect(behind).toContain('<td>test-memo</td>');
});
