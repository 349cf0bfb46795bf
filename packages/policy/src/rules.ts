import type { L4Protocol } from '@ciliate/k8s';
import { EndpointSelector } from '@ciliate/labels';
import { HOST_SELECTOR } from './api/entity.ts';
import { sourceSelectors } from './api/ingress.ts';
import { parsePort } from './api/port.ts';
import type { HttpRule, IngressRule, Rule, RuleOrigin } from './api/rule.ts';
import { HOST_IDENTITY } from './identities.ts';
import { featuresOf, type L4DirectionPolicy, type L4Filter, LISTENER_PRIORITY, mergeFilter } from './l4.ts';
import type { SelectorCache } from './selectorcache.ts';

/** What resolving needs besides the rules. */
export interface ResolveContext {
  readonly selectorCache: SelectorCache;
  readonly clusterName: string;
}

const ANY_PROTOCOLS: readonly L4Protocol[] = ['TCP', 'UDP', 'SCTP'];

/** Merge the ingress sides of the rules of one subject. Source: pkg/policy/rules.go and rule.go, mergeIngress. */
export function resolveL4IngressPolicy(rules: readonly Rule[], context: ResolveContext): L4DirectionPolicy {
  const filters = new Map<string, L4Filter>();
  for (const rule of rules) {
    for (const ingress of rule.ingress) mergeIngress(ingress, context, filters);
  }
  return { filters, features: featuresOf(filters.values()) };
}

function mergeIngress(rule: IngressRule, context: ResolveContext, filters: Map<string, L4Filter>): void {
  const peers = sourceSelectors(rule, context.clusterName);
  if (peers === undefined) return;
  const everybody = peers.length === 0 || peers.some((peer) => peer.isWildcard);
  const selectors = everybody ? [EndpointSelector.wildcard] : peers;
  const merge = (port: number, protocol: L4Filter['protocol'], http: readonly HttpRule[]): void => {
    const added = createIngressFilter({ port, protocol, http, selectors, origin: rule.origin }, context.selectorCache);
    const existing = filters.get(added.id);
    if (existing === undefined) filters.set(added.id, added);
    else mergeFilter(existing, added, context.selectorCache);
  };
  // Without ports the peers may do everything; without ports and peers the rule allows nothing.
  if (rule.toPorts.length === 0 && peers.length > 0) merge(0, 'ANY', []);
  for (const { ports, http } of rule.toPorts) {
    for (const { port, protocol } of ports) {
      // ANY beside a port means the protocols that have ports, so never ICMP. Sanitized: the port is a number.
      for (const one of protocol === 'ANY' ? ANY_PROTOCOLS : [protocol]) merge(parsePort(port)!, one, http);
    }
  }
}

interface FilterSource {
  readonly port: number;
  readonly protocol: L4Filter['protocol'];
  readonly http: readonly HttpRule[];
  readonly selectors: readonly EndpointSelector[];
  readonly origin: RuleOrigin;
}

/** Source: pkg/policy/l4.go, createL4IngressFilter. */
function createIngressFilter(source: FilterSource, selectorCache: SelectorCache): L4Filter {
  const { port, protocol, http, selectors, origin } = source;
  const filter: L4Filter = {
    id: `ingress:${protocol}:${port}:`,
    port,
    protocol,
    wildcard: undefined,
    perSelectorPolicies: new Map(),
    origins: new Map(),
  };
  const policy =
    http.length === 0 ? null : ({ parser: 'http', listenerPriority: LISTENER_PRIORITY.http, http } as const);
  for (const selector of selectors) {
    const cached = selectorCache.acquire(selector, filter);
    filter.perSelectorPolicies.set(cached, policy);
    filter.origins.set(cached, [origin]);
    if (cached.isWildcard) filter.wildcard = cached;
  }
  // The node may always reach its endpoints: where HTTP rules select it too, the proxy lets it do everything. Without
  // effect if the rule names the host's selector itself.
  const selectsHost = [...filter.perSelectorPolicies.keys()].some((selector) => selector.selects(HOST_IDENTITY));
  if (policy !== null && selectsHost) {
    const host = selectorCache.acquire(HOST_SELECTOR, filter);
    if (!filter.perSelectorPolicies.has(host)) {
      filter.perSelectorPolicies.set(host, null);
      filter.origins.set(host, [origin]);
    }
  }
  return filter;
}
