import { isDeepStrictEqual } from 'node:util';
import type { EndpointSlice, ObjectStore, Pod, Service } from '@ciliate/k8s';
import {
  DEFAULT_MAGLEV_SIZE,
  SERVICE_NAME_LABEL,
  type ServiceEntry,
  ServiceManager,
  slicesOfPods,
} from '@ciliate/loadbalancer';
import { LbMaps, type Memory } from '@ciliate/maps';
import { formatIp, type IpAddress } from '@ciliate/packet';
import type { ServiceView } from '@ciliate/policy';
import type { Families } from './families.ts';

interface ServicesOptions {
  nodeName: string;
  nodeAddresses: readonly IpAddress[];
  families: Families;
  /** Pods that say so are on other nodes. */
  hasOtherNodes: boolean;
}

/** The services of the cluster in the load balancer's maps. */
export class Services {
  readonly #manager: ServiceManager;
  /** What the manager was told, by `namespace/name`. */
  readonly #services = new Map<string, Service>();
  #slices: ReadonlyMap<string, EndpointSlice> = new Map();

  readonly #hasOtherNodes: boolean;

  constructor(memory: Memory, { nodeName, nodeAddresses, families, hasOtherNodes }: ServicesOptions) {
    this.#hasOtherNodes = hasOtherNodes;
    const maps = LbMaps.create(memory, { maglevTableSize: DEFAULT_MAGLEV_SIZE });
    this.#manager = new ServiceManager(maps, { ...families, nodeName, nodePortAddresses: nodeAddresses.map(formatIp) });
  }

  /** As in the maps. */
  get entries(): readonly ServiceEntry[] {
    return this.#manager.entries;
  }

  /** Writes what changed in the store since the last time. @throws ServiceError and changes nothing */
  update(store: ObjectStore): void {
    this.#tellServices(new Map(store.list('Service').map((service) => [nameOf(service), service])));
    const slices = [...backingSlices(store, this.#hasOtherNodes).values()].flat();
    this.#tellSlices(new Map(slices.map((slice) => [nameOf(slice), slice])));
    this.#manager.reconcile();
  }

  #tellServices(now: ReadonlyMap<string, Service>): void {
    for (const [name, { metadata }] of this.#services) {
      if (now.has(name)) continue;
      this.#manager.deleteService(metadata.namespace, metadata.name);
      this.#services.delete(name);
    }
    for (const [name, service] of now) {
      if (this.#services.get(name) === service) continue; // the store never changes an object
      this.#manager.upsertService(service);
      this.#services.set(name, service);
    }
  }

  #tellSlices(now: ReadonlyMap<string, EndpointSlice>): void {
    for (const [name, { metadata }] of this.#slices)
      if (!now.has(name)) this.#manager.deleteEndpointSlice(metadata.namespace, metadata.name);
    for (const [name, slice] of now)
      if (!isDeepStrictEqual(this.#slices.get(name), slice)) this.#manager.upsertEndpointSlice(slice);
    this.#slices = now;
  }
}

/**
 * Who serves each service, by its `namespace/name`: what its EndpointSlices say, if there are any, else the pods that it
 * selects.
 * @param tellsNodes which node a pod is on makes a difference
 */
export function backingSlices(store: ObjectStore, tellsNodes = false): Map<string, EndpointSlice[]> {
  const found = Map.groupBy(store.list('EndpointSlice'), serviceOf);
  const pods = podsByLabel(store);
  for (const service of store.list('Service')) {
    const labels = Object.entries(service.spec.selector ?? {});
    if (found.has(nameOf(service)) || labels.length === 0) continue;
    const candidates = labels.map((label) => pods.get(labelText(service.metadata.namespace, label)) ?? []);
    const fewest = candidates.reduce((least, one) => (one.length < least.length ? one : least));
    found.set(nameOf(service), slicesOfPods(service, fewest, tellsNodes));
  }
  return found;
}

/** So that a service need not look at every pod. */
function podsByLabel(store: ObjectStore): Map<string, Pod[]> {
  const found = new Map<string, Pod[]>();
  for (const pod of store.list('Pod')) {
    for (const label of Object.entries(pod.metadata.labels)) {
      const text = labelText(pod.metadata.namespace, label);
      const pods = found.get(text);
      if (pods === undefined) found.set(text, [pod]);
      else pods.push(pod);
    }
  }
  return found;
}

const labelText = (namespace: string, [key, value]: [string, string]): string => `${namespace}/${key}=${value}`;

/** Services as `toServices` in rules looks at them; those without a selector have the addresses that slices tell. */
export function serviceViewsOf(store: ObjectStore): ServiceView[] {
  const slices = Map.groupBy(store.list('EndpointSlice'), serviceOf);
  return store.list('Service').map(({ metadata: { namespace, name, labels }, spec: { selector } }) => {
    const endpoints = (slices.get(`${namespace}/${name}`) ?? []).flatMap((slice) => slice.endpoints);
    const backends = [...new Set(endpoints.flatMap(({ addresses }) => addresses))];
    return { namespace, name, labels, selector, backends };
  });
}

const nameOf = ({ metadata: { namespace, name } }: Service | EndpointSlice): string => `${namespace}/${name}`;

const serviceOf = ({ metadata: { namespace, labels } }: EndpointSlice): string =>
  `${namespace}/${labels[SERVICE_NAME_LABEL] ?? ''}`;
