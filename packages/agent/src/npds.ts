import type { NetworkPolicy, PortNetworkPolicyRule } from '@ciliate/envoy';
import { httpRulesToNpds } from '@ciliate/envoy';
import { formatIpv4 } from '@ciliate/packet';
import type { EndpointPolicy, RedirectFilter, RedirectSelector } from '@ciliate/policy';
import type { Endpoint } from './endpoint.ts';
import { formatOrigin } from './explain.ts';

/** What the proxy must know of an endpoint: the filters whose traffic it gets. Source: pkg/envoy/xds_server.go. */
export function networkPolicyOf(endpoint: Endpoint, policy: EndpointPolicy): NetworkPolicy {
  return {
    endpointIps: [formatIpv4(endpoint.address)],
    endpointId: endpoint.id,
    ingressPerPortPolicies: policy.redirects.map((filter) => ({
      port: filter.port,
      protocol: 'TCP' as const, // HTTP rules are refused for anything else
      rules: rulesOf(filter),
    })),
  };
}

const rulesOf = ({ selectors }: RedirectFilter): PortNetworkPolicyRule[] => selectors.map(ruleOf);

function ruleOf({ identities, http, origins }: RedirectSelector): PortNetworkPolicyRule {
  const httpRules = httpRulesToNpds(http);
  return {
    name: origins.map(formatOrigin).join('; '),
    remotePolicies: [...identities], // none: everybody
    ...(httpRules === undefined ? {} : { httpRules }),
  };
}
