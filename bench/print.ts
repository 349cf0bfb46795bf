import type { LookupRow, Ratio, ResultRow, Skipped } from './types.ts';

type Say = (line: string) => void;

const number = (value: unknown, digits: number): string => (typeof value === 'number' ? value.toFixed(digits) : '-');
const amount = (count: number): string => (count >= 1e6 ? `${(count / 1e6).toFixed(2)} M` : String(count));

/** `throughput 54.123 ± 0.210 M ops/s, latency   18.48 ns/op`, as the kernel's own benchmarks print. */
function throughput(row: LookupRow): string {
  const rate = `${number(row.mops, 3)} ± ${number(row.plusMinus, 3)}`.padStart(18);
  return `throughput ${rate} M ops/s, latency ${number(row.nsPerVerdict, 2).padStart(9)} ns/op`;
}

/** The rows of one workload, fastest first, and what is said about all of them. */
export function printRows(say: Say, rows: readonly LookupRow[], skipped: readonly Skipped[]): void {
  const first = rows[0];
  if (first === undefined) return;
  const { question, entries, mix, skew, identities, hits, distinctKeys } = first;
  say('');
  say(
    `${question}: ${entries} entries (${mix}), ${identities} identities, keys ${skew}, ` +
      `${amount(Number(distinctKeys))} distinct, ${number(Number(hits) * 100, 0)} % hits`,
  );
  const engines = rows.filter((row) => !row.engine.startsWith('empty'));
  for (const row of engines.filter((r) => r.memoises !== true).sort(byTime)) say(line(row));
  const memoising = engines.filter((row) => row.memoises === true);
  if (memoising.length > 0) say('  these keep answers, so equal keys cost less than new ones:');
  for (const row of memoising.sort(byTime)) say(line(row));
  const harness = rows.filter((row) => row.engine.startsWith('empty'));
  say(
    `  harness, taken off above: ${harness.map((r) => `${r.engine} ${r.mode} ${number(r.grossNs, 2)} ns`).join(', ')}`,
  );
  say(`  answers: ${agreement(engines)}`);
  for (const { engine, reason } of skipped) say(`  ${engine} skipped: ${reason}`);
}

const byTime = (a: LookupRow, b: LookupRow): number => a.nsPerVerdict - b.nsPerVerdict;

function line(row: LookupRow): string {
  const percentiles = `p50 ${number(row.p50, 1).padStart(7)}  p99 ${number(row.p99, 1).padStart(7)}`;
  const bytes = row.bytesPerEntry === null ? '' : `  ${String(row.bytesPerEntry).padStart(5)} B/entry`;
  const update = typeof row.updateNs === 'number' ? `  read-only: an update ${(row.updateNs / 1e3).toFixed(0)} µs` : '';
  const wrong = row.agrees === false ? '  WRONG ANSWERS' : '';
  const name = `${row.engine.padEnd(18)} ${String(row.profile).padEnd(7)} ${row.mode.padEnd(6)}`;
  const hits = typeof row.hitRatio === 'number' ? `  ${number(100 * row.hitRatio, 1)} % from kept answers` : '';
  return `  ${name} ${throughput(row)}  ${percentiles}${bytes}${update}${hits}${wrong}`;
}

function agreement(rows: readonly LookupRow[]): string {
  const names = (agrees: boolean | null): string =>
    [...new Set(rows.filter((row) => row.agrees === agrees).map(({ engine }) => engine))].join(', ');
  const same = rows.filter((row) => row.agrees === true);
  const parts = [`checksums of ${same.length} of ${rows.filter((row) => row.agrees !== null).length} rows as expected`];
  if (names(false) !== '') parts.push(`WRONG: ${names(false)}`);
  if (names(null) !== '') parts.push(`no other of their release here: ${names(null)}`);
  return parts.join('; ');
}

/** Last, because it is the answer. */
export function printRatios(say: Say, ratios: readonly Ratio[]): void {
  if (ratios.length === 0) return;
  say('');
  say(`${'what (engine)'.padEnd(68)}${'entries'.padStart(9)}${'ratio'.padStart(9)}   reach`);
  for (const { name, entries, engine, ratio, reach, reached } of ratios) {
    const verdict = reach === null ? '' : `${reach}  ${reached ? 'reached' : 'NOT reached'}`;
    say(
      `${`${name} (${engine})`.padEnd(68)}${String(entries).padStart(9)}${ratio.toFixed(2).padStart(9)}   ${verdict}`,
    );
  }
}

/** Rows of a question that has no table of its own. */
export function printTable(say: Say, title: string, columns: readonly string[], rows: readonly ResultRow[]): void {
  const cells = [columns as string[], ...rows.map((row) => columns.map((column) => String(row[column] ?? '-')))];
  const widths = columns.map((_, n) => Math.max(...cells.map((line) => line[n]!.length)));
  say('');
  say(title);
  for (const cell of cells)
    say(`  ${cell.map((text, n) => (n === 0 ? text.padEnd(widths[n]!) : text.padStart(widths[n]!))).join('  ')}`);
}
