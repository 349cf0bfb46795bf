import type { ObjectStore } from '@ciliate/k8s';
import { type ServiceEntry, serviceEntries } from '@ciliate/loadbalancer';
import { LbMaps, type Memory } from '@ciliate/maps';
import { IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP } from '@ciliate/packet';
import type { ServiceView } from '@ciliate/policy';

const PROTOCOLS = { TCP: IPPROTO_TCP, UDP: IPPROTO_UDP, SCTP: IPPROTO_SCTP } as const;

/** Writes the services of the store into the load balancer's maps. */
export function writeServices(memory: Memory, store: ObjectStore): ServiceEntry[] {
  const services = serviceEntries(store.list('Service'), store.list('Pod'));
  const maps = LbMaps.create(memory);
  for (const { revNatId, frontend, backends } of services)
    maps.upsertService({
      revNatId,
      ...frontend,
      protocol: PROTOCOLS[frontend.protocol],
      backends: backends.map(({ id, address, port, protocol }) => ({
        id,
        address,
        port,
        protocol: PROTOCOLS[protocol],
      })),
    });
  return services;
}

/** Services as `toServices` in rules looks at them. All have a selector: their backends are pods. */
export const serviceViewsOf = (store: ObjectStore): ServiceView[] =>
  store.list('Service').map(({ metadata: { namespace, name, labels }, spec: { selector } }) => ({
    namespace,
    name,
    labels,
    selector,
    backends: [],
  }));
