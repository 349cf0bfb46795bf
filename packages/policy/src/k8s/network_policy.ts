import type {
  LabelSelector,
  NetworkPolicy,
  NetworkPolicyIngressRule,
  NetworkPolicyPeer,
  NetworkPolicyPort,
} from '@ciliate/k8s';
import { EndpointSelector, POD_NAMESPACE_LABEL, POD_NAMESPACE_META_LABELS } from '@ciliate/labels';
import type { IngressRule, PolicyRef, PortRule, Rule, RuleOrigin, Selector } from '../api/rule.ts';
import { derivedLabels } from './derived_labels.ts';

const EMPTY: LabelSelector = { matchLabels: {}, matchExpressions: [] };

/**
 * Translate a Kubernetes NetworkPolicy: one rule, with one ingress entry per peer.
 * Source: pkg/k8s/network_policy.go, ParseNetworkPolicy.
 */
export function parseNetworkPolicy(object: NetworkPolicy): Rule[] {
  const { name, namespace } = object.metadata;
  const policy: PolicyRef = { kind: 'NetworkPolicy', namespace, name };
  const { podSelector, ingress = [] } = object.spec;
  const rules = ingress.flatMap((rule, ruleIndex) =>
    parseIngress(rule, { ...policy, specIndex: 0, ruleIndex, position: rule.position }),
  );
  return [
    {
      policy,
      specIndex: 0,
      position: object.position,
      path: 'spec',
      labels: derivedLabels(policy),
      endpointSelector: {
        selector: inNamespace(podSelector, namespace),
        position: object.position,
        path: 'spec.podSelector',
      },
      // Without rules the policy only puts its pods into default deny: one entry that lets nobody in.
      ingress:
        rules.length > 0 ? rules : [letNobodyIn({ ...policy, specIndex: 0, ruleIndex: 0, position: object.position })],
    },
  ];
}

const letNobodyIn = (origin: RuleOrigin): IngressRule => ({
  origin,
  path: 'spec.ingress',
  fromEndpoints: undefined,
  fromEntities: undefined,
  toPorts: [],
});

function parseIngress(rule: NetworkPolicyIngressRule, origin: RuleOrigin): IngressRule[] {
  const path = `spec.ingress[${origin.ruleIndex}]`;
  const toPorts = (rule.ports ?? []).map((port, index) => parsePort(port, `${path}.ports[${index}]`));
  const entry = (fromEndpoints: readonly Selector[] | undefined): IngressRule => ({
    origin,
    path,
    fromEndpoints,
    fromEntities: undefined,
    toPorts,
  });
  const from = rule.from ?? [];
  if (from.length === 0) return [entry([{ selector: EndpointSelector.wildcard, position: rule.position, path }])];
  return from.map((peer, index) => {
    const selector = peerSelector(peer, origin.namespace);
    // A peer that says nothing is no peer at all: with ports the entry is open to everybody, without it allows nothing.
    return entry(selector && [{ selector, position: peer.position, path: `${path}.from[${index}]${partOf(peer)}` }]);
  });
}

function peerSelector(peer: NetworkPolicyPeer, namespace: string): EndpointSelector | undefined {
  const { podSelector, namespaceSelector } = peer;
  if (namespaceSelector === undefined) return podSelector && inNamespace(podSelector, namespace);
  return EndpointSelector.ofSource('k8s', namespacePart(namespaceSelector), podSelector ?? EMPTY);
}

/** The field that a peer's selector comes from; '' if it is made of both. */
function partOf({ podSelector, namespaceSelector }: NetworkPolicyPeer): string {
  if (podSelector === undefined) return '.namespaceSelector';
  return namespaceSelector === undefined ? '.podSelector' : '';
}

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

function inNamespace(podSelector: LabelSelector, namespace: string): EndpointSelector {
  return EndpointSelector.ofSource('k8s', podSelector).withMatch(`k8s.${POD_NAMESPACE_LABEL}`, namespace);
}

function parsePort({ position, port, protocol }: NetworkPolicyPort, path: string): PortRule {
  return { position, path, ports: [{ position, path, port: String(port ?? 0), protocol }], http: [] };
}
