import { decodeObjects, type PolicyObject } from '@ciliate/k8s';
import { EndpointSelector, Labels } from '@ciliate/labels';
import { cidrLabel } from '../api/cidr.ts';
import type { PolicyRef, Rule } from '../api/rule.ts';
import { PolicyConflictError } from '../conflict.ts';
import type { EndpointPolicy } from '../endpoint_policy.ts';
import { PolicyError } from '../errors.ts';
import { HOST_IDENTITY } from '../identities.ts';
import { parsePolicy } from '../k8s/parse.ts';
import { type FlowKey, lookupMapState } from '../lookup.ts';
import { PROTOCOL_NUMBERS } from '../protocols.ts';
import type { PolicyRepository } from '../repository.ts';
import { namespaceOf, type Subject } from '../rule_store.ts';
import { SelectorPolicy } from '../selector_policy.ts';
import { SelectorCache } from '../selectorcache.ts';
import type { MapStateEntry } from '../types/entry.ts';
import { distinguish } from './distinguish.ts';
import { type PeerFields, peerFieldsFor } from './peer_fields.ts';
import { type PolicyData, policyYaml } from './policy_yaml.ts';
import { formatOrigin, protocolName, selectorText } from './words.ts';

/** A policy that would let a flow through, and was tried. */
export interface Suggestion {
  readonly policy: PolicyRef;
  /** Ready to apply. */
  readonly yaml: string;
  /** The entry that then lets the flow through. */
  readonly entry: MapStateEntry;
  /** What it lets through: of the flow's protocol these ports, or with `protocol` 0 everything. */
  readonly ports: { readonly protocol: number; readonly first: number; readonly last: number };
  /** Other known identities that it lets through as well, because no peer list of a policy tells them apart. */
  readonly alsoPeers: readonly number[];
  /** Other known identities that it is about as well. */
  readonly alsoSubjects: readonly number[];
}

/** What {@link suggestAllow} starts from. */
export interface SuggestionSource {
  readonly repository: Pick<PolicyRepository, 'config' | 'rulesSelecting' | 'has'>;
  readonly subject: Subject;
  readonly policy: EndpointPolicy;
  /** Of the peer, if it is known. Only counts for one outside of the cluster. */
  readonly peerAddress: string | undefined;
}

/** Outside of the cluster. */
const isOutside = (peer: Labels): boolean =>
  ['world', 'world-ipv4', 'world-ipv6'].some((key) => peer.has('reserved', key));

/** Stands for the identity that an address gets when a policy names it. */
const ADDRESS_IDENTITY = 0x1ffffff;

/**
 * The smallest policy that lets a flow through which no rule allows: it selects the endpoint's identity, names the flow's
 * peer and port, and selects as few others as a policy can. It is tried: resolved together with the rules that there are.
 * @returns why there is none, if there is none
 */
export function suggestAllow(source: SuggestionSource, flow: FlowKey): Suggestion | string {
  const { repository, subject, policy, peerAddress } = source;
  const { selectorCache } = policy.selectorPolicy;
  const known = [...selectorCache.identities()];
  const peer = selectorCache.labelsOf(flow.identity);
  if (peer === undefined) return `nobody knows the labels of identity ${flow.identity}`;
  if (peerAddress !== undefined && isOutside(peer)) {
    const suggestion = tryAddress(source, flow, peer, peerAddress);
    if (suggestion !== undefined) return suggestion;
  }
  const namespace = namespaceOf(subject.labels);
  const others = known.filter(([identity]) => identity !== flow.identity).map(([, labels]) => labels);
  const tried = peerFieldsFor(peer, others, { egress: flow.egress, namespace })
    .map((fields) => tryPolicy(source, flow, fields, known))
    .filter((suggestion) => suggestion !== undefined);
  if (tried.length === 0) return whyNone(repository.rulesSelecting(subject), flow, peer);
  return tried.reduce((best, one) => (one.alsoPeers.length < best.alsoPeers.length ? one : best));
}

