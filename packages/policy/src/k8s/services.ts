import type { ServiceSelector } from '@ciliate/k8s';
import { ciliumKey, EndpointSelector, Labels, POD_NAMESPACE_LABEL } from '@ciliate/labels';
import type { ServiceView } from './context.ts';

/** What services stand for as peers. */
export interface ServicePeers {
  /** Of the pods behind services with a selector. */
  readonly endpoints: readonly EndpointSelector[];
  /** Addresses behind services without one. */
  readonly addresses: readonly string[];
}

/** @param wanted entries of `toServices` Source: pkg/policy/k8s/service.go. */
export function resolveServices(wanted: readonly ServiceSelector[], services: readonly ServiceView[]): ServicePeers {
  const endpoints: EndpointSelector[] = [];
  const addresses: string[] = [];
  for (const service of services) {
    for (const one of wanted) {
      if (!isMeant(service, one)) continue;
      const selector = Object.entries(service.selector ?? {});
      if (selector.length === 0) addresses.push(...service.backends);
      else endpoints.push(podsBehind(selector, service.namespace));
    }
  }
  return { endpoints, addresses };
}

/** A namespace that is not given means every namespace, not the policy's. */
function isMeant(service: ServiceView, { k8sServiceSelector, k8sService }: ServiceSelector): boolean {
  if (k8sServiceSelector !== undefined) {
    const { selector, namespace } = k8sServiceSelector;
    // `selector: {}` selects no service.
    if (Object.keys(selector.matchLabels).length + selector.matchExpressions.length === 0) return false;
    return isIn(service, namespace) && EndpointSelector.ofSource('k8s', selector).matches(labelsOf(service));
  }
  return k8sService !== undefined && isIn(service, k8sService.namespace) && service.name === k8sService.serviceName;
}

const isIn = (service: ServiceView, namespace: string): boolean => namespace === '' || namespace === service.namespace;

const labelsOf = ({ labels }: ServiceView): Labels =>
  Labels.of(Object.entries(labels).map(([key, value]) => ({ source: 'k8s', key, value })));

/**
 * Cilium takes the service's keys for keys with a source: of a key with a dot, such as `app.kubernetes.io/name`, what is
 * before the dot becomes the source, and no pod matches.
 */
function podsBehind(selector: readonly [string, string][], namespace: string): EndpointSelector {
  return EndpointSelector.parse({
    matchLabels: Object.fromEntries([
      ...selector.map(([key, value]) => [ciliumKey(key), value]),
      [`k8s:${POD_NAMESPACE_LABEL}`, namespace],
    ]),
    matchExpressions: [],
  });
}
