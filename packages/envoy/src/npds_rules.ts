import type { PortRuleHTTP } from '@ciliate/policy';
import type { HeaderMatch, HeaderMatcher, HttpNetworkPolicyRule, HttpNetworkPolicyRules } from './npds.ts';

/** The fields of a rule; absent ones are as empty ones. */
type HttpParts = Partial<PortRuleHTTP>;

const regexMatcher = (name: string, regex: string): HeaderMatcher => ({ name, stringMatch: { safeRegex: { regex } } });
const exactMatcher = (name: string, exact: string): HeaderMatcher => ({ name, stringMatch: { exact } });
const presentMatcher = (name: string): HeaderMatcher => ({ name, presentMatch: true });

/** Where the operator copies the secrets of policies, for the proxy to fetch them. */
const SECRETS_NAMESPACE = 'cilium-secrets';
const MISMATCH_ACTIONS = {
  LOG: 'CONTINUE_ON_MISMATCH',
  ADD: 'ADD_ON_MISMATCH',
  DELETE: 'DELETE_ON_MISMATCH',
  REPLACE: 'REPLACE_ON_MISMATCH',
} as const;

/**
 * One HTTP rule of a policy as the proxy reads it: a regular expression per part that the rule names, and what it wants of
 * headers. An empty text is no condition, as an absent one. Matchers are in the order of their names, as the agent
 * sorts them; actions in that of the policy. Source: pkg/envoy/policy/envoy_l7_rules_translator.go.
 */
function httpRuleToNpds({ host, method, path, headers = [], headerMatches = [] }: HttpParts): HttpNetworkPolicyRule {
  const matchers: HeaderMatcher[] = headers.map(headerToNpds);
  const actions: HeaderMatch[] = [];
  if (path) matchers.push(regexMatcher(':path', path));
  if (method) matchers.push(regexMatcher(':method', method));
  if (host) matchers.push(regexMatcher(':authority', host));
  for (const match of headerMatches) {
    const { name, value, mismatch, secret } = match;
    const mismatchAction = MISMATCH_ACTIONS[mismatch as keyof typeof MISMATCH_ACTIONS];
    if (value === '' && secret !== undefined) {
      const valueSdsSecret = `${SECRETS_NAMESPACE}/${secret.namespace}-${secret.name}`;
      actions.push({ name, ...(mismatchAction && { mismatchAction }), valueSdsSecret });
    } else if (mismatchAction) actions.push({ name, ...(value !== '' && { value }), mismatchAction });
    else matchers.push(value === '' ? presentMatcher(name) : exactMatcher(name, value));
  }
  return {
    ...(matchers.length > 0 && { headers: matchers.sort(compareMatchers) }),
    ...(actions.length > 0 && { headerMatches: actions }),
  };
}

/** `X-Key: value`, split at the first space; a text without one is the name of a header that must be there. */
function headerToNpds(header: string): HeaderMatcher {
  const space = header.indexOf(' ');
  if (space === -1) return presentMatcher(header);
  return exactMatcher(header.slice(0, space).replace(/:+$/, ''), header.slice(space + 1));
}

function compareMatchers(a: HeaderMatcher, b: HeaderMatcher): number {
  if (a.name !== b.name) return a.name < b.name ? -1 : 1;
  const byPresence = Number(a.presentMatch ?? false) - Number(b.presentMatch ?? false);
  return byPresence !== 0 ? byPresence : Number(a.invertMatch ?? false) - Number(b.invertMatch ?? false);
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
  for (const [index, matcher] of left.entries()) {
    const order = compareMatchers(matcher, right[index]!);
    if (order !== 0) return order;
  }
  return 0;
}
