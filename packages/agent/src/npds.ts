import type { NetworkPolicy, PortNetworkPolicy, PortNetworkPolicyRule } from '@ciliate/envoy';
import { httpRulesToNpds } from '@ciliate/envoy';
import { formatIpv4 } from '@ciliate/packet';
import type { EndpointPolicy, RedirectFilter, RedirectSelector } from '@ciliate/policy';
import type { Endpoint } from './endpoint.ts';
import { formatOrigin } from './explain.ts';

/**
 * What the proxy must know of an endpoint: the filters whose traffic it gets, and who is allowed on every port. A packet to
 * a port with HTTP rules goes to the proxy even if its sender may do everything (the redirect wins in the policy map), so
 * the proxy must know that it may. Source: pkg/envoy/xds_server.go, getDirectionNetworkPolicy.
 */
export function networkPolicyOf(endpoint: Endpoint, policy: EndpointPolicy): NetworkPolicy {
  return {
    endpointIps: [formatIpv4(endpoint.address)],
    endpointId: endpoint.id,
    ingressPerPortPolicies: [...policy.redirects.map(portPolicyOf), ...everyPortPolicies(policy)],
  };
}

const portPolicyOf = ({ port, selectors }: RedirectFilter): PortNetworkPolicy => ({
  port,
  protocol: 'TCP', // HTTP rules are refused for anything else
  rules: selectors.map(ruleOf),
});

/** The filters without a port, of TCP or of every protocol: no HTTP rule can stand in them. */
function everyPortPolicies({ l4 }: EndpointPolicy): PortNetworkPolicy[] {
  return [...l4.ingress.filters.values()].flatMap(({ port, protocol, perSelectorPolicies, origins }) => {
    if (port !== 0 || (protocol !== 'TCP' && protocol !== 'ANY')) return [];
    const rules = [...perSelectorPolicies.keys()]
      .map((selector) => ({ selector, identities: selector.isWildcard ? [] : selector.selections() }))
      .filter(({ selector, identities }) => selector.isWildcard || identities.length > 0)
      .map(({ selector, identities }) => ruleOf({ identities, http: [], origins: origins.get(selector) ?? [] }));
    return rules.length === 0 ? [] : [{ port, protocol: 'TCP', rules }];
  });
}

function ruleOf({
  identities,
  http,
  origins,
}: Pick<RedirectSelector, 'identities' | 'http' | 'origins'>): PortNetworkPolicyRule {
  const httpRules = httpRulesToNpds(http);
  return {
    name: origins.map(formatOrigin).join('; '),
    remotePolicies: [...identities], // none: everybody
    ...(httpRules === undefined ? {} : { httpRules }),
  };
}
