import type {
  LabelSelector,
  NetworkPolicy,
  NetworkPolicyEgressRule,
  NetworkPolicyIngressRule,
  NetworkPolicyPeer,
  NetworkPolicyPort,
} from '@ciliate/k8s';
import {
  EndpointSelector,
  POD_NAMESPACE_LABEL,
  POD_NAMESPACE_META_LABELS,
  POLICY_LABEL_CLUSTER,
} from '@ciliate/labels';
import { parseCidrRule } from '../api/cidr.ts';
import { portRuleOf } from '../api/icmp.ts';
import { Place } from '../api/place.ts';
import { parsePortProtocol } from '../api/port.ts';
import type { PeerRule, PolicyRef, PortRule, Rule, RuleOrigin } from '../api/rule.ts';
import { parseSelector } from '../api/selector.ts';
import { defaultCluster, type TranslateContext } from './context.ts';
import { ruleLabels } from './derived_labels.ts';

/** Gives the rule another name than the object's. Source: pkg/annotation/k8s.go. */
const NAME_ANNOTATIONS = ['policy.cilium.io/name', 'io.cilium.name'];
const EMPTY: LabelSelector = { matchLabels: {}, matchExpressions: [] };
const ofK8s = (selector: LabelSelector): EndpointSelector => EndpointSelector.ofSource('k8s', selector);

type Direction = 'ingress' | 'egress';
type EitherRule = Partial<NetworkPolicyIngressRule & NetworkPolicyEgressRule>;

/**
 * Check and translate a Kubernetes NetworkPolicy: one rule, in which one entry becomes one for each of its peers.
 * @throws PolicyError
 * Source: pkg/k8s/network_policy.go, ParseNetworkPolicy.
 */
export function parseNetworkPolicy(object: NetworkPolicy, context: TranslateContext): Rule[] {
  const { name, namespace, annotations } = object.metadata;
  const policy: PolicyRef = { kind: 'NetworkPolicy', namespace, name };
  const place = Place.of(object, 'spec');
  const { podSelector, policyTypes = [] } = object.spec;
  const subject = inNamespace(podSelector, namespace, place.at('podSelector'));
  const ingress = parseEntries(object, 'ingress', place, context);
  const egress = parseEntries(object, 'egress', place, context);
  // Without entries the policy only puts its pods into default deny; a type that is not named does not hide entries.
  const isolatesIngress = policyTypes.includes('Ingress') || !policyTypes.includes('Egress');
  if (ingress.length === 0 && isolatesIngress) ingress.push(nobody(policy, 'ingress', place));
  if (egress.length === 0 && policyTypes.includes('Egress')) egress.push(nobody(policy, 'egress', place));
  const given = NAME_ANNOTATIONS.map((key) => annotations[key]).find((value) => value);
  return [
    {
      policy,
      specIndex: 0,
      position: place.position,
      labels: ruleLabels({ ...policy, name: given ?? name }),
      subject,
      selectsNodes: false,
      ingress: { allow: ingress, deny: [], defaultDeny: defaultDeny(ingress, context) },
      egress: { allow: egress, deny: [], defaultDeny: defaultDeny(egress, context) },
      description: '',
      log: '',
    },
  ];
}

const defaultDeny = (allow: readonly PeerRule[], { config }: TranslateContext): boolean =>
  !config.enableNonDefaultDenyPolicies || allow.length > 0;

/** An entry that lets nobody in or out. */
const nobody = (policy: PolicyRef, list: Direction, place: Place): PeerRule => ({
  origin: { ...policy, specIndex: 0, list, ruleIndex: 0, position: place.at('policyTypes').position },
  peers: { endpoints: [], others: [], fqdns: [] },
  requires: [],
  toPorts: [],
  authentication: undefined,
});

function parseEntries(object: NetworkPolicy, list: Direction, spec: Place, context: TranslateContext): PeerRule[] {
  const { name, namespace } = object.metadata;
  const rules: readonly EitherRule[] = object.spec[list] ?? [];
  return rules.flatMap((rule, ruleIndex) => {
    const place = spec.at(list).at(ruleIndex);
    const toPorts = (rule.ports ?? []).map((port, index) => parsePort(port, place.at('ports').at(index)));
    const { position } = place;
    const origin: RuleOrigin = { kind: 'NetworkPolicy', namespace, name, specIndex: 0, list, ruleIndex, position };
    const entry = (endpoints: readonly EndpointSelector[], others: readonly EndpointSelector[]): PeerRule => ({
      origin,
      peers: { endpoints, others, fqdns: [] },
      requires: [],
      toPorts,
      authentication: undefined,
    });
    const field = list === 'ingress' ? 'from' : 'to';
    const peers = rule[field] ?? [];
    if (peers.length === 0) return [entry([EndpointSelector.wildcard], [])];
    return peers.map((peer, index) => {
      const at = place.at(field).at(index);
      const selector = peerSelector(peer, list, namespace, at, context);
      if (selector !== undefined && peer.ipBlock !== undefined) at.refuse(withBlock(peer));
      // A peer that says nothing is no peer at all: with ports the entry is open to everybody, without it does nothing.
      return entry(selector === undefined ? [] : [selector], blockSelectors(peer, at.at('ipBlock'), context));
    });
  });
}

