import type { DirectionRule } from '@ciliate/k8s';
import { ENTITY_NAMES } from './entity.ts';
import { checkFqdnSelector } from './fqdn.ts';
import { parseIcmps, portRuleOf } from './icmp.ts';
import { type PortRuleContext, parsePortRule } from './l7.ts';
import type { Place } from './place.ts';
import { parsePorts } from './port.ts';
import type { AuthenticationMode, PortRule, RuleOrigin } from './rule.ts';

export type RuleList = RuleOrigin['list'];
export const RULE_LISTS: readonly RuleList[] = ['ingress', 'ingressDeny', 'egress', 'egressDeny'];

export const isIngress = (list: RuleList): boolean => list === 'ingress' || list === 'ingressDeny';
export const isDeny = (list: RuleList): boolean => list.endsWith('Deny');

type PeerField = Exclude<keyof DirectionRule, 'toPorts' | 'icmps' | 'authentication'>;
const SUFFIXES: Readonly<Record<PeerField, string>> = {
  endpoints: 'Endpoints',
  requires: 'Requires',
  cidr: 'CIDR',
  cidrSet: 'CIDRSet',
  entities: 'Entities',
  groups: 'Groups',
  nodes: 'Nodes',
  services: 'Services',
  fqdns: 'FQDNs',
};

/** The name that users know a peer list by: `fromEndpoints`, `toFQDNs`. */
export const peerListName = (field: PeerField, list: RuleList): string =>
  `${isIngress(list) ? 'from' : 'to'}${SUFFIXES[field]}`;

/**
 * Refuse what Cilium refuses about an entry's peers, but for selectors and prefixes, which are checked as they are
 * compiled. Source: pkg/policy/api/rule_validation.go.
 * @throws PolicyError
 */
export function checkPeers(rule: DirectionRule, list: RuleList, place: Place): void {
  const { endpoints, cidr, cidrSet, entities, groups, nodes } = rule;
  const services = isIngress(list) ? undefined : rule.services;
  const fqdns = list === 'egress' ? rule.fqdns : undefined;
  const lists = { endpoints, cidr, cidrSet, entities, groups, nodes, services, fqdns };
  const named = (Object.keys(lists) as (keyof typeof lists)[]).filter((field) => lists[field]?.length);
  if (named.length > 1) {
    const names = named.map((field) => peerListName(field, list)).join(' and ');
    place.refuse(`${names} cannot stand in one entry: write one entry for each`);
  }
  const at = (field: PeerField): Place => place.at(peerListName(field, list));
  if (nodes?.length) {
    at('nodes').refuse('peers that are nodes need the option enable-node-selector-labels, which is off');
  }
  for (const [index, entity] of (entities ?? []).entries()) {
    if (!ENTITY_NAMES.includes(entity)) at('entities').at(index).refuseWord('entity', entity, ENTITY_NAMES);
  }
  for (const [index, fqdn] of (fqdns ?? []).entries()) checkFqdnSelector(fqdn, at('fqdns').at(index));
}

/**
 * The ports of an entry, then its ICMP types. In a deny rule an entry of `toPorts` has nothing but ports.
 * @throws PolicyError
 */
export function parseToPorts(rule: DirectionRule, list: RuleList, place: Place, host: boolean): PortRule[] {
  const { toPorts = [], icmps = [] } = rule;
  if (toPorts.length > 0 && icmps.length > 0) {
    place.at('icmps').refuse('icmps and toPorts cannot stand in one entry: write one entry for each');
  }
  const context: PortRuleContext = { ingress: isIngress(list), host };
  const ports = toPorts.map((one, index) => {
    const at = place.at('toPorts').at(index);
    return isDeny(list) ? portRuleOf(parsePorts(one.ports ?? [], at.at('ports'))) : parsePortRule(one, at, context);
  });
  return [...ports, ...parseIcmps(icmps, place.at('icmps'))];
}

/** A mode that Cilium does not know is nothing to its agent (the API server would refuse it). */
export function parseAuthentication({ authentication }: DirectionRule, list: RuleList): AuthenticationMode | undefined {
  const mode = isDeny(list) ? undefined : authentication?.mode;
  return mode === 'disabled' || mode === 'required' || mode === 'test-always-fail' ? mode : undefined;
}
