import { ciliumKey, EndpointSelector, type Labels, type SelectorExpression } from '@ciliate/labels';
import type { PeerRule, PortProtocol, Rule, RuleOrigin } from '../api/rule.ts';
import { type PolicyOwner, portOf } from '../distill.ts';
import { speaks } from '../enforcement.ts';
import type { FlowKey } from '../lookup.ts';
import { PROTOCOL_NUMBERS } from '../protocols.ts';
import { portsText, protocolName, requirementText, selectorText } from './words.ts';

/** One thing for which a rule does not allow a flow. */
export interface Miss {
  readonly by: 'peer' | 'protocol' | 'port' | 'empty';
  /** `wants org=empire, the peer has org=alliance`. */
  readonly why: string;
}

/** A rule that would have allowed a flow, but for this. */
export interface NearMiss {
  readonly origin: RuleOrigin;
  /** At least one. */
  readonly misses: readonly Miss[];
}

/**
 * The allow rules of a subject that do not allow a flow, the nearest first: those with the fewest things amiss, then those
 * with the fewest labels amiss, then in the order of the rules.
 * @param peer its labels; undefined if nobody knows them
 */
export function nearMisses(
  rules: readonly Rule[],
  flow: FlowKey,
  peer: Labels | undefined,
  owner: PolicyOwner,
): NearMiss[] {
  const sides = rules.map((rule) => (flow.egress ? rule.egress : rule.ingress)).filter(speaks);
  const entries = sides.flatMap(({ allow }) => allow);
  const requires = entries.flatMap((entry) => entry.requires);
  const found = entries.map((entry) => {
    const { miss: peerMiss, distance } = missOfPeers(entry, requires, peer);
    const portMiss = missOfPorts(entry, flow, owner);
    const misses = [peerMiss, portMiss].filter((miss) => miss !== undefined);
    return { origin: entry.origin, misses, distance };
  });
  return found
    .filter(({ misses }) => misses.length > 0)
    .sort((a, b) => a.misses.length - b.misses.length || a.distance - b.distance)
    .map(({ origin, misses }) => ({ origin, misses }));
}

interface PeerMiss {
  readonly miss: Miss | undefined;
  /** Number of requirements that are not met. */
  readonly distance: number;
}

function missOfPeers(
  { peers, toPorts }: PeerRule,
  requires: readonly EndpointSelector[],
  peer: Labels | undefined,
): PeerMiss {
  const empty = (why: string): PeerMiss => ({ miss: { by: 'empty', why }, distance: Number.POSITIVE_INFINITY });
  if (peers === undefined) return empty('its list of peers is empty, so it allows nobody');
  const names = peers.fqdns.map(({ matchName, matchPattern }) =>
    EndpointSelector.ofLabels({ source: 'fqdn', key: matchName || matchPattern, value: '' }),
  );
  const all = [
    ...peers.endpoints.map((selector) => ({ selector, requires })),
    ...[...peers.others, ...names].map((selector) => ({ selector, requires: [] })),
  ];
  if (all.length === 0) {
    return toPorts.length === 0
      ? empty('it names neither peers nor ports, so it allows nothing')
      : { miss: undefined, distance: 0 };
  }
  const missing = all.map(({ selector, requires: also }) => ({
    selector,
    unmet: [selector, ...also].flatMap((one) => unmetBy(one, peer)),
  }));
  const nearest = missing.reduce((best, one) => (one.unmet.length < best.unmet.length ? one : best));
  if (nearest.unmet.length === 0) return { miss: undefined, distance: 0 };
  const more = all.length === 1 ? '' : ` (the nearest of ${all.length} selectors)`;
  const why = `selects ${selectorText(nearest.selector)}${more}, but the peer ${nearest.unmet.map((one) => lackText(one, peer)).join(' and ')}`;
  return { miss: { by: 'peer', why }, distance: nearest.unmet.length };
}

/** The requirements of a selector that labels do not meet. */
function unmetBy(
  { matchLabels, matchExpressions }: EndpointSelector,
  peer: Labels | undefined,
): readonly SelectorExpression[] {
  const requirements = [
    ...[...matchLabels].map(([key, value]) => ({ key, operator: 'In', values: [value] })),
    ...matchExpressions,
  ];
  return requirements.filter((one) => peer === undefined || !selectorOf(one).matches(peer));
}

const selectorOf = ({ key, operator, values }: SelectorExpression): EndpointSelector =>
  EndpointSelector.parse({ matchLabels: {}, matchExpressions: [{ key: ciliumKey(key), operator, values }] });

/** What the peer has where a requirement asks for something else. */
function lackText(requirement: SelectorExpression, peer: Labels | undefined): string {
  if (peer === undefined) return 'is not known';
  const key = ciliumKey(requirement.key).replace(/^[^:]*:/, '');
  const label = peer.get(key);
  if (label === undefined) return `has no ${requirementText({ ...requirement, operator: 'Exists' })}`;
  return `has ${label.source === 'k8s' ? '' : `${label.source}:`}${key}${label.value === '' ? '' : `=${label.value}`}`;
}

function missOfPorts({ toPorts }: PeerRule, flow: FlowKey, owner: PolicyOwner): Miss | undefined {
  if (toPorts.length === 0) return undefined;
  const ports = toPorts.flatMap((rule) => rule.ports);
  const covered = ports.map((port) => portTextOf(port)).join(', ') || 'no port';
  const sameProtocol = ports.filter(({ protocol }) => numbersOf(protocol).includes(flow.protocol));
  if (sameProtocol.some((port) => covers(port, flow, owner))) return undefined;
  const flowText = `${flow.dport}/${protocolName(flow.protocol)}`;
  if (sameProtocol.length === 0)
    return { by: 'protocol', why: `is about ${covered}, not ${protocolName(flow.protocol)}` };
  const names = sameProtocol.flatMap(({ port }) => (typeof port === 'string' ? [nameText(port, flow, owner)] : []));
  return { by: 'port', why: [`is about ${covered}, not ${flowText}`, ...names].join('; ') };
}

const WITH_PORTS = ['TCP', 'UDP', 'SCTP'] as const;

const numbersOf = (protocol: PortProtocol['protocol']): readonly number[] =>
  (protocol === 'ANY' ? WITH_PORTS : [protocol]).map((one) => PROTOCOL_NUMBERS[one]);

function covers({ port, endPort }: PortProtocol, flow: FlowKey, owner: PolicyOwner): boolean {
  const first = typeof port === 'number' ? port : numberOf(port, flow, owner);
  if (first === undefined) return false;
  if (first === 0 && (endPort === 0 || endPort === 0xffff)) return true;
  return flow.dport >= first && flow.dport <= Math.max(first, endPort);
}

function numberOf(portName: string, flow: FlowKey, owner: PolicyOwner): number | undefined {
  const protocol = WITH_PORTS.find((one) => PROTOCOL_NUMBERS[one] === flow.protocol);
  return protocol && portOf({ egress: flow.egress, port: 0, portName, protocol }, owner);
}

function nameText(name: string, flow: FlowKey, owner: PolicyOwner): string {
  const number = numberOf(name, flow, owner);
  const where = flow.egress ? 'the pods' : 'the endpoint';
  return number === undefined ? `${where} has no one port of the name ${name}` : `${name} is ${number} here`;
}

const portTextOf = ({ port, endPort, protocol }: PortProtocol): string =>
  typeof port === 'string'
    ? portsText({ port: 0, endPort, portName: port, protocol })
    : portsText({ port, endPort, portName: '', protocol });
