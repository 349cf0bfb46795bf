import fc from 'fast-check';
import { distance } from 'fastest-levenshtein';
import { expect, test } from 'vitest';
import { DecodeError, decodeObjects, MAX_PROBLEMS } from '../src/index.ts';
import { KINDS } from '../src/kinds/kinds.ts';
import type { Fields } from '../src/schema/schema.ts';
import { everything } from './texts.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

function problemsOf(text: string): DecodeError['problems'] {
  try {
    decodeObjects(text, 'x.yaml');
    return [];
  } catch (error) {
    if (error instanceof DecodeError) return error.problems;
    throw error;
  }
}

const valid = Buffer.from(everything);
const place = fc.nat(valid.length);
/** Bytes that YAML gives a meaning are more likely to do harm than others. */
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 4 }),
  fc.constantFrom(...'-:{}[],&*!|>%@#\'"\n\t ').map((c) => Buffer.from(c)),
);
type Edit = (text: Buffer) => Buffer;
const edit: fc.Arbitrary<Edit> = fc.oneof(
  fc.tuple(place, fc.nat(3), bytes).map(([at, cut, put]): Edit => {
    return (text) => Buffer.concat([text.subarray(0, at), put, text.subarray(at + cut)]);
  }),
  fc.tuple(place, place, place).map(([from, to, at]): Edit => {
    return (text) => Buffer.concat([text.subarray(0, at), text.subarray(from, to), text.subarray(at)]);
  }),
  place.map(
    (at): Edit =>
      (text) =>
        text.subarray(0, at),
  ),
);

test('whatever happens to the bytes of a valid text, there are objects or a DecodeError that says where', () => {
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
      const text = edits.reduce<Buffer>((text, change) => change(text), valid).toString('utf8');
      const problems = problemsOf(text);
      const lines = text.split(/\r\n|\r|\n/);
      expect(problems.length).toBeLessThanOrEqual(MAX_PROBLEMS);
      for (const { position, field, message } of problems) {
        expect(position.line).toBeGreaterThanOrEqual(1);
        expect(position.line).toBeLessThanOrEqual(lines.length);
        expect(position.column).toBeGreaterThanOrEqual(1);
        expect(`${field}${message}`).not.toMatch(/[\r\n]/);
      }
    }),
    { seed, numRuns: 1000 },
  );
});

function wordsOf(fields: Fields, into = new Set<string>()): Set<string> {
  for (const [name, field] of Object.entries(fields)) {
    into.add(name);
    if (field.is === 'value' && field.schema.fields !== undefined) wordsOf(field.schema.fields, into);
  }
  return into;
}
const schemaWords = [...new Set(Object.values(KINDS).flatMap(({ schema }) => [...wordsOf(schema.fields ?? {})]))];

/**
 * Every place where a field of the schemas stands, but for the two that are read before all others, and for the first
 * document: half of it is in fields that are not read.
 */
const fieldPlaces = [...everything.matchAll(/(?<=[\s{])[a-z][A-Za-z]{3,}(?=:\s)/g)]
  .map((match) => ({ word: match[0], at: match.index }))
  .filter(({ word }) => schemaWords.includes(word) && word !== 'kind' && word !== 'apiVersion')
  .filter(({ at }) => at > everything.indexOf('---'));

const letter = fc.constantFrom(...'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ');
const slip = fc.constantFrom('drop', 'add', 'replace', 'swap', 'capital');
function misspell(word: string, how: string, where: number, put: string): string {
  const at = where % word.length;
  const [before, after] = [word.slice(0, at), word.slice(at)];
  if (how === 'drop') return before + after.slice(1);
  if (how === 'add') return before + put + after;
  if (how === 'replace') return before + put + after.slice(1);
  if (how === 'capital') return word.toUpperCase();
  return before + after.slice(1, 2) + after.slice(0, 1) + after.slice(2);
}

test('a field misspelt by one slip is found where it stands, and the right word is suggested', () => {
  fc.assert(
    fc.property(fc.constantFrom(...fieldPlaces), slip, fc.nat(30), letter, ({ word, at }, how, where, put) => {
      const wrong = misspell(word, how, where, put);
      fc.pre(schemaWords.every((known) => known === word || distance(known, wrong) > 1));
      fc.pre(wrong !== word);
      const text = everything.slice(0, at) + wrong + everything.slice(at + word.length);
      const before = everything.slice(0, at).split('\n');
      const position = { file: 'x.yaml', line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
      expect(problemsOf(text)).toContainEqual(expect.objectContaining({ position, suggestion: word }));
    }),
    { seed, numRuns: 300 },
  );
});

test('a kind misspelt by one slip is suggested', () => {
  const kinds = Object.keys(KINDS);
  fc.assert(
    fc.property(fc.constantFrom(...kinds), slip, fc.nat(30), letter, (kind, how, where, put) => {
      const wrong = misspell(kind, how, where, put);
      // Pod and Node are two slips apart.
      fc.pre(wrong !== kind && !kinds.some((other) => other !== kind && distance(other, wrong) < 2));
      const problems = problemsOf(`apiVersion: v1\nkind: ${wrong}\n`);
      expect(problems[0]?.message).toContain('unknown kind');
      expect(problems[0]?.suggestion).toBe(kind);
    }),
    { seed, numRuns: 200 },
  );
});
