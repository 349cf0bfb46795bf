import type { L7Rules as K8sL7Rules, PortRule as K8sPortRule } from '@ciliate/k8s';
import { checkDnsNames } from './fqdn.ts';
import { checkHttp } from './http.ts';
import { checkKafka } from './kafka.ts';
import type { Place } from './place.ts';
import { parsePorts } from './port.ts';
import type { L7Rules, PortProtocol, PortRule } from './rule.ts';

/** Where a port rule stands: L7 rules have other limits there. */
export interface PortRuleContext {
  readonly ingress: boolean;
  /** Does the rule select nodes? */
  readonly host: boolean;
}

/** Are there rules in any list? A parser that is named without rules counts as none. */
const isEmpty = (rules: K8sL7Rules | undefined): boolean =>
  !rules?.http?.length && !rules?.kafka?.length && !rules?.dns?.length && !rules?.l7?.length;

/**
 * Check an entry of `toPorts` of a rule that allows.
 * @throws PolicyError
 * Source: pkg/policy/api/rule_validation.go.
 */
export function parsePortRule(rule: K8sPortRule, place: Place, context: PortRuleContext): PortRule {
  const { terminatingTLS, originatingTLS, serverNames = [], listener, rules } = rule;
  const inspects = !isEmpty(rules);
  checkSide(rule, place, context);
  if (serverNames.length > 0 && inspects && terminatingTLS === undefined) {
    const why = 'the proxy cannot look into TLS that it does not end: add terminatingTLS, or leave out the rules';
    place.at('serverNames').refuse(`serverNames and L7 rules cannot stand in one entry: ${why}`);
  }
  const nameless = serverNames.indexOf('');
  if (nameless >= 0) place.at('serverNames').at(nameless).refuse('the name is empty');
  const ports = parsePorts(rule.ports ?? [], place.at('ports'));
  if (rules !== undefined && inspects) checkL7Ports(rules, rule, ports, place);
  if (listener !== undefined && inspects) {
    place.at('listener').refuse('a listener and L7 rules cannot stand in one entry: the listener has rules of its own');
  }
  if (rules !== undefined && inspects) checkL7Rules(rules, ports, place.at('rules'));
  return { ports, l7: l7Of(rules), terminatingTLS, originatingTLS, serverNames, listener };
}

/** What is not for this direction, or not for nodes. */
function checkSide({ rules, listener }: K8sPortRule, place: Place, { ingress, host }: PortRuleContext): void {
  if (ingress && listener !== undefined) place.at('listener').refuse('Cilium has listeners only for egress');
  if (rules === undefined || isEmpty(rules)) return;
  if (ingress && host) place.at('rules').refuse('Cilium has no L7 rules for ingress of nodes');
  if (ingress && rules.dns?.length) place.at('rules').at('dns').refuse('Cilium has DNS rules only for egress');
  for (const parser of ['http', 'kafka'] as const) {
    if (!ingress && host && rules[parser]?.length) {
      place.at('rules').at(parser).refuse('Cilium has only DNS rules for egress of nodes');
    }
  }
}

function checkL7Ports(rules: K8sL7Rules, rule: K8sPortRule, ports: readonly PortProtocol[], place: Place): void {
  for (const [index, { port, protocol }] of ports.entries()) {
    const at = place.at('ports').at(index);
    if (rules.dns?.length) {
      const endPort = rule.ports?.[index]?.endPort ?? 0;
      if (typeof port === 'number' && endPort > port) at.at('endPort').refuse('DNS rules cannot have port ranges');
    } else if (protocol !== 'TCP') {
      at.at('protocol').refuse(
        `L7 rules need protocol TCP, this port says ${protocol}; only DNS rules may have others`,
      );
    }
    if (port === 0) at.at('port').refuse('L7 rules cannot be used with port 0');
  }
}

function checkL7Rules(rules: K8sL7Rules, ports: readonly PortProtocol[], place: Place): void {
  const { http, kafka, dns, l7proto, l7 } = rules;
  for (const [index, one] of (http ?? []).entries()) checkHttp(one, place.at('http').at(index));
  for (const [index, one] of (kafka ?? []).entries()) checkKafka(one, place.at('kafka').at(index));
  if (dns !== undefined && ports.length === 0)
    place.at('dns').refuse('DNS rules need ports, usually 53 of protocol ANY');
  for (const [index, one] of (dns ?? []).entries()) checkDnsNames(one, place.at('dns').at(index));
  if (l7 !== undefined && l7proto === '') place.at('l7').refuse('l7 rules need l7proto: the parser that they are for');
  for (const [index, one] of (l7 ?? []).entries()) {
    if (Object.hasOwn(one, '') && l7proto !== '') place.at('l7').at(index).refuse('a key is empty');
  }
  // An empty list of another parser counts, as it does in Cilium.
  const parsers = Object.entries({ http, kafka, dns, l7proto: l7proto || undefined }).filter(([, list]) => list);
  if (parsers.length > 1) {
    place.refuse(`${parsers.map(([name]) => name).join(' and ')} cannot stand in one entry: write one entry for each`);
  }
}

function l7Of(rules: K8sL7Rules | undefined): L7Rules | undefined {
  if (rules === undefined || (isEmpty(rules) && rules.l7proto === '')) return undefined;
  const { http = [], kafka = [], dns = [], l7proto, l7 = [] } = rules;
  return { http, kafka, dns, l7proto, l7 };
}
