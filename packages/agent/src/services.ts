import { isDeepStrictEqual } from 'node:util';
import type { EndpointSlice, ObjectStore } from '@ciliate/k8s';
import { type Frontend, type ServiceEntry, ServiceIds, serviceEntries } from '@ciliate/loadbalancer';
import { LbMaps, type Memory } from '@ciliate/maps';
import { IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP } from '@ciliate/packet';
import type { ServiceView } from '@ciliate/policy';

const PROTOCOLS = { TCP: IPPROTO_TCP, UDP: IPPROTO_UDP, SCTP: IPPROTO_SCTP } as const;
/** On an EndpointSlice: the service that it is of. */
const SERVICE_NAME = 'kubernetes.io/service-name';

/** The services of the cluster in the load balancer's maps. */
export class Services {
  readonly #maps: LbMaps;
  readonly #ids = new ServiceIds();
  #entries: readonly ServiceEntry[] = [];

  constructor(memory: Memory) {
    this.#maps = LbMaps.create(memory);
  }

  /** As in the maps. */
  get entries(): readonly ServiceEntry[] {
    return this.#entries;
  }

  /** Writes what changed in the store since the last time. @throws ServiceError and changes nothing */
  update(store: ObjectStore): void {
    const entries = serviceEntries(store.list('Service'), store.list('Pod'), this.#ids);
    const before = new Map(this.#entries.map((entry) => [placeOf(entry.frontend), entry]));
    const now = new Map(entries.map((entry) => [placeOf(entry.frontend), entry]));
    for (const [place, { frontend }] of before) if (!now.has(place)) this.#maps.deleteService(lbFrontend(frontend));
    for (const [place, entry] of now) {
      if (isDeepStrictEqual(before.get(place)?.backends, entry.backends)) continue;
      const backends = entry.backends.map((backend) => ({ id: backend.id, ...lbFrontend(backend) }));
      this.#maps.upsertService({ revNatId: entry.revNatId, ...lbFrontend(entry.frontend), backends });
    }
    this.#entries = entries;
  }
}

const placeOf = ({ address, port, protocol }: Frontend): string => `${address}:${port}/${protocol}`;

const lbFrontend = ({ address, port, protocol }: Frontend) => ({ address, port, protocol: PROTOCOLS[protocol] });

/** Services as `toServices` in rules looks at them; those without a selector have the addresses that slices tell. */
export function serviceViewsOf(store: ObjectStore): ServiceView[] {
  const slices = Map.groupBy(store.list('EndpointSlice'), serviceOf);
  return store.list('Service').map(({ metadata: { namespace, name, labels }, spec: { selector } }) => {
    const endpoints = (slices.get(`${namespace}/${name}`) ?? []).flatMap((slice) => slice.endpoints);
    const backends = [...new Set(endpoints.flatMap(({ addresses }) => addresses))];
    return { namespace, name, labels, selector, backends };
  });
}

const serviceOf = ({ metadata: { namespace, labels } }: EndpointSlice): string =>
  `${namespace}/${labels[SERVICE_NAME] ?? ''}`;
