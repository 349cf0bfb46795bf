import type { Service, ServicePort } from '@ciliate/k8s';
import { LB_LOOKUP_SCOPE_EXT, LB_LOOKUP_SCOPE_INT } from '@ciliate/maps';
import { addrText, bytesOfAddress, compareFrontends, isIpv6, isUnspecified, type L3n4Addr } from './address.ts';
import type { LoadBalancerConfig } from './config.ts';

export type FrontendType = 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalIPs';

/** An address at which a port of a service is reached. */
export interface FrontendParams extends L3n4Addr {
  readonly type: FrontendType;
  readonly servicePort: ServicePort;
}

const ANY = { IPv4: '0.0.0.0', IPv6: '::' } as const;
const HEADLESS_LABEL = 'service.kubernetes.io/headless';
const EXPOSED_TYPE = 'service.cilium.io/type';

/**
 * The frontends of a service in the order of their numbers: each address once, the last word on it; behind a wildcard the
 * node's own addresses. Source: pkg/loadbalancer/reconciler, Update.
 */
export function frontendsOf(service: Service, config: LoadBalancerConfig): FrontendParams[] {
  const frontends = writtenFrontends(service, config).sort(compareFrontends);
  const unique = [...new Map(frontends.map((one) => [addrText(one), one])).values()];
  const nodeAddresses = config.nodePortAddresses.map(bytesOfAddress);
  return unique.flatMap((one) => {
    if (!isUnspecified(one)) return [one];
    const own = nodeAddresses.filter((address) => isIpv6({ address }) === isIpv6(one));
    return [one, ...own.map((address) => ({ ...one, address }))];
  });
}

/**
 * As the service's fields name them: cluster addresses, node ports as 0.0.0.0 and ::, load balancers' addresses, external
 * addresses; of each address the ports as written. Families that are switched off have none, and neither does a headless
 * service. Source: pkg/loadbalancer/reflectors, convertService.
 */
function writtenFrontends(service: Service, { ipv4, ipv6 }: LoadBalancerConfig): FrontendParams[] {
  const { spec, status, metadata } = service;
  if (spec.clusterIPs.length === 0 || metadata.labels[HEADLESS_LABEL] !== undefined) return [];
  const exposed = metadata.annotations[EXPOSED_TYPE];
  const exposes = (type: Service['spec']['type']): boolean => exposed === undefined || exposed === type;
  const found: FrontendParams[] = [];
  const add = (type: FrontendType, addresses: readonly string[], scopes: readonly number[]): void => {
    for (const address of addresses.map(bytesOfAddress)) {
      if (!(isIpv6({ address }) ? ipv6 : ipv4)) continue;
      for (const scope of scopes)
        for (const servicePort of spec.ports) {
          const port = type === 'NodePort' ? servicePort.nodePort : servicePort.port;
          if (port === undefined) continue;
          found.push({ type, address, port, protocol: servicePort.protocol, scope, servicePort });
        }
    }
  };
  const isTwoScopes = spec.externalTrafficPolicy !== spec.internalTrafficPolicy;
  const external = [LB_LOOKUP_SCOPE_EXT];
  const scopes = isTwoScopes ? [LB_LOOKUP_SCOPE_EXT, LB_LOOKUP_SCOPE_INT] : external;
  if (exposes('ClusterIP')) add('ClusterIP', spec.clusterIPs, external);
  if (spec.type !== 'ClusterIP' && exposes('NodePort'))
    add(
      'NodePort',
      spec.ipFamilies.map((family) => ANY[family]),
      scopes,
    );
  if (spec.type === 'LoadBalancer' && exposes('LoadBalancer')) add('LoadBalancer', status.loadBalancerIPs, scopes);
  add('ExternalIPs', spec.externalIPs, external);
  return found;
}

/**
 * May only backends on this node serve the frontend? With equal policies there is one scope, the external; a cluster
 * address is asked from inside alone. Source: pkg/loadbalancer/writer, shouldUseLocalBackends.
 */
export function isLocalOnly(spec: Service['spec'], { type, scope }: FrontendParams): boolean {
  const isInternal = scope === LB_LOOKUP_SCOPE_INT || type === 'ClusterIP';
  return (isInternal ? spec.internalTrafficPolicy : spec.externalTrafficPolicy) === 'Local';
}