/** An address that a policy names gets an identity of its own: the policy is tried with that one. */
function tryAddress(source: SuggestionSource, flow: FlowKey, peer: Labels, address: string): Suggestion | undefined {
  const text = `${address}/${address.includes(':') ? 128 : 32}`;
  const label = cidrLabel(text)!;
  const { selectorCache } = source.policy.selectorPolicy;
  const known = [...selectorCache.identities(), [ADDRESS_IDENTITY, Labels.of([...peer, label])] as const];
  const fields = { [flow.egress ? 'toCIDR' : 'fromCIDR']: [text] };
  return tryPolicy(
    source,
    { ...flow, identity: ADDRESS_IDENTITY },
    fields,
    known,
    `${address.replaceAll(/[.:]/g, '-')}`,
  );
}

/** What rules require of peers holds for every rule that names peers by labels. */
function whyNone(rules: readonly Rule[], { egress }: FlowKey, peer: Labels): string {
  const unmet = rules
    .flatMap((rule) => (egress ? rule.egress : rule.ingress).allow)
    .filter(({ requires }) => requires.some((selector) => !selector.matches(peer)));
  if (unmet.length === 0) return 'no peer list of a policy selects this peer';
  const required = unmet.map(
    ({ origin, requires }) => `${formatOrigin(origin)} requires ${requires.map(selectorText).join(' and ')}`,
  );
  return `no rule that names peers by labels can allow this one: ${required.join('; ')}`;
}

type Known = readonly (readonly [identity: number, labels: Labels])[];

/** @returns undefined if the policy is refused, contradicts the rules there are, or does not allow the flow */
function tryPolicy(
  source: SuggestionSource,
  flow: FlowKey,
  peers: PeerFields,
  known: Known,
  peerName = `${flow.identity}`,
): Suggestion | undefined {
  const { repository, subject } = source;
  const { object, ref, ports } = policyFor(source, flow, { fields: peers, name: peerName }, known);
  const yaml = policyYaml(object);
  const rule = parsed(yaml, repository.config);
  const entry = rule && entryWith(rule, source, flow, known);
  if (rule === undefined || entry === undefined || entry.deny) return undefined;
  const [{ peers: named }] = (flow.egress ? rule.egress : rule.ingress).allow as [Rule['ingress']['allow'][number]];
  const selectors = [
    ...(named?.endpoints ?? []),
    ...(named?.others ?? []),
    ...(named?.fqdns ?? []).map(({ matchName, matchPattern }) =>
      EndpointSelector.ofLabels({ source: 'fqdn', key: matchName || matchPattern, value: '' }),
    ),
  ];
  const selected = (test: (labels: Labels) => boolean, own: number): number[] =>
    known.flatMap(([identity, labels]) => (identity !== own && test(labels) ? [identity] : []));
  return {
    policy: ref,
    yaml,
    entry,
    ports,
    alsoPeers: selected((labels) => selectors.some((one) => one.matches(labels)), flow.identity),
    alsoSubjects: rule.selectsNodes ? [] : selected((labels) => rule.subject.matches(labels), subject.identity),
  };
}

function parsed(yaml: string, config: PolicyRepository['config']): Rule | undefined {
  try {
    const [object] = decodeObjects(yaml, 'suggestion');
    return parsePolicy(object as PolicyObject, { config, services: [] })[0];
  } catch (error) {
    if (error instanceof PolicyError) return undefined;
    throw error;
  }
}

/** What decides the flow when the rule stands beside those that select the subject. */
function entryWith(
  rule: Rule,
  { repository, subject, policy }: SuggestionSource,
  flow: FlowKey,
  known: Known,
): MapStateEntry | undefined {
  const { config } = repository;
  if (rule.selectsNodes !== isNode(subject) || !rule.subject.matches(subject.labels)) return undefined;
  const rules = [...repository.rulesSelecting(subject), rule];
  try {
    const source = { config, revision: policy.revision, rules };
    const resolved = SelectorPolicy.resolve(source, subject, new SelectorCache(known));
    return lookupMapState(resolved.distill(policy.owner).mapState, flow);
  } catch (error) {
    if (error instanceof PolicyConflictError) return undefined;
    throw error;
  }
}

