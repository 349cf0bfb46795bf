import { isMap, isScalar, isSeq } from 'yaml';
import { didYouMean, nearestWord, oneOf, quoted } from '../words.ts';
import { checked } from './derived.ts';
import type { Schema } from './schema.ts';

// Plain words that YAML 1.1, and with it kubectl, takes for booleans, and YAML 1.2 for strings.
const OLD_BOOLEAN = /^(y|Y|yes|Yes|YES|on|On|ON|n|N|no|No|NO|off|Off|OFF)$/;

export const string: Schema<string> = {
  decode(node, place) {
    if (!isScalar(node) || node.value === null) return place.mismatch(node, 'a string');
    const quotes = `; write it in quotes: "${node.source}"`;
    if (typeof node.value !== 'string') return place.mismatch(node, 'a string', quotes);
    if (node.type === 'PLAIN' && OLD_BOOLEAN.test(node.value)) {
      return place.report(node, `want a string, found ${node.value}, which Kubernetes reads as a boolean${quotes}`);
    }
    return node.value;
  },
};

/** @param check says what is wrong with the text, undefined if nothing */
export function text(check: (value: string) => string | undefined): Schema<string> {
  return checked(string, (value, fail) => {
    const wrong = check(value);
    if (wrong !== undefined) fail(wrong);
  });
}

/** Whole numbers in plain decimal: `010` and `0x10` are refused, because YAML 1.1 and 1.2 differ about them. */
export function integer(min: number, max: number): Schema<number> {
  return {
    decode(node, place) {
      if (!isScalar(node) || typeof node.value !== 'number') return place.mismatch(node, 'a number');
      if (!/^-?(0|[1-9]\d*)$/.test(node.source ?? '')) return place.mismatch(node, 'a plain whole number');
      const { value } = node;
      return value < min || value > max ? place.mismatch(node, `a number from ${min} to ${max}`) : value;
    },
  };
}

/** A whole number, or a string, as Kubernetes' IntOrString. */
export function integerOrString(min: number, max: number): Schema<number | string> {
  const number = integer(min, max);
  return {
    decode(node, place) {
      if (isScalar(node) && typeof node.value === 'number') return number.decode(node, place);
      return isMap(node) || isSeq(node) ? place.mismatch(node, 'a number or a string') : string.decode(node, place);
    },
  };
}

export const MAX_INT32 = 0x7fff_ffff;
export const int32 = integer(-MAX_INT32 - 1, MAX_INT32);

export const boolean: Schema<boolean> = {
  decode(node, place) {
    return isScalar(node) && typeof node.value === 'boolean' ? node.value : place.mismatch(node, 'true or false');
  },
};

/**
 * One of the given words.
 * @param refused words that exist but are not modelled: each with what it stands for, as in "IPv6 is"
 * @param spelling how the word is read, if not exactly as it stands
 */
export function word<const W extends string>(
  words: readonly W[],
  refused: Readonly<Record<string, string>> = {},
  spelling = string,
): Schema<W> {
  const known: readonly string[] = words;
  return checked(spelling, (value, fail) => {
    if (known.includes(value)) return;
    if (Object.hasOwn(refused, value)) return fail(`${refused[value]} not modelled yet`);
    const suggestion = nearestWord(value, [...known, ...Object.keys(refused)]);
    const message = suggestion === undefined ? `want ${oneOf(known)}, found ` : 'unknown value ';
    fail(`${message}${quoted(value)}${didYouMean(suggestion)}`, { suggestion });
  }) as Schema<W>;
}

/** As `word`, for a field whose type is any text, because the agent's own decoder takes any. */
export const wordText = (words: readonly string[]): Schema<string> => word(words);
