import type { EndpointSlice, L4Protocol, Service } from '@ciliate/k8s';
import { LB_LOOKUP_SCOPE_EXT } from '@ciliate/maps';
import { type IpAddress, ipOfBytes } from '@ciliate/packet';
import { isUnspecified, type L3n4Addr } from './address.ts';
import { type BackendParams, backendsOfSlice, mergeBackends } from './backends.ts';
import { DEFAULT_LOAD_BALANCER_CONFIG } from './config.ts';
import { type DesiredFrontend, desiredFrontends } from './desired.ts';
import type { FrontendType } from './frontends.ts';

export interface Frontend {
  address: IpAddress;
  port: number;
  protocol: L4Protocol;
}

/** `id` is the same wherever the same address, port and protocol serve. */
export interface Backend extends Frontend {
  id: number;
}

/** An address at which a port of a Service is reached. `revNatId` names it in connection tracking. */
export interface ServiceEntry {
  namespace: string;
  name: string;
  type: FrontendType;
  portName: string | undefined;
  revNatId: number;
  frontend: Frontend;
  /** Those that new connections may get, in the order of their slots. */
  backends: Backend[];
}

interface Numbers {
  revNatId(frontend: L3n4Addr): number;
  backendId(backend: L3n4Addr): number;
}

const BOTH_FAMILIES = { ...DEFAULT_LOAD_BALANCER_CONFIG, ipv6: true };
/** The cluster address first: it is the one that people mean. */
const ORDER: readonly FrontendType[] = ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalIPs'];

/** What is in the maps, for people and for captures: of the external scope, and of the node its own addresses. */
export const serviceEntries = (
  service: Service,
  frontends: readonly DesiredFrontend[],
  numbers: Numbers,
): ServiceEntry[] =>
  shown(service, frontends).map((one) => ({
    namespace: service.metadata.namespace,
    name: service.metadata.name,
    type: one.frontend.type,
    portName: one.frontend.servicePort.name,
    revNatId: numbers.revNatId(one.frontend),
    frontend: numeric(one.frontend),
    backends: receivers(one).map((backend) => ({ id: numbers.backendId(backend), ...numeric(backend) })),
  }));

/**
 * Who would get a connection to a service, by what the objects say alone.
 * @returns undefined if it has no such port
 */
export function receiversOf(
  service: Service,
  slices: readonly EndpointSlice[],
  { port, protocol }: Omit<Frontend, 'address'>,
): Frontend[] | undefined {
  const inOrder = slices.toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  const backends = mergeBackends(inOrder.map(backendsOfSlice));
  const found = shown(service, desiredFrontends(service, backends, BOTH_FAMILIES)).find(
    ({ frontend }) => frontend.port === port && frontend.protocol === protocol,
  );
  return found && receivers(found).map(numeric);
}

const shown = ({ spec }: Service, frontends: readonly DesiredFrontend[]): DesiredFrontend[] =>
  frontends
    .filter(({ frontend }) => !isUnspecified(frontend) && frontend.scope === LB_LOOKUP_SCOPE_EXT)
    .toSorted(
      ({ frontend: a }, { frontend: b }) =>
        ORDER.indexOf(a.type) - ORDER.indexOf(b.type) ||
        spec.ports.indexOf(a.servicePort) - spec.ports.indexOf(b.servicePort),
    );

const receivers = ({ backends, count }: DesiredFrontend): readonly BackendParams[] => backends.slice(0, count);

function numeric({ address, port, protocol }: L3n4Addr): Frontend {
  return { address: ipOfBytes(address), port, protocol };
}
