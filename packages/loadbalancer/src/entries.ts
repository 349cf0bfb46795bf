import type { L4Protocol, Service } from '@ciliate/k8s';
import { LB_LOOKUP_SCOPE_EXT } from '@ciliate/maps';
import { isIpv6, isUnspecified, type L3n4Addr } from './address.ts';
import type { DesiredFrontend } from './desired.ts';
import type { FrontendType } from './frontends.ts';

/** `address` is IPv4 in host order. */
export interface Frontend {
  address: number;
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

/** The cluster address first: it is the one that people mean. */
const ORDER: readonly FrontendType[] = ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalIPs'];

/** What is in the maps, for people and for captures: of IPv4, of the external scope, and of the node its own addresses. */
export function serviceEntries(
  services: readonly { service: Service; frontends: readonly DesiredFrontend[] }[],
  numbers: Numbers,
): ServiceEntry[] {
  return services.flatMap(({ service: { metadata, spec }, frontends }) =>
    frontends
      .filter(({ frontend }) => !isIpv6(frontend) && !isUnspecified(frontend) && frontend.scope === LB_LOOKUP_SCOPE_EXT)
      .toSorted(
        ({ frontend: a }, { frontend: b }) =>
          ORDER.indexOf(a.type) - ORDER.indexOf(b.type) ||
          spec.ports.indexOf(a.servicePort) - spec.ports.indexOf(b.servicePort),
      )
      .map(({ frontend, backends, count }) => ({
        namespace: metadata.namespace,
        name: metadata.name,
        type: frontend.type,
        portName: frontend.servicePort.name,
        revNatId: numbers.revNatId(frontend),
        frontend: numeric(frontend),
        backends: backends.slice(0, count).map((one) => ({ id: numbers.backendId(one), ...numeric(one) })),
      })),
  );
}

function numeric({ address, port, protocol }: L3n4Addr): Frontend {
  return { address: Buffer.from(address).readUInt32BE(0), port, protocol };
}
