const MIN_WIDTH = 5;
const PADDING = 3;

/**
 * Aligns cells as Go's text/tabwriter does with the settings of cilium-dbg (least width 5, padding 3 spaces): a cell ends
 * with a tab, what stands behind the last tab of a line is in no column, and a column is as wide as its widest cell
 * among neighbouring lines that have it. So a line that ends with a tab ends with spaces.
 */
export function tabwriter(text: string): string {
  const lines = text.split('\n').map((line) => line.split('\t'));
  const widths: number[][] = lines.map(() => []);
  for (let column = 0; lines.some((cells) => hasCell(cells, column)); column++) {
    for (let from = 0; from < lines.length; from++) {
      if (!hasCell(lines[from]!, column)) continue;
      let to = from;
      let width = MIN_WIDTH;
      for (; to < lines.length && hasCell(lines[to]!, column); to++)
        width = Math.max(width, lines[to]![column]!.length + PADDING);
      for (; from < to; from++) widths[from]!.push(width);
    }
  }
  return lines
    .map((cells, line) => cells.map((cell, column) => cell.padEnd(widths[line]![column] ?? 0)).join(''))
    .join('\n');
}

const hasCell = (cells: readonly string[], column: number): boolean => column < cells.length - 1;

/** cilium-dbg's TablePrinter: a map's dump in two columns. Cilium's order is by chance; here it is by key, numbers as numbers. */
export function tablePrinter(first: string, second: string, rows: ReadonlyMap<string, readonly string[]>): string {
  const lines = [`${first}\t${second}`];
  for (const [key, values] of rows)
    for (const [i, value] of values.entries()) lines.push(`${i === 0 ? key : ''}\t${value}\t`);
  return tabwriter(`${lines.join('\n')}\n`);
}

const BY_NUMBERS = new Intl.Collator('en', { numeric: true });

/** Texts of a dump by key, in order. */
export function dumpTable(entries: Iterable<readonly [key: string, value: string]>): Map<string, string[]> {
  const rows = new Map<string, string[]>();
  for (const [key, value] of [...entries].sort(([a], [b]) => BY_NUMBERS.compare(a, b)))
    rows.set(key, [...(rows.get(key) ?? []), value]);
  return rows;
}
