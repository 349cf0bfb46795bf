import type {
  CiliumNetworkPolicy,
  IngressRule as K8sIngressRule,
  PortRule as K8sPortRule,
  Rule as K8sRule,
  LabelSelector,
} from '@ciliate/k8s';
import { EndpointSelector, POD_NAMESPACE_LABEL, POD_NAMESPACE_META_LABELS } from '@ciliate/labels';
import type { IngressRule, PolicyRef, PortRule, Rule } from '../api/rule.ts';
import { PolicyError } from '../errors.ts';
import { derivedLabels } from './derived_labels.ts';

const NAMESPACE_KEYS = [`k8s.${POD_NAMESPACE_LABEL}`, `any.${POD_NAMESPACE_LABEL}`];
const NAMESPACE_META_PREFIXES = [`k8s.${POD_NAMESPACE_META_LABELS}.`, `any.${POD_NAMESPACE_META_LABELS}.`];

/**
 * Translate a CiliumNetworkPolicy, one rule per spec.
 * @throws PolicyError if there is no spec; what the specs say is checked by sanitizeRule
 * Source: pkg/k8s/apis/cilium.io/utils/utils.go, ParseToCiliumRule.
 */
export function parseCiliumNetworkPolicy(object: CiliumNetworkPolicy): Rule[] {
  const { name, namespace } = object.metadata;
  const policy: PolicyRef = { kind: 'CiliumNetworkPolicy', namespace, name };
  if (object.specs.length === 0) {
    throw new PolicyError(object.position, 'spec', 'a CiliumNetworkPolicy must have a spec or specs');
  }
  return object.specs.map((spec, specIndex) => parseSpec(spec, specIndex, object.specs.length, policy));
}

function parseSpec(spec: K8sRule, specIndex: number, specs: number, policy: PolicyRef): Rule {
  const path = specs === 1 ? 'spec' : `specs[${specIndex}]`;
  // The subject is always in the policy's own namespace: another one, if asked for, is silently replaced.
  const subject = EndpointSelector.parse(spec.endpointSelector).withMatch(
    `k8s.${POD_NAMESPACE_LABEL}`,
    policy.namespace,
  );
  return {
    policy,
    specIndex,
    position: spec.position,
    path,
    labels: derivedLabels(policy),
    endpointSelector: { selector: subject, position: spec.position, path: `${path}.endpointSelector` },
    ingress: (spec.ingress ?? []).map((rule, index) => parseIngress(rule, `${path}.ingress[${index}]`, index)),
  };

  function parseIngress(rule: K8sIngressRule, rulePath: string, ruleIndex: number): IngressRule {
    return {
      origin: { ...policy, specIndex, ruleIndex, position: rule.position },
      path: rulePath,
      fromEndpoints: rule.fromEndpoints?.map((peer, at) => ({
        selector: peerSelector(peer, policy.namespace),
        position: peer.position,
        path: `${rulePath}.fromEndpoints[${at}]`,
      })),
      fromEntities: rule.fromEntities,
      toPorts: (rule.toPorts ?? []).map((ports, at) => parsePortRule(ports, `${rulePath}.toPorts[${at}]`)),
    };
  }
}

/**
 * A peer is looked for in the policy's namespace, unless its selector names a namespace, a label of a namespace, or
 * anything reserved.
 */
function peerSelector(source: LabelSelector, namespace: string): EndpointSelector {
  const selector = EndpointSelector.parse(source);
  const elsewhere =
    selector.hasKeyPrefix('reserved.') ||
    NAMESPACE_KEYS.some((key) => selector.hasKey(key)) ||
    NAMESPACE_META_PREFIXES.some((prefix) => selector.hasKeyPrefix(prefix));
  return elsewhere ? selector : selector.withMatch(`k8s.${POD_NAMESPACE_LABEL}`, namespace);
}

function parsePortRule(rule: K8sPortRule, path: string): PortRule {
  return {
    position: rule.position,
    path,
    ports: rule.ports.map(({ position, port, protocol }, at) => ({
      position,
      path: `${path}.ports[${at}]`,
      port,
      protocol,
    })),
    // An empty expression matches everything, as an absent one does.
    http: (rule.rules?.http ?? []).map((http) => ({
      method: http.method || undefined,
      path: http.path || undefined,
      host: http.host || undefined,
    })),
  };
}
