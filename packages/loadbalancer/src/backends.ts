import {
  type EndpointPort,
  type EndpointSlice,
  isIpv6 as isIpv6Text,
  type Pod,
  type Service,
  type ServicePort,
} from '@ciliate/k8s';
import { BACKEND_STATE, LB_LOOKUP_SCOPE_EXT } from '@ciliate/maps';
import { addrText, bytesOfAddress, compareAddresses, isIpv6, type L3n4Addr } from './address.ts';
import type { LoadBalancerConfig } from './config.ts';
import { type FrontendParams, isLocalOnly } from './frontends.ts';

/** On an EndpointSlice: the service that it is of. */
export const SERVICE_NAME_LABEL = 'kubernetes.io/service-name';

/** Who serves, for one service. */
export interface BackendParams extends L3n4Addr {
  /** Names of the service's ports that it serves. */
  readonly portNames: ReadonlySet<string>;
  /** undefined: not told. */
  readonly nodeName: string | undefined;
  /** BACKEND_STATE.active or .terminating. */
  readonly state: number;
}

/**
 * The backends that a slice names: endpoints that are ready, and those that are terminating and still serve. An address
 * and port that it names more than once are one backend. Sources: pkg/k8s, ParseEndpointSliceV1;
 * pkg/loadbalancer/reflectors, convertEndpoints.
 */
export function backendsOfSlice({ endpoints, ports }: EndpointSlice): BackendParams[] {
  const found = new Map<string, BackendParams & { portNames: Set<string> }>();
  for (const { addresses, conditions, nodeName } of endpoints) {
    const isReady = conditions.ready ?? true;
    const isServing = conditions.serving ?? isReady;
    if (!isReady && !isServing) continue;
    const isTerminating = !isReady && conditions.terminating === true;
    const state = isTerminating ? BACKEND_STATE.terminating : BACKEND_STATE.active;
    for (const address of addresses.map(bytesOfAddress)) {
      for (const { name, port, protocol } of ports) {
        if (port === undefined) continue;
        const place = { address, port, protocol, scope: LB_LOOKUP_SCOPE_EXT };
        const backend = found.get(addrText(place)) ?? { ...place, portNames: new Set(), nodeName, state };
        if (name !== '') backend.portNames.add(name);
        found.set(addrText(place), backend);
      }
    }
  }
  return [...found.values()];
}

/**
 * The backends of several slices of one service; what more than one names is active if one says so.
 * @param slices in the order of their names: where they do not agree on a backend's node, the last one counts. In Cilium that is
 * the one that was told last, which the objects do not say.
 */
export function mergeBackends(slices: Iterable<readonly BackendParams[]>): BackendParams[] {
  const found = new Map<string, BackendParams>();
  for (const backends of slices)
    for (const backend of backends) {
      const place = addrText(backend);
      const known = found.get(place);
      const portNames = new Set([...(known?.portNames ?? []), ...backend.portNames]);
      const state = Math.min(known?.state ?? backend.state, backend.state);
      found.set(place, { ...backend, portNames, state });
    }
  return [...found.values()];
}

/**
 * Those that serve a frontend, active ones first, then by address and port: the order of the slots. A port without a name
 * is served by every port of its protocol. Sources: pkg/loadbalancer/writer, DefaultSelectBackends; reconciler,
 * sortedBackends.
 */
export function selectBackends(
  backends: readonly BackendParams[],
  spec: Service['spec'],
  frontend: FrontendParams,
  { nodeName }: LoadBalancerConfig,
): BackendParams[] {
  const { name = '' } = frontend.servicePort;
  const isElsewhere = (backend: BackendParams): boolean =>
    nodeName !== undefined && backend.nodeName !== undefined && backend.nodeName !== nodeName;
  const localOnly = isLocalOnly(spec, frontend);
  return backends
    .filter((backend) => backend.protocol === frontend.protocol && isIpv6(backend) === isIpv6(frontend))
    .filter((backend) => name === '' || backend.portNames.has(name))
    .filter((backend) => !localOnly || !isElsewhere(backend))
    .sort((a, b) => a.state - b.state || compareAddresses(a.address, b.address) || a.port - b.port);
}

/**
 * The slices that Kubernetes' own controller would make of the pods that a service selects: one for each family and each
 * way in which the names of its target ports are understood. A port that a pod does not know by name, it does not serve.
 * @param pods of the service's namespace that it may select, all on this node
 */
export function slicesOfPods(service: Service, pods: readonly Pod[], tellsNodes = false): EndpointSlice[] {
  const { metadata, spec, position } = service;
  const { selector } = spec;
  if (selector === undefined) return [];
  const selected = pods.filter(({ metadata: { labels } }) =>
    Object.entries(selector).every(([key, value]) => labels[key] === value),
  );
  const ends = selected.flatMap((pod) => pod.status.podIPs.map((address) => ({ pod, address })));
  const alike = Map.groupBy(ends, ({ pod, address }) =>
    JSON.stringify([isIpv6Text(address), portsOf(spec.ports, pod)]),
  );
  return [...alike.values()].map((ends, i) => ({
    kind: 'EndpointSlice',
    position,
    metadata: {
      namespace: metadata.namespace,
      name: `${metadata.name}/${i}`, // as no object that somebody writes is named
      annotations: {},
      labels: { [SERVICE_NAME_LABEL]: metadata.name },
    },
    addressType: isIpv6Text(ends[0]!.address) ? 'IPv6' : 'IPv4',
    endpoints: ends.map(({ pod, address }) => ({
      addresses: [address],
      conditions: READY,
      nodeName: tellsNodes ? pod.spec.nodeName : undefined,
    })),
    ports: portsOf(spec.ports, ends[0]!.pod),
  }));
}

const READY = { ready: true, serving: true, terminating: false } as const;

const portsOf = (ports: readonly ServicePort[], pod: Pod): EndpointPort[] =>
  ports.flatMap(({ name = '', targetPort, protocol }) => {
    const port = typeof targetPort === 'number' ? targetPort : namedPort(pod, targetPort, protocol);
    return port === undefined ? [] : [{ name, port, protocol }];
  });

const namedPort = (pod: Pod, name: string, protocol: string): number | undefined =>
  pod.spec.containers.flatMap(({ ports }) => ports).find((port) => port.name === name && port.protocol === protocol)
    ?.containerPort;
