import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { escaped, type Line, plot } from './svg.ts';
import type { QuestionResult, ResultRow } from './types.ts';

export interface Report extends QuestionResult {
  node: string;
  cpu: string;
  seed: number;
}

const OUT = new URL('./out/', import.meta.url);

/** Writes JSON, CSV and one HTML page that needs nothing else. @returns the files */
export function writeReport(report: Report): string[] {
  mkdirSync(OUT, { recursive: true });
  const files: [name: string, text: string][] = [
    ['results.json', `${JSON.stringify(report, null, 1)}\n`],
    ['results.csv', csv(report.results)],
    ['report.html', html(report)],
  ];
  return files.map(([name, text]) => {
    const path = fileURLToPath(new URL(name, OUT));
    writeFileSync(path, text);
    return path;
  });
}

/** One line a row; a column for every field that any row has. */
export function csv(rows: readonly ResultRow[]): string {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const cell = (value: unknown): string => {
    const text = String(value ?? '');
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns, ...rows.map((row) => columns.map((column) => row[column]))]
    .map((line) => `${line.map(cell).join(',')}\n`)
    .join('');
}

export function html({ node, cpu, seed, results, ratios, skipped }: Report): string {
  const of = (question: string): ResultRow[] => results.filter((row) => row.question === question);
  const lookups = of('lookup').filter(({ engine }) => !engine.startsWith('empty'));
  const name = ({ engine, mode }: ResultRow): string => (mode === 'loop' ? engine : `${engine} ${mode}`);
  const ratioRows = ratios.map((ratio) => ({ question: 'ratios', mode: '', ...ratio }));
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Ciliate: policy lookup</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
svg { width: 100%; height: auto; } table { border-collapse: collapse; font-size: 13px; }
td, th { padding: 2px 10px; text-align: right; border-bottom: 1px solid #ddd; } td:first-child, th:first-child { text-align: left; }
</style>
<h1>Policy lookup, measured</h1>
<p>Node ${escaped(node)}, ${escaped(cpu)}, seed ${seed}. Times of one machine in one run: compare only within it. The harness's
own time is taken off; p50 and p99 are of blocks of 256 and include it.</p>
${skipped.map((one) => `<p>${escaped(one.engine)} skipped: ${escaped(one.reason)}</p>`).join('')}
<h2>Ratios</h2>
${table(['name', 'engine', 'entries', 'ratio', 'reach', 'reached'], ratioRows)}
<h2>Throughput over entries</h2>
${plot(linesOf(lookups, 'entries', 'mops', name), { x: 'entries', y: 'M verdicts/s', logX: true, logY: true })}
<h2>Memory over entries</h2>
${plot(
  linesOf(of('memory'), 'entries', 'bytesPerEntry', ({ engine }) => engine),
  { x: 'entries', y: 'bytes an entry', logX: true, logY: true },
)}
<h2>Scaling over worker threads</h2>
${plot(
  linesOf(of('scaling'), 'workers', 'mops', ({ engine }) => engine),
  { x: 'workers', y: 'M verdicts/s', logX: false, logY: false },
)}
<h2>Ipcache over prefixes</h2>
${plot(
  linesOf(
    of('ipcache').filter(({ engine }) => !engine.startsWith('empty')),
    'entries',
    'nsPerVerdict',
    ({ engine }) => engine,
  ),
  { x: 'prefixes', y: 'ns a lookup', logX: true, logY: false },
)}
${[...new Set(results.map(({ question }) => question))].map((question) => `<h2>${question}</h2>\n${table(columnsOf(of(question)), of(question))}`).join('\n')}
</html>
`;
}

function linesOf(rows: readonly ResultRow[], x: string, y: string, name: (row: ResultRow) => string): Line[] {
  const lines = new Map<string, [number, number][]>();
  for (const row of rows) {
    const points = lines.get(name(row)) ?? [];
    points.push([Number(row[x]), Number(row[y])]);
    lines.set(name(row), points);
  }
  return [...lines].map(([label, points]) => ({ label, points: points.sort((a, b) => a[0] - b[0]) }));
}

const columnsOf = (rows: readonly ResultRow[]): string[] => {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter((column) => column !== 'question');
  return ['engine', ...columns.filter((column) => column !== 'engine')];
};

function table(columns: readonly string[], rows: readonly ResultRow[]): string {
  const cells = (tag: string, values: readonly unknown[]): string =>
    `<tr>${values.map((value) => `<${tag}>${escaped(String(value ?? ''))}</${tag}>`).join('')}</tr>`;
  const lines = rows.map((row) =>
    cells(
      'td',
      columns.map((column) => row[column]),
    ),
  );
  return `<table>${cells('th', columns)}\n${lines.join('\n')}</table>`;
}
