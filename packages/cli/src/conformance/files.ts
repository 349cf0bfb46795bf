import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { InputError } from '@ciliate/k8s';

/** One line of a set, and where it stands: `file:line`. */
export interface Line {
  readonly text: string;
  readonly where: string;
}

/**
 * The lines of a file, plain or gzipped, that are not empty.
 * @throws InputError for a file that cannot be read, is no gzip, or holds no case
 */
export function linesOf(file: string): Line[] {
  return splitLines(textOf(file), file);
}

/**
 * The value of each line; of a file that is one JSON document over several lines, that.
 * @throws InputError, also for what is no JSON
 */
export function* valuesOf(file: string): Generator<{ value: unknown; where: string }> {
  const text = textOf(file);
  const lines = splitLines(text, file);
  if (lines.length > 1 && !isJson(lines[0]!.text) && isJson(text)) yield { value: JSON.parse(text), where: file };
  else for (const { text: line, where } of lines) yield { value: parseJson(line, where), where };
}

/** The value of a file that is one JSON document. @throws InputError */
export const documentOf = (file: string): unknown => parseJson(textOf(file), file);

function splitLines(text: string, file: string): Line[] {
  const lines = text.split('\n').map((line, i) => ({ text: line, where: `${file}:${i + 1}` }));
  const found = lines.filter((line) => line.text.trim() !== '');
  if (found.length === 0) throw new InputError(`${file}: no case in it`, { file });
  return found;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new InputError(`${where}: not JSON: ${(cause as Error).message}`, { where }, cause);
  }
}

function textOf(file: string): string {
  try {
    const bytes = readFileSync(file);
    const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b;
    if (!isGzip && file.endsWith('.gz')) throw new Error('not gzipped, though its name says so');
    return (isGzip ? gunzipSync(bytes) : bytes).toString('utf8');
  } catch (cause) {
    throw new InputError(`${file}: ${(cause as Error).message}`, { file }, cause);
  }
}