/** Cilium gives a peer of ingress a selector of the local cluster also where it has only a block. A defect, kept. */
const withBlock = ({ podSelector, namespaceSelector }: NetworkPolicyPeer): string =>
  podSelector === undefined && namespaceSelector === undefined
    ? 'with the option policy-default-local-cluster Cilium refuses ipBlock for ingress: use a CiliumNetworkPolicy'
    : 'ipBlock cannot stand beside podSelector or namespaceSelector: write one peer for each';

function blockSelectors(
  { ipBlock }: NetworkPolicyPeer,
  place: Place,
  { config }: TranslateContext,
): EndpointSelector[] {
  if (ipBlock === undefined) return [];
  const { cidr, except } = ipBlock;
  if (cidr === '') place.at('cidr').refuse('a prefix must be given');
  return parseCidrRule({ cidr, cidrGroupRef: '', cidrGroupSelector: undefined, except }, place, config);
}

/** @returns undefined if the peer names no pods */
function peerSelector(
  peer: NetworkPolicyPeer,
  list: Direction,
  namespace: string,
  place: Place,
  { config }: TranslateContext,
): EndpointSelector | undefined {
  const { namespaceSelector } = peer;
  const cluster = defaultCluster(config);
  const named = peer.podSelector !== undefined || namespaceSelector !== undefined;
  // For egress the cluster is added only to what names pods.
  const local = cluster !== undefined && (named || list === 'ingress') && !namesCluster(peer.podSelector);
  const podSelector = local ? inCluster(peer.podSelector ?? EMPTY, cluster) : peer.podSelector;
  if (namespaceSelector === undefined) {
    return podSelector && inNamespace(podSelector, namespace, place.at('podSelector'));
  }
  if (podSelector !== undefined) parseSelector(podSelector, place.at('podSelector'), ofK8s);
  parseSelector(namespaceSelector, place.at('namespaceSelector'), (one) => ofK8s(namespacePart(one)));
  return EndpointSelector.ofSource('k8s', namespacePart(namespaceSelector), podSelector ?? EMPTY);
}

const namesCluster = (selector: LabelSelector | undefined): boolean =>
  Boolean(selector?.matchLabels[POLICY_LABEL_CLUSTER]) ||
  (selector?.matchExpressions ?? []).some(({ key }) => key === POLICY_LABEL_CLUSTER);

const inCluster = (selector: LabelSelector, cluster: string): LabelSelector => ({
  ...selector,
  matchLabels: { ...selector.matchLabels, [POLICY_LABEL_CLUSTER]: cluster },
});

/** Labels of a namespace are carried by its pods under a prefix; an empty selector takes pods of every namespace. */
function namespacePart({ matchLabels, matchExpressions }: LabelSelector): LabelSelector {
  const prefixed = (key: string): string => `${POD_NAMESPACE_META_LABELS}.${key}`;
  if (Object.keys(matchLabels).length + matchExpressions.length === 0) {
    return { matchLabels: {}, matchExpressions: [{ key: POD_NAMESPACE_LABEL, operator: 'Exists', values: [] }] };
  }
  return {
    matchLabels: Object.fromEntries(Object.entries(matchLabels).map(([key, value]) => [prefixed(key), value])),
    matchExpressions: matchExpressions.map((expression) => ({ ...expression, key: prefixed(expression.key) })),
  };
}

function inNamespace(podSelector: LabelSelector, namespace: string, place: Place): EndpointSelector {
  return parseSelector(podSelector, place, ofK8s).withMatch(`k8s.${POD_NAMESPACE_LABEL}`, namespace);
}

/** A protocol that is not given is TCP, a port that is not given every port of it. */
function parsePort({ port, endPort, protocol }: NetworkPolicyPort, place: Place): PortRule {
  const text = { port: String(port ?? 0), endPort: endPort ?? 0, protocol: protocol ?? 'TCP' };
  return portRuleOf([parsePortProtocol(text, place)]);
}
