import type { NetworkPolicy, PortNetworkPolicy, PortNetworkPolicyRule } from '@ciliate/envoy';
import { httpRulesToNpds, kafkaRuleToNpds } from '@ciliate/envoy';
import { formatIp } from '@ciliate/packet';
import { type EndpointPolicy, formatOrigin, type L4Filter, type RedirectSelector, redirectOf } from '@ciliate/policy';
import type { Endpoint } from './endpoint.ts';
import { downstreamTlsOf, upstreamTlsOf } from './tls_secrets.ts';

/**
 * What the proxy must know of an endpoint: all that is said about TCP to it. A packet to a port with HTTP rules goes to the
 * proxy even if another filter, of more ports, lets its sender do everything (the redirect wins in the policy map), so the
 * proxy must know that filter too. Source: pkg/envoy/xds_server.go, getDirectionNetworkPolicy.
 * @returns undefined if the proxy gets none of its traffic
 */
export function networkPolicyOf(endpoint: Endpoint, policy: EndpointPolicy): NetworkPolicy | undefined {
  if (!policy.redirects.some(({ selectors }) => selectors.some(isForEnvoy))) return undefined;
  return {
    endpointIps: endpoint.addresses.map(formatIp),
    endpointId: endpoint.id,
    ingressPerPortPolicies: portPoliciesOf(policy.l4.ingress.filters, policy),
    egressPerPortPolicies: portPoliciesOf(policy.l4.egress.filters, policy),
  };
}

const portPoliciesOf = (filters: readonly L4Filter[], policy: EndpointPolicy): PortPolicy[] =>
  filters
    .flatMap((filter) => portPolicyOf(filter, policy))
    .sort((a, b) => lastIfEveryPort(a) - lastIfEveryPort(b) || a.endPort - b.endPort);

/** DNS goes to a proxy of the agent's own. */
const isForEnvoy = ({ parser }: RedirectSelector): boolean => parser !== '' && parser !== 'dns';

type PortPolicy = PortNetworkPolicy & { port: number; endPort: number };

/** None for a filter that allows nobody now, or about a name that no port has. */
function portPolicyOf(filter: L4Filter, policy: EndpointPolicy): PortPolicy[] {
  if (filter.protocol !== 'TCP' && filter.protocol !== 'ANY') return [];
  const port = policy.portOf(filter);
  const rules = rulesOf(filter);
  if (port === undefined || rules.length === 0) return [];
  return [{ port, endPort: filter.endPort > port && port > 0 ? filter.endPort : 0, protocol: 'TCP', rules }];
}

/** By ports; what is said about every port comes last. */
const lastIfEveryPort = ({ port }: PortPolicy): number => (port === 0 ? 0x1_0000 : port);

/** Who is denied is not among them: the datapath drops his packets before the proxy sees them. */
const rulesOf = (filter: L4Filter): PortNetworkPolicyRule[] =>
  redirectOf(filter)
    .selectors.filter(({ deny }) => !deny)
    .map(ruleOf);

function ruleOf({
  identities,
  l7,
  origins,
  serverNames,
  terminatingTLS,
  originatingTLS,
}: RedirectSelector): PortNetworkPolicyRule {
  const httpRules = httpRulesToNpds(l7.http);
  return {
    name: origins.map(formatOrigin).join('; '),
    remotePolicies: [...identities], // none: everybody
    ...(httpRules === undefined ? {} : { httpRules }),
    ...(terminatingTLS?.secret && { downstreamTlsContext: downstreamTlsOf(terminatingTLS.secret) }),
    ...(originatingTLS?.secret && { upstreamTlsContext: upstreamTlsOf(originatingTLS.secret) }),
    ...(serverNames.length > 0 && { serverNames }),
    ...(l7.kafka.length === 0 ? {} : { l7Proto: 'kafka', kafkaRules: { kafkaRules: l7.kafka.map(kafkaRuleToNpds) } }),
  };
}
