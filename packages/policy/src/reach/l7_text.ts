import type { L7Rules, PortRuleHTTP } from '../api/rule.ts';
import { portOf, redirectId } from '../distill.ts';
import type { EndpointPolicy } from '../endpoint_policy.ts';
import { hasRules } from '../l7.ts';
import type { MapStateEntry } from '../types/entry.ts';

/**
 * What the proxy lets a peer do that an entry hands to it: each rule in words, sorted. None: everything.
 * @param identity of the peer
 */
export function l7Texts(
  policy: EndpointPolicy,
  { key, filterId, listener }: MapStateEntry,
  identity: number,
): string[] {
  const { filters } = key.egress ? policy.l4.egress : policy.l4.ingress;
  const found = new Set<string>();
  for (const filter of filters) {
    const port = portOf(filter, policy.owner);
    if (port === undefined || redirectId(filter, port, listener) !== filterId) continue;
    for (const { selector, policy: said } of filter.peers.values()) {
      if (!selector.selects(identity) || said?.deny) continue;
      if (said === null || !hasRules(said.l7)) return [];
      for (const text of textsOf(said.l7)) found.add(text);
    }
  }
  return [...found].sort();
}

const textsOf = ({ http, kafka, dns, l7proto, l7 }: L7Rules): string[] => [
  ...http.map(httpText),
  ...dns.map(({ matchName, matchPattern }) => `DNS ${matchName || matchPattern}`),
  ...kafka.map((rule) => `Kafka ${fieldsText(rule)}`),
  ...l7.map((rule) => `${l7proto} ${fieldsText(rule)}`),
];

function httpText({ method, path, host, headers, headerMatches }: PortRuleHTTP): string {
  const conditions = [
    ...(host === '' ? [] : [`host ${host}`]),
    ...(headers ?? []).map((header) => `header ${header}`),
    ...(headerMatches ?? []).map((match) => `header ${JSON.stringify(match)}`),
  ];
  return [`${method || 'any method'} ${path || 'any path'}`, ...conditions].join(', ');
}

const fieldsText = (fields: object): string =>
  Object.entries(fields)
    .filter(([, value]) => value !== '')
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(' ') || 'anything';
