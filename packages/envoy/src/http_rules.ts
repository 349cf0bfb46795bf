import { RE2Set } from 're2js';
import { compileHeaderMatch, type HeaderAction, type HeaderLog } from './header_match.ts';
import { splitLiteral } from './literal_prefix.ts';
import { compileMatcher, type RequestMatcher, regexOf } from './matcher.ts';
import type { HttpNetworkPolicyRule } from './npds.ts';
import { PrefixTree } from './prefix_tree.ts';
import type { RequestHeaderMap } from './request_header_map.ts';

/** One HTTP rule, ready to be asked. */
export interface HttpRule {
  readonly matchers: readonly RequestMatcher[];
  /** Done once all matchers match; each of them, also after one has failed. */
  readonly actions: readonly HeaderAction[];
  /** The expression by which the rule is found among many; it is one of the matchers. */
  readonly finder: { readonly name: string; readonly regex: string } | undefined;
}

/** By what rules are told apart best, the best first. */
const FINDERS = [':path', ':authority', ':method'];

/** @throws RejectedPolicy naming the field, which is at `at` in the message */
export function compileHttpRule({ headers = [], headerMatches = [] }: HttpNetworkPolicyRule, at: string): HttpRule {
  const matchers = headers.map((header, of) => compileMatcher(header, `${at}.headers[${of}]`));
  const actions = headerMatches.map((match, of) => compileHeaderMatch(match, `${at}.header_matches[${of}]`));
  const expressions = headers.flatMap((header) => {
    const regex = regexOf(header);
    return regex === undefined ? [] : [{ name: header.name, regex }];
  });
  const finders = FINDERS.map((name) => expressions.find((one) => one.name === name));
  return { matchers, actions, finder: finders.find((one) => one !== undefined) };
}

export function ruleAllows({ matchers, actions }: HttpRule, headers: RequestHeaderMap, log: HeaderLog): boolean {
  for (const matches of matchers) if (!matches(headers)) return false;
  return actions.length === 0 || actions.filter((act) => !act(headers, log)).length === 0;
}

/** Fewer expressions are tried one by one, which is faster. */
const WORTH_A_SET = 8;
/** Of one state machine, in bytes; beyond it states are forgotten and found again. */
const SET_MEMORY = 1 << 23;

/** Expressions that begin with the same text, and the positions of the rules that have them. */
interface Bucket {
  readonly rules: readonly (readonly number[])[];
  /** All of them as one state machine, which reads a value once; undefined: too few for that. */
  readonly set: RE2Set | undefined;
}

/**
 * Finds, among many rules, those that can match a request: by what their expressions begin with, and where many begin
 * alike, by all of these together. Answers are positions in the list, ascending.
 */
export class RuleFinder {
  /** Rules that no expression finds; they are always candidates. */
  readonly #others: number[] = [];
  readonly #trees = new Map<string, PrefixTree<Bucket>>();

  constructor(rules: readonly HttpRule[]) {
    const byPrefix: ByHeader = new Map();
    for (const [position, { finder }] of rules.entries()) {
      if (finder === undefined) this.#others.push(position);
      else {
        const ofPrefix = entry(entry(byPrefix, finder.name), splitLiteral(finder.regex).literal);
        const same = ofPrefix.get(finder.regex);
        if (same === undefined) ofPrefix.set(finder.regex, [position]);
        else same.push(position);
      }
    }
    for (const [name, prefixes] of byPrefix) {
      const tree = new PrefixTree<Bucket>();
      for (const [prefix, expressions] of prefixes) tree.set(prefix, bucketOf(expressions));
      this.#trees.set(name, tree);
    }
  }

  candidates(headers: RequestHeaderMap): readonly number[] {
    const found = [...this.#others];
    for (const [name, tree] of this.#trees) {
      const value = headers.get(name);
      if (value === undefined) continue;
      for (const { rules, set } of tree.of(value)) {
        if (set === undefined) for (const positions of rules) found.push(...positions);
        else for (const at of set.match(value)) found.push(...rules[at]!);
      }
    }
    return found.length > 1 ? found.sort((a, b) => a - b) : found;
  }
}

/** Header → what expressions begin with → expression → rules. */
type ByHeader = Map<string, Map<string, Map<string, number[]>>>;

function entry<V extends Map<string, unknown>>(map: Map<string, V>, key: string): V {
  const value = map.get(key) ?? (new Map() as unknown as V);
  map.set(key, value);
  return value;
}

function bucketOf(expressions: ReadonlyMap<string, readonly number[]>): Bucket {
  const rules = [...expressions.values()];
  if (expressions.size < WORTH_A_SET) return { rules, set: undefined };
  const set = new RE2Set(RE2Set.ANCHOR_BOTH, 0, SET_MEMORY);
  for (const expression of expressions.keys()) set.add(expression);
  set.compile();
  return { rules, set };
}
