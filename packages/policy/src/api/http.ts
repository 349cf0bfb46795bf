import type { PortRuleHTTP } from '@ciliate/k8s';
import { RE2JS } from 're2js';
import type { Place } from './place.ts';

/** What may be done about a header that does not match. Source: pkg/policy/api/http.go. */
const MISMATCH_ACTIONS = ['LOG', 'ADD', 'DELETE', 'REPLACE'];

/**
 * Path and method must be regular expressions (RE2). The host is not checked, as in Cilium: a bad one fails in the proxy.
 * @throws PolicyError
 */
export function checkHttp(rule: PortRuleHTTP, place: Place): void {
  for (const field of ['path', 'method'] as const) checkExpression(rule[field], place.at(field));
  for (const [index, header] of (rule.headerMatches ?? []).entries()) {
    const at = place.at('headerMatches').at(index);
    if (header.name === '') at.at('name').refuse('the name of the header is missing');
    const { mismatch, secret } = header;
    if (mismatch !== '' && !MISMATCH_ACTIONS.includes(mismatch)) {
      at.at('mismatch').refuseWord('action', mismatch, MISMATCH_ACTIONS);
    }
    if (secret?.name === '') at.at('secret').at('name').refuse('the name of the secret is missing');
  }
}

function checkExpression(expression: string, place: Place): void {
  if (expression === '') return;
  try {
    RE2JS.compile(expression);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    place.refuse(`${JSON.stringify(expression)} is not a regular expression (RE2): ${reason}`, cause);
  }
}
