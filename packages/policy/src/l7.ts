import type { L7Rules, PortRule, PortRuleHTTP, PortRuleKafka } from './api/rule.ts';
import type { FilterProtocol } from './protocols.ts';
import type { EntryParser } from './types/entry.ts';

/**
 * Which filter of the proxy looks at the traffic: `http`, `kafka`, `dns`, `tls` (only the handshake), `crd` (a listener
 * of a CiliumEnvoyConfig), or the name of a proxylib parser; '' for none. Source: pkg/policy/l4.go, L7ParserType.
 */
export type L7Parser = string;

/** Where redirects of a parser stand if the rule names no priority; the smaller number wins, 0 is none. */
export function defaultPriority(parser: L7Parser): number {
  switch (parser) {
    case '':
      return 0;
    case 'http':
      return 101;
    case 'kafka':
      return 106;
    case 'tls':
      return 116;
    case 'dns':
      return 121;
    case 'crd':
      return 126;
    default:
      return 111;
  }
}

const ENTRY_PARSERS: readonly string[] = ['http', 'kafka', 'tls', 'dns', 'crd'] satisfies EntryParser[];

/** A parser as map entries name it. */
export const entryParser = (parser: L7Parser): EntryParser =>
  ENTRY_PARSERS.includes(parser) ? (parser as EntryParser) : 'proxylib';

/** The parser that one port rule asks for. Only DNS is looked for on other protocols than TCP. */
export function parserOf(rule: PortRule, protocol: FilterProtocol): L7Parser {
  if (rule.listener !== undefined) return 'crd';
  const { l7 } = rule;
  if (l7 !== undefined) {
    if (l7.dns.length > 0) return 'dns';
    if (protocol === 'TCP') {
      if (l7.http.length > 0) return 'http';
      if (l7.kafka.length > 0) return 'kafka';
      if (l7.l7proto !== '') return l7.l7proto;
    }
  }
  const tls = rule.terminatingTLS !== undefined || rule.originatingTLS !== undefined || rule.serverNames.length > 0;
  return tls ? 'tls' : '';
}

/** @returns undefined if one proxy filter cannot do the work of both. Source: pkg/policy/l4.go, L7ParserType.Merge */
export function mergeParsers(a: L7Parser, b: L7Parser): L7Parser | undefined {
  if (a === b || promotes(b, a)) return a;
  return promotes(a, b) ? b : undefined;
}

/** No parser may become any; the one that only looks at the handshake may become one that looks further. */
const promotes = (from: L7Parser, to: L7Parser): boolean =>
  from === '' || (from === 'tls' && to !== '' && to !== 'dns' && to !== 'crd');

export const NO_L7: L7Rules = { http: [], kafka: [], dns: [], l7proto: '', l7: [] };

/** A parser of proxylib that is named without rules counts as empty: everything passes. */
export const hasRules = ({ http, kafka, dns, l7 }: L7Rules): boolean =>
  http.length + kafka.length + dns.length + l7.length > 0;

const ANY_HTTP: PortRuleHTTP = { path: '', method: '', host: '', headers: undefined, headerMatches: undefined };
const ANY_KAFKA: PortRuleKafka = { role: '', apiKey: '', apiVersion: '', clientID: '', topic: '' };
const ANY_NAME = { matchName: '', matchPattern: '*' };

/** The same rules and one that lets everything pass. Source: pkg/policy/rule.go, appendL7WildcardRule. */
export function withWildcard(rules: L7Rules): L7Rules {
  if (rules.http.length > 0) return { ...rules, http: union(rules.http, [ANY_HTTP]) };
  if (rules.kafka.length > 0) return { ...rules, kafka: union(rules.kafka, [ANY_KAFKA]) };
  if (rules.dns.length > 0) return { ...rules, dns: union(rules.dns, [ANY_NAME]) };
  if (rules.l7proto !== '' && rules.l7.length > 0) return { ...rules, l7: union(rules.l7, [{}]) };
  return rules;
}

/**
 * As {@link withWildcard}, for rules whose endpoint is not in default deny: unless one of them lets everything pass
 * already, for which any Kafka rule without a topic is taken. Source: pkg/policy/l4.go, ensureWildcard.
 */
export function ensureWildcard(rules: L7Rules, parser: L7Parser): L7Rules {
  switch (parser) {
    case 'dns':
      return rules.dns.some(({ matchPattern }) => matchPattern === '*') ? rules : addTo(rules, 'dns', ANY_NAME);
    case 'http':
      return rules.http.some((rule) => textOf(rule) === textOf(ANY_HTTP)) ? rules : addTo(rules, 'http', ANY_HTTP);
    case 'kafka':
      return rules.kafka.some(({ topic }) => topic === '') ? rules : addTo(rules, 'kafka', ANY_KAFKA);
    default:
      if (rules.l7proto === '' || rules.l7.some((rule) => Object.keys(rule).length === 0)) return rules;
      return addTo(rules, 'l7', {});
  }
}

function addTo<K extends 'http' | 'kafka' | 'dns' | 'l7'>(rules: L7Rules, list: K, rule: L7Rules[K][number]): L7Rules {
  return rules[list].length === 0 ? rules : { ...rules, [list]: [...rules[list], rule] };
}

export function mergeRules(a: L7Rules, b: L7Rules): L7Rules {
  return {
    http: union(a.http, b.http),
    kafka: union(a.kafka, b.kafka),
    dns: union(a.dns, b.dns),
    l7proto: a.l7proto || b.l7proto,
    l7: union(a.l7, b.l7),
  };
}

export function sameRules(a: L7Rules, b: L7Rules): boolean {
  return a === b || (a.l7proto === b.l7proto && textOf(a) === textOf(b));
}

function union<T extends object>(known: readonly T[], added: readonly T[]): readonly T[] {
  if (added.length === 0) return known;
  const texts = new Set(known.map(textOf));
  const missing = added.filter((rule) => !texts.has(textOf(rule)));
  return missing.length === 0 ? known : [...known, ...missing];
}

/** Equal for equal rules: an absent list is an empty one, and the order of fields does not count. */
const textOf = (rules: object): string =>
  JSON.stringify(rules, (_, value) => {
    if (Array.isArray(value)) return value.length === 0 ? undefined : value;
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