function policyFor(
  { repository, subject }: SuggestionSource,
  flow: FlowKey,
  peers: { fields: PeerFields; name: string },
  known: Known,
): { object: Readonly<Record<string, PolicyData>>; ref: PolicyRef; ports: Suggestion['ports'] } {
  const namespace = namespaceOf(subject.labels);
  const kind = namespace === '' ? 'CiliumClusterwideNetworkPolicy' : 'CiliumNetworkPolicy';
  const direction = flow.egress ? 'egress' : 'ingress';
  const { fields, ports } = portFieldsFor(flow);
  const others = known
    .filter(
      ([identity, labels]) => identity !== subject.identity && (namespace === '' || namespaceOf(labels) === namespace),
    )
    .map(([, labels]) => labels);
  const ref = freeName({ kind, namespace, name: nameFor(flow, peers.name) }, repository);
  const spec = {
    ...subjectFields(subject, others),
    [direction]: [{ ...peers.fields, ...fields }],
  };
  const metadata = { name: ref.name, ...(namespace !== '' && { namespace }) };
  return { object: { apiVersion: 'cilium.io/v2', kind, metadata, spec }, ref, ports };
}

const isNode = ({ identity }: Subject): boolean => identity === HOST_IDENTITY;

/** Of other nodes nobody knows the labels here: all that this one has are asked for. */
function subjectFields(subject: Subject, others: readonly Labels[]): Readonly<Record<string, PolicyData>> {
  if (!isNode(subject)) return { endpointSelector: distinguish(subject.labels, others) as PolicyData };
  const own = [...subject.labels].filter(({ source }) => source === 'k8s').map(({ key, value }) => [key, value]);
  return { nodeSelector: own.length === 0 ? {} : { matchLabels: Object.fromEntries(own) } };
}

function nameFor({ egress, protocol, dport }: FlowKey, peer: string): string {
  const name = protocolName(protocol).toLowerCase().replace(' ', '-');
  return `allow-${dport}-${name}-${egress ? 'to' : 'from'}-${peer}`;
}

/** A name that no policy has: applying it must not replace one. */
function freeName(ref: PolicyRef, repository: SuggestionSource['repository']): PolicyRef {
  let free = ref;
  for (let count = 2; repository.has(free); count++) free = { ...ref, name: `${ref.name}-${count}` };
  return free;
}

/** Rules have names for three protocols with ports, and for ICMP; any other one only an entry without ports allows. */
function portFieldsFor({ protocol, dport }: FlowKey): { fields: PeerFields; ports: Suggestion['ports'] } {
  switch (protocol) {
    case PROTOCOL_NUMBERS.TCP:
    case PROTOCOL_NUMBERS.UDP:
    case PROTOCOL_NUMBERS.SCTP: {
      const port = { port: `${dport}`, protocol: protocolName(protocol) };
      // Port 0 alone would mean every port.
      if (dport === 0) return ofPorts([{ ...port, endPort: 1 }], { protocol, first: 0, last: 1 });
      return ofPorts([port], { protocol, first: dport, last: dport });
    }
    case PROTOCOL_NUMBERS.ICMP:
    case PROTOCOL_NUMBERS.ICMPV6: {
      const family = protocol === PROTOCOL_NUMBERS.ICMP ? 'IPv4' : 'IPv6';
      const fields = { icmps: [{ fields: [{ family, type: dport }] }] };
      // Type 0 means every type, as port 0 means every port.
      return { fields, ports: { protocol, first: dport, last: dport === 0 ? 0xffff : dport } };
    }
    default:
      return { fields: {}, ports: { protocol: 0, first: 0, last: 0xffff } };
  }
}

const ofPorts = (list: readonly PolicyData[], ports: Suggestion['ports']) => ({
  fields: { toPorts: [{ ports: list }] },
  ports,
});
