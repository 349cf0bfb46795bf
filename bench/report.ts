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
  // An engine has one colour in all plots.
  const names = [...new Set(results.map(({ engine }) => engine))].filter((engine) => !engine.startsWith('empty'));
  const linesOf = (rows: readonly ResultRow[], x: string, y: string): Line[] =>
    names.flatMap((engine, style) => {
      const own = rows.filter((row) => row.engine === engine);
      const points = own.map((row) => [Number(row[x]), Number(row[y])] as const).sort((a, b) => a[0] - b[0]);
      const label = own[0]?.memoises === true ? `${engine} (keeps answers)` : engine;
      return points.length === 0 ? [] : [{ label, style, points }];
    });
  const throughput = (mode: string): string => {
    const rows = lookups.filter((row) => row.mode === mode || row.mode === 'loop');
    return plot(linesOf(rows, 'entries', 'mops'), { x: 'entries', y: 'M verdicts/s', logX: true, logY: true });
  };
  const ratioRows = ratios.map((ratio) => ({
    question: 'ratios',
    mode: '',
    ...ratio,
    reached: ratio.reached === null ? '' : ratio.reached ? 'reached' : 'NOT reached',
  }));
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Ciliate: policy lookup</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
svg { width: 100%; height: auto; } div { overflow-x: auto; } table { border-collapse: collapse; font-size: 13px; }
td, th { padding: 2px 10px; text-align: right; white-space: nowrap; border-bottom: 1px solid #ddd; }
td:first-child, th:first-child { text-align: left; }
</style>
<h1>Policy lookup, measured</h1>
<p>Node ${escaped(node)}, ${escaped(cpu)}, seed ${seed}. Times of one machine in one run: compare only within it. The harness's
own time is taken off; p50 and p99 are of blocks of 256 and include it.</p>
${skipped.map((one) => `<p>${escaped(one.engine)} skipped: ${escaped(one.reason)}</p>`).join('')}
<h2>Ratios</h2>
${table(['name', 'engine', 'entries', 'ratio', 'reach', 'reached'], ratioRows)}
<h2>Throughput over entries, one call for 256 verdicts</h2>
${throughput('batch')}
<h2>Throughput over entries, one call a verdict</h2>
${throughput('single')}
<h2>Memory over entries</h2>
${plot(linesOf(of('memory'), 'entries', 'bytesPerEntry'), { x: 'entries', y: 'bytes an entry', logX: true, logY: true })}
<h2>Scaling over worker threads</h2>
${plot(linesOf(of('scaling'), 'workers', 'mops'), { x: 'workers', y: 'M verdicts/s', logX: false, logY: false })}
<h2>Ipcache over prefixes</h2>
${plot(linesOf(of('ipcache'), 'entries', 'nsPerVerdict'), { x: 'prefixes', y: 'ns a lookup', logX: true, logY: false })}
${[...new Set(results.map(({ question }) => question))].map((question) => section(question, of(question))).join('\n')}
</html>
`;
}

/** All rows of a question; those of engines that keep answers apart. What is the same in all rows is said once. */
function section(question: string, rows: readonly ResultRow[]): string {
  const columns = columnsOf(rows);
  const isSame = (column: string): boolean => rows.every((row) => row[column] === rows[0]![column]);
  const same = columns.filter((column) => column !== 'engine' && isSame(column));
  const shown = columns.filter((column) => !same.includes(column));
  const said = same
    .filter((column) => (rows[0]![column] ?? '') !== '')
    .map((column) => `${column} ${rows[0]![column]}`);
  const memoising = rows.filter(({ memoises }) => memoises === true);
  const others = rows.filter((row) => !memoising.includes(row));
  const apart = `<h3>${question}: engines that keep answers, so equal keys cost less than new ones</h3>`;
  return [
    `<h2>${question}</h2>`,
    said.length > 0 ? `<p>In all rows: ${escaped(said.join(', '))}.</p>` : '',
    table(shown, others),
    ...(memoising.length > 0 ? [apart, table(shown, memoising)] : []),
  ].join('\n');
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
  return `<div><table>${cells('th', columns)}\n${lines.join('\n')}</table></div>`;
}
