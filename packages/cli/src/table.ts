import { stripVTControlCharacters } from 'node:util';

/** Columns of equal width, two spaces between them. Colours do not count; the last column is not padded. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...lines.map((line) => width(line[column]!))));
  return lines
    .map((line) => line.map((cell, column) => pad(cell, column === header.length - 1 ? 0 : widths[column]!)).join('  '))
    .map((line) => `${line}\n`)
    .join('');
}

const width = (cell: string): number => stripVTControlCharacters(cell).length;
const pad = (cell: string, to: number): string => cell + ' '.repeat(Math.max(0, to - width(cell)));
