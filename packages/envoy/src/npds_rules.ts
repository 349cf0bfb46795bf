import type { PortRuleHTTP } from '@ciliate/policy';
import type { HeaderMatcher, HttpNetworkPolicyRule, HttpNetworkPolicyRules } from './npds.ts';

/** What the proxy looks at of a rule; rules about headers never reach it. */
type HttpParts = Partial<Pick<PortRuleHTTP, 'host' | 'method' | 'path'>>;

const regexMatcher = (name: string, regex: string): HeaderMatcher => ({ name, stringMatch: { safeRegex: { regex } } });

/**
 * One HTTP rule of a policy as the proxy reads it: a regular expression per part that the rule names. An empty text
 * is no condition, as an absent one. Matchers are in the order of their names, as the agent sorts them.
 * Source: pkg/envoy/policy/envoy_l7_rules_translator.go.
 */
function httpRuleToNpds({ host, method, path }: HttpParts): HttpNetworkPolicyRule {
  const headers: HeaderMatcher[] = [];
  if (host) headers.push(regexMatcher(':authority', host));
  if (method) headers.push(regexMatcher(':method', method));
  if (path) headers.push(regexMatcher(':path', path));
  return headers.length === 0 ? {} : { headers };
}

/**
 * All HTTP rules of one selector, sorted as the agent sorts them: fewer matchers first, then by the names of the
 * matchers; the regular expressions themselves do not count. Source: pkg/envoy/policy/sort.go.
 * @returns undefined for no rules: nothing is inspected then
 */
export function httpRulesToNpds(rules: readonly HttpParts[]): HttpNetworkPolicyRules | undefined {
  if (rules.length === 0) return undefined;
  return { httpRules: rules.map(httpRuleToNpds).sort(compareRules) };
}

function compareRules(a: HttpNetworkPolicyRule, b: HttpNetworkPolicyRule): number {
  const [left, right] = [a.headers ?? [], b.headers ?? []];
  if (left.length !== right.length) return left.length - right.length;
  for (const [index, { name }] of left.entries()) {
    const other = right[index]!.name;
    if (name !== other) return name < other ? -1 : 1;
  }
  return 0;
}
