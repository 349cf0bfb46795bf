import {
  absoluteName,
  absolutePattern,
  anchoredExpression,
  compileDnsRules,
  compileSelector,
  dnsRulesExpression,
  fqdnLabel,
  isPattern,
  type NameSelector,
  selectorExpression,
  unanchoredExpression,
} from '@ciliate/identity';
import { formatLabel } from '@ciliate/labels';
import { PolicyRepository } from '@ciliate/policy';
import type { Command } from 'commander';
import { Fields } from '../../conformance/fields.ts';
import { documentOf } from '../../conformance/files.ts';
import { decodePolicy, refusalOf } from '../../conformance/objects.ts';
import { JSON_DOCUMENT, setCommand } from '../../conformance/set_command.ts';
import type { Tally } from '../../conformance/tally.ts';

export function fqdnSet(): Command {
  const description = 'DNS names: which ones toFQDNs selects and DNS rules let through, which patterns are valid';
  return setCommand('fqdn', { description, files: JSON_DOCUMENT }, (file, tally) => {
    const facts = new Fields(documentOf(file), file);
    tally.case();
    for (const vector of facts.all('selectors')) checkSelector(vector, file, tally);
    for (const vector of facts.all('multi_rule_dns_policy')) checkDnsRules(vector, file, tally);
    for (const vector of facts.all('matchpattern_validate')) checkPattern(vector, file, tally);
    for (const vector of facts.all('fqdn_normalisation')) {
      const name = vector.text('in');
      tally.check('absolute name', `${file}: ${JSON.stringify(name)}`, absoluteName(name), vector.raw('fqdn'));
    }
  });
}

/** The fields that are there. */
const written = ({ matchName, matchPattern }: NameSelector): Partial<NameSelector> => ({
  ...(matchName !== '' && { matchName }),
  ...(matchPattern !== '' && { matchPattern }),
});

const selectorOf = (vector: Fields): NameSelector => ({
  matchName: vector.textOr('matchName', ''),
  matchPattern: vector.textOr('matchPattern', ''),
});

function checkSelector(vector: Fields, file: string, tally: Tally): void {
  const selector = selectorOf(vector);
  const place = `${file}: ${JSON.stringify(written(selector))}`;
  checkRefusal('toFQDNs valid', { toFQDNs: [written(selector)] }, 'sanitize_error');
  const toPorts = [{ ports: [{ port: '53', protocol: 'UDP' }], rules: { dns: [written(selector)] } }];
  checkRefusal('DNS rule valid', { toPorts }, 'dns_rule_sanitize_error');
  if (vector.has('sanitize_error')) return;
  const texts = {
    identity_label: formatLabel(fqdnLabel(selector)),
    tofqdns_regex: selectorExpression(selector),
    dnsproxy_regex: dnsRulesExpression([selector]),
  };
  for (const [name, ours] of Object.entries(texts)) tally.check(name, place, ours, vector.raw(name));
  const selects = compileSelector(selector);
  const allows = compileDnsRules([selector]);
  for (const result of vector.all('results')) {
    const name = result.text('name');
    const normalised = absoluteName(name);
    const ours = {
      normalised,
      tofqdns_raw_match: selects(name),
      tofqdns_match_normalised: selects(normalised),
      dnsproxy_allowed: allows(normalised),
    };
    const theirs = Object.fromEntries(Object.keys(ours).map((field) => [field, result.raw(field)]));
    tally.check('name', `${place}: ${JSON.stringify(name)}`, ours, theirs);
  }

  /** What is wrong is said otherwise here; that something is, must agree. */
  function checkRefusal(kind: string, egress: object, field: string): void {
    const refusal = refusalOf(() => new PolicyRepository().upsert(decodePolicy(policyWith(egress), file)));
    const theirs = vector.raw(field) ?? 'valid';
    const shown = [refusal?.message ?? 'valid', theirs] as const;
    tally.check(kind, place, refusal === undefined, theirs === 'valid', shown);
  }
}

const policyWith = (egress: object): object => ({
  apiVersion: 'cilium.io/v2',
  kind: 'CiliumNetworkPolicy',
  metadata: { name: 'names', namespace: 'default' },
  spec: { endpointSelector: {}, egress: [egress] },
});

function checkDnsRules(vector: Fields, file: string, tally: Tally): void {
  const rules = vector.all('dns_rules').map(selectorOf);
  const place = `${file}: ${JSON.stringify(rules.map(written))}`;
  tally.check('dnsproxy_regex', place, dnsRulesExpression(rules), vector.raw('regex'));
  const allows = compileDnsRules(rules);
  for (const result of vector.all('results')) {
    const name = result.text('name');
    tally.check('DNS rules', `${place}: ${JSON.stringify(name)}`, allows(absoluteName(name)), result.raw('allowed'));
  }
}

function checkPattern(vector: Fields, file: string, tally: Tally): void {
  const pattern = vector.text('pattern');
  const ours = {
    sanitized: absolutePattern(pattern),
    unanchored: unanchoredExpression(pattern),
    anchored_regex: isPattern(pattern) ? anchoredExpression(pattern) : 'refused',
  };
  const theirs = {
    sanitized: vector.raw('sanitized'),
    unanchored: vector.raw('unanchored'),
    anchored_regex: vector.has('error') ? 'refused' : vector.raw('anchored_regex'),
  };
  tally.check('pattern', `${file}: ${JSON.stringify(pattern)}`, ours, theirs);
}
