import type { NetworkPolicy, PortNetworkPolicy, PortNetworkPolicyRule } from '@ciliate/envoy';
import { httpRulesToNpds } from '@ciliate/envoy';
import { formatIpv4 } from '@ciliate/packet';
import {
  type EndpointPolicy,
  formatOrigin,
  type RedirectFilter,
  type RedirectSelector,
  redirectOf,
} from '@ciliate/policy';
import type { Endpoint } from './endpoint.ts';

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

const portPolicyOf = (filter: RedirectFilter): PortNetworkPolicy => ({
  port: filter.port,
  ...(filter.endPort > filter.port && { endPort: filter.endPort }),
  protocol: 'TCP', // HTTP rules are refused for anything else
  rules: rulesOf(filter),
});

/** The filters without a port, of TCP or of every protocol: no HTTP rule can stand in them. */
function everyPortPolicies({ l4 }: EndpointPolicy): PortNetworkPolicy[] {
  return l4.ingress.filters.flatMap((filter) => {
    const { port, portName, endPort, protocol } = filter;
    const everyPort = port === 0 && portName === '' && (endPort === 0 || endPort === 0xffff);
    if (!everyPort || (protocol !== 'TCP' && protocol !== 'ANY')) return [];
    const rules = rulesOf(redirectOf(filter));
    return rules.length === 0 ? [] : [{ port, protocol: 'TCP', rules }];
  });
}

/** Who is denied is not among them: the datapath drops his packets before the proxy sees them. */
const rulesOf = ({ selectors }: RedirectFilter): PortNetworkPolicyRule[] =>
  selectors.filter(({ deny }) => !deny).map(ruleOf);

function ruleOf({ identities, l7, origins }: RedirectSelector): PortNetworkPolicyRule {
  const httpRules = httpRulesToNpds(l7.http);
  return {
    name: origins.map(formatOrigin).join('; '),
    remotePolicies: [...identities], // none: everybody
    ...(httpRules === undefined ? {} : { httpRules }),
  };
}
