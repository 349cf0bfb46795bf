import type { Label } from '@ciliate/labels';
import {
  absoluteName,
  absolutePattern,
  anchoredExpression,
  compilePattern,
  unanchoredExpression,
} from './match_pattern.ts';

/** A name or a pattern; '' where it is not given. Source: pkg/policy/api/fqdn.go. */
export interface NameSelector {
  readonly matchName: string;
  readonly matchPattern: string;
}

/** The label of addresses that a name answered with, if an entry of `toFQDNs` selects the name; as written. */
export const fqdnLabel = ({ matchName, matchPattern }: NameSelector): Label => ({
  source: 'fqdn',
  key: matchName || matchPattern,
  value: '',
});

/** Which names an entry of `toFQDNs` selects; names must be absolute. */
export const compileSelector = (selector: NameSelector): ((name: string) => boolean) =>
  compilePattern(patternOf(selector));

/** The expression that Cilium matches with instead. */
export const selectorExpression = (selector: NameSelector): string => anchoredExpression(patternOf(selector));

const patternOf = ({ matchName, matchPattern }: NameSelector): string =>
  matchName === '' ? absolutePattern(matchPattern) : absoluteName(matchName);

/**
 * Which names the DNS proxy lets an endpoint ask for, by the rules of one peer. No rules allow everything; so does the
 * pattern `*`, which here stands for any text at all. A rule with neither name nor pattern allows nothing.
 * Source: pkg/fqdn/dnsproxy/proxy.go, GeneratePattern.
 */
export function compileDnsRules(rules: readonly NameSelector[]): (name: string) => boolean {
  const patterns = rulePatterns(rules);
  if (patterns === undefined) return () => true;
  const tests = patterns.map(compilePattern);
  return (name) => tests.some((test) => test(name));
}

/** The expression that Cilium matches with instead. */
export function dnsRulesExpression(rules: readonly NameSelector[]): string {
  const patterns = rulePatterns(rules);
  return patterns === undefined ? '(?:)' : `^(?:${patterns.map(unanchoredExpression).join('|')})$`;
}

/** undefined: everything is allowed. */
function rulePatterns(rules: readonly NameSelector[]): string[] | undefined {
  if (rules.length === 0 || rules.some(({ matchPattern }) => matchPattern === '*')) return undefined;
  return rules.flatMap(({ matchName, matchPattern }) => [
    ...(matchName === '' ? [] : [absoluteName(matchName)]),
    ...(matchPattern === '' ? [] : [absolutePattern(matchPattern)]),
  ]);
}
