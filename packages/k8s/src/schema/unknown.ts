import { keyPath } from '../paths.ts';
import { didYouMean, nearestWord, oneOf, quoted } from '../words.ts';
import type { Enclosing, Fields } from './schema.ts';

/**
 * Say what an unknown field was probably meant to be: one of an object around it (indented too far), a misspelt one of
 * this object, one of an object inside it (indented too little, or a level left out), or a misspelt one around it.
 */
export function explainUnknown(name: string, here: Enclosing): { message: string; suggestion: string | undefined } {
  const unknown = `unknown field ${quoted(name)}`;
  const outside = findAround(here, (fields) => (Object.hasOwn(fields, name) ? name : undefined));
  if (outside !== undefined) return { message: `${unknown}; it belongs ${outside.where}`, suggestion: name };

  const near = nearestWord(name, Object.keys(here.fields));
  if (near !== undefined) return { message: `${unknown}${didYouMean(near)}`, suggestion: near };

  const inside = findInside(name, here);
  if (inside !== undefined) return { message: `${unknown}; it belongs ${inside}`, suggestion: name };

  const nearOutside = findAround(here, (fields) => nearestWord(name, Object.keys(fields)));
  if (nearOutside === undefined) return { message: unknown, suggestion: undefined };
  const { word, where } = nearOutside;
  return { message: `${unknown}, did you mean ${quoted(word)}? It belongs ${where}`, suggestion: word };
}

function findAround(
  here: Enclosing,
  pick: (fields: Fields) => string | undefined,
): { word: string; where: string } | undefined {
  let out = 1;
  for (let around = here.around; around !== undefined; around = around.around) {
    const word = pick(around.fields);
    if (word !== undefined) {
      const place = around.path === '' ? 'at the top of the object' : `in ${around.path}`;
      return { word, where: `${levels(out)} out, ${place}` };
    }
    out++;
  }
  return undefined;
}

/** How deep to look for a field that was indented too little; deeper finds are more often chance than help. */
const DEEPEST = 2;

function findInside(name: string, here: Enclosing): string | undefined {
  let level: { path: string; fields: Fields }[] = [here];
  for (let depth = 1; depth <= DEEPEST; depth++) {
    level = level.flatMap(({ path, fields }) =>
      Object.entries(fields).flatMap(([key, field]) => {
        if (field.is !== 'value' || field.schema.fields === undefined) return [];
        return [{ path: `${keyPath(path, key)}${field.schema.isList ? '[]' : ''}`, fields: field.schema.fields }];
      }),
    );
    const paths = level.filter(({ fields }) => Object.hasOwn(fields, name)).map(({ path }) => path);
    if (paths.length > 0) return `${levels(depth)} in, in ${oneOf(paths)}`;
  }
  return undefined;
}

const levels = (count: number): string =>
  `${['zero', 'one', 'two', 'three'][count] ?? count} level${count === 1 ? '' : 's'}`;
