import { RE2JS } from 're2js';
import { splitLiteral } from './literal_prefix.ts';
import type { HeaderMatcher, StringMatcher } from './npds.ts';
import type { RequestHeaderMap } from './request_header_map.ts';

export type RequestMatcher = (headers: RequestHeaderMap) => boolean;

/** A message that the proxy does not accept. The message starts with the path of the field at fault. */
export class RejectedPolicy extends Error {}

/** The deprecated forms: the agent sends none of them. */
const UNMODELLED = {
  exactMatch: 'exact_match',
  prefixMatch: 'prefix_match',
  suffixMatch: 'suffix_match',
  containsMatch: 'contains_match',
  rangeMatch: 'range_match',
  safeRegexMatch: 'safe_regex_match',
} as const satisfies Partial<Record<keyof HeaderMatcher, string>>;

/**
 * Looks at all values of the header, joined with commas. A header that is not there matches nothing, inverted or not,
 * unless it counts as empty; only its absence itself can be asked for. Source: Envoy, http/header_utility.
 * @throws RejectedPolicy naming the field, which is at `at` in the message
 */
export function compileMatcher(matcher: HeaderMatcher, at: string): RequestMatcher {
  for (const [field, name] of Object.entries(UNMODELLED))
    if (matcher[field as keyof HeaderMatcher]) throw new RejectedPolicy(`${at}.${name}: not modelled yet`);
  if (!matcher.name) throw new RejectedPolicy(`${at}.name: missing`);
  const name = matcher.name.toLowerCase();
  const { presentMatch, invertMatch: inverted = false, treatMissingHeaderAsEmpty = false, stringMatch } = matcher;
  // Neither form: the header must be there.
  if (presentMatch !== undefined || stringMatch === undefined) {
    const wanted = (presentMatch ?? true) !== inverted;
    return (headers) => (treatMissingHeaderAsEmpty || headers.get(name) !== undefined) === wanted;
  }
  // How the agent says that a rule can never match, for a secret that is not there.
  if (stringMatch.exact === '' && inverted) return () => false;
  const matches = compileString(stringMatch, `${at}.string_match`);
  return (headers) => {
    const value = headers.get(name) ?? (treatMissingHeaderAsEmpty ? '' : undefined);
    return value !== undefined && matches(value) !== inverted;
  };
}

/** The expression that the whole value must match, if the matcher says nothing else. */
export const regexOf = ({ stringMatch, invertMatch, presentMatch }: HeaderMatcher): string | undefined =>
  invertMatch || presentMatch ? undefined : stringMatch?.safeRegex?.regex;

function compileString(match: StringMatcher, at: string): (value: string) => boolean {
  if (match.ignoreCase) throw new RejectedPolicy(`${at}.ignore_case: not modelled yet`);
  if (match.custom) throw new RejectedPolicy(`${at}.custom: not modelled yet`);
  const { exact, prefix, suffix, contains, safeRegex } = match;
  if (exact !== undefined) return (value) => value === exact;
  if (prefix !== undefined) return (value) => value.startsWith(prefix);
  if (suffix !== undefined) return (value) => value.endsWith(suffix);
  if (contains !== undefined) return (value) => value.includes(contains);
  if (safeRegex === undefined) throw new RejectedPolicy(`${at}: no pattern`);
  return compileRegex(safeRegex.regex ?? '', `${at}.safe_regex.regex`);
}

/** What an expression without any operator but `|` matches: these words. */
const plainWords = (regex: string): ReadonlySet<string> | undefined =>
  /[.[\](){}*+?^$\\]/.test(regex) ? undefined : new Set(regex.split('|'));

/** An expression of this kind asks what stands before, also where that is not its own. */
const LOOKS_BACK = /\\[AbB]|(?<!\[)\^/;
/** What is left of expressions after what they begin with; many rules share one, and the states that it has found. */
const rests = new Map<string, (value: string) => boolean>();
/** More are not kept. */
const MAX_RESTS = 10_000;

/** RE2, over the whole value: in time linear in the value, whatever the expression. */
function compileRegex(regex: string, at: string): (value: string) => boolean {
  try {
    RE2JS.compile(regex);
  } catch (error) {
    throw new RejectedPolicy(`${at}: ${(error as Error).message}`, { cause: error });
  }
  const words = plainWords(regex);
  if (words !== undefined) {
    const [only] = words;
    return words.size === 1 ? (value) => value === only : (value) => words.has(value);
  }
  const { literal, rest } = splitLiteral(regex);
  if (literal === '' || LOOKS_BACK.test(rest)) return restMatcher(regex);
  const matches = restMatcher(rest);
  return (value) => value.startsWith(literal) && matches(value.slice(literal.length));
}

function restMatcher(rest: string): (value: string) => boolean {
  const known = rests.get(rest);
  if (known !== undefined) return known;
  if (rests.size >= MAX_RESTS) rests.clear();
  const matches = compileRest(rest);
  rests.set(rest, matches);
  return matches;
}

function compileRest(rest: string): (value: string) => boolean {
  if (rest === '') return (value) => value === '';
  // No dot stands for a line end.
  if (rest === '.*') return (value) => !value.includes('\n');
  const compiled = RE2JS.compile(rest);
  return (value) => compiled.testExact(value);
}
