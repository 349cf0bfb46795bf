import { distance } from 'fastest-levenshtein';

/**
 * The known word that was probably meant: the same but for case, else the one reached by the fewest edits, of which
 * a third of the word may be wrong. An edit is a letter too many, too few or wrong, or two neighbours swapped.
 * @returns undefined if none is near; the first one listed when several are equally near
 */
export function nearestWord(word: string, known: Iterable<string>): string | undefined {
  let nearest: string | undefined;
  let fewest = Number.POSITIVE_INFINITY;
  const lower = word.toLowerCase();
  for (const candidate of known) {
    if (candidate.toLowerCase() === lower) return candidate;
    const limit = Math.max(1, Math.floor(Math.max(candidate.length, word.length) / 3));
    if (Math.abs(candidate.length - word.length) > limit) continue;
    const edits = isSwap(word, candidate) ? 1 : distance(word, candidate);
    if (edits > limit || edits >= fewest || edits >= candidate.length) continue;
    nearest = candidate;
    fewest = edits;
  }
  return nearest;
}

/** Does one pair of neighbours in the wrong order make the whole difference? */
function isSwap(word: string, other: string): boolean {
  if (word.length !== other.length) return false;
  let at = 0;
  while (at < word.length && word[at] === other[at]) at++;
  const swapped = word[at] === other[at + 1] && word[at + 1] === other[at];
  return swapped && word.slice(at + 2) === other.slice(at + 2);
}

const LONGEST_QUOTE = 80;

/** In quotes and on one line, whatever it holds; shortened if long. */
export function quoted(text: string): string {
  const quote = JSON.stringify(text.length > LONGEST_QUOTE ? `${text.slice(0, LONGEST_QUOTE)}…` : text);
  // JSON leaves these as they are, but they end a line or change its direction on a terminal.
  return quote.replace(/[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (unit) => {
    return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** `a`, `a or b`, `a, b or c`. */
export function oneOf(words: readonly string[]): string {
  const last = words.at(-1) ?? '';
  return words.length < 2 ? last : `${words.slice(0, -1).join(', ')} or ${last}`;
}

/** `, did you mean "x"?`, or nothing. */
export const didYouMean = (suggestion: string | undefined): string =>
  suggestion === undefined ? '' : `, did you mean ${quoted(suggestion)}?`;
