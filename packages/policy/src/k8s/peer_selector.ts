import type { LabelSelector } from '@ciliate/k8s';
import {
  type EndpointSelector,
  POD_NAMESPACE_LABEL,
  POD_NAMESPACE_META_LABELS,
  POLICY_LABEL_CLUSTER,
} from '@ciliate/labels';
import type { Place } from '../api/place.ts';
import { parseSelector, withExpressions } from '../api/selector.ts';

const NAMESPACE = `k8s.${POD_NAMESPACE_LABEL}`;
const CLUSTER = `k8s.${POLICY_LABEL_CLUSTER}`;

/** Where peers are looked for that do not say so themselves. */
export interface PeerScope {
  /** The policy's namespace; '' for a clusterwide policy. */
  readonly namespace: string;
  /** undefined: every cluster. */
  readonly cluster: string | undefined;
  /** Does the policy select endpoints that have no labels yet? */
  readonly subjectIsInit: boolean;
}

/** Does the selector ask for a key, from source `k8s` or any? */
const asksFor = (selector: EndpointSelector, key: string): boolean =>
  selector.hasKey(`k8s.${key}`) || selector.hasKey(`any.${key}`);

const asksForNamespaceLabels = (selector: EndpointSelector): boolean =>
  ['k8s', 'any'].some((source) => selector.hasKeyPrefix(`${source}.${POD_NAMESPACE_META_LABELS}.`));

/**
 * A peer of a Cilium policy. What is reserved is taken as it stands.
 * @throws PolicyError
 * Source: pkg/k8s/apis/cilium.io/utils/utils.go, getEndpointSelector.
 */
export function peerSelector(source: LabelSelector, scope: PeerScope, place: Place): EndpointSelector {
  return scoped(parseSelector(source, place), scope);
}

/** As {@link peerSelector}, for a selector that is compiled already. */
export function scoped(selector: EndpointSelector, scope: PeerScope): EndpointSelector {
  return selector.hasKeyPrefix('reserved.') ? selector : requiredSelector(selector, scope);
}

/**
 * A selector in the scope: in the policy's namespace unless it names one or labels of namespaces; for a clusterwide
 * policy in any namespace, so that a wildcard means pods and not the world; in the cluster unless it names one.
 */
export function requiredSelector(
  selector: EndpointSelector,
  { namespace, cluster, subjectIsInit }: PeerScope,
): EndpointSelector {
  let found = selector;
  if (!asksFor(selector, POD_NAMESPACE_LABEL)) {
    if (namespace === '') {
      if (!subjectIsInit) found = withExpressions(found, { key: NAMESPACE, operator: 'Exists', values: [] });
    } else if (!asksForNamespaceLabels(selector)) {
      found = found.withMatch(NAMESPACE, namespace);
    }
  }
  if (cluster !== undefined && !asksFor(selector, POLICY_LABEL_CLUSTER)) found = found.withMatch(CLUSTER, cluster);
  return found;
}
