import { RE2JS } from 're2js';
import type { HeaderMatcher, StringMatcher } from './npds.ts';

/** The parts of a request that policy looks at, after the path was normalised. */
export interface PolicyRequest {
  readonly method: string;
  /** With query. */
  readonly path: string;
  readonly authority: string;
}

export type RequestMatcher = (request: PolicyRequest) => boolean;

/** A message that the proxy does not accept. The message starts with the path of the field at fault. */
export class RejectedPolicy extends Error {}

const PARTS: Readonly<Record<string, keyof PolicyRequest>> = {
  ':path': 'path',
  ':method': 'method',
  ':authority': 'authority',
};

/** Of the deprecated forms none is sent by the agent; the others change what a string match means. */
const UNMODELLED = {
  exactMatch: 'exact_match',
  prefixMatch: 'prefix_match',
  suffixMatch: 'suffix_match',
  containsMatch: 'contains_match',
  rangeMatch: 'range_match',
  safeRegexMatch: 'safe_regex_match',
  presentMatch: 'present_match',
  invertMatch: 'invert_match',
  treatMissingHeaderAsEmpty: 'treat_missing_header_as_empty',
} as const satisfies Partial<Record<keyof HeaderMatcher, string>>;

/** @throws RejectedPolicy naming the field, which is at `at` in the message */
export function compileMatcher(matcher: HeaderMatcher, at: string): RequestMatcher {
  for (const [field, name] of Object.entries(UNMODELLED))
    if (matcher[field as keyof HeaderMatcher]) throw new RejectedPolicy(`${at}.${name}: not modelled yet`);
  const part = PARTS[matcher.name];
  if (part === undefined)
    throw new RejectedPolicy(`${at}.name: matching the header ${JSON.stringify(matcher.name)} is not modelled yet`);
  if (matcher.stringMatch === undefined) throw new RejectedPolicy(`${at}.string_match: missing`);
  const matches = compileString(matcher.stringMatch, `${at}.string_match`);
  return (request) => matches(request[part]);
}

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

/** RE2, over the whole value: in time linear in the value, whatever the expression. */
function compileRegex(regex: string, at: string): (value: string) => boolean {
  try {
    const compiled = RE2JS.compile(regex);
    return (value) => compiled.testExact(value);
  } catch (error) {
    throw new RejectedPolicy(`${at}: ${(error as Error).message}`, { cause: error });
  }
}
