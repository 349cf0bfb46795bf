import type { EndpointSlice, Service } from '@ciliate/k8s';
import { LB_LOOKUP_SCOPE_INT, type LbMaps } from '@ciliate/maps';
import { addrText } from './address.ts';
import { type BackendParams, backendsOfSlice, mergeBackends, SERVICE_NAME_LABEL } from './backends.ts';
import { DEFAULT_LOAD_BALANCER_CONFIG, type LoadBalancerConfig } from './config.ts';
import { type DesiredFrontend, desiredFrontends } from './desired.ts';
import { type ServiceEntry, serviceEntries } from './entries.ts';
import { ServiceError } from './errors.ts';
import { FrontendWriter } from './frontend_writer.ts';
import type { FrontendParams } from './frontends.ts';

type Plan = readonly { readonly name: string; readonly desired: readonly DesiredFrontend[] }[];

interface SliceBackends {
  /** `namespace/name` of the service. */
  readonly service: string;
  readonly backends: readonly BackendParams[];
}

/**
 * The services of a cluster in the load balancer's maps. Objects are told one by one as they come, change and go;
 * `reconcile` writes what follows from all of them, and nothing else.
 *
 * Numbers are given out as Cilium does (`IdAllocator`), for the services that changed since the last time in the order of
 * their names, for the frontends of each in the order of their addresses.
 */
export class ServiceManager {
  readonly #config: LoadBalancerConfig;
  readonly #writer: FrontendWriter;
  readonly #services = new Map<string, Service>();
  readonly #slices = new Map<string, SliceBackends>();
  /** Slices by service. */
  readonly #slicesOf = new Map<string, Set<string>>();
  /** What each service has in the maps, or may have after an error: frontends by place. */
  readonly #frontendsOf = new Map<string, Map<string, FrontendParams>>();
  /** The service that each of them is of. */
  readonly #owners = new Map<string, string>();
  readonly #entriesOf = new Map<string, readonly ServiceEntry[]>();
  /** Services to look at. */
  readonly #changed = new Set<string>();
  #entries: readonly ServiceEntry[] | undefined;

  /** @throws RangeError for a Maglev seed that is none */
  constructor(maps: LbMaps, config: Partial<LoadBalancerConfig> = {}) {
    this.#config = { ...DEFAULT_LOAD_BALANCER_CONFIG, ...config };
    this.#writer = new FrontendWriter(maps, this.#config);
  }

  /** The frontends that have an address, as they are in the maps: by names of services, then in their own order. */
  get entries(): readonly ServiceEntry[] {
    this.#entries ??= [...this.#entriesOf.keys()].sort().flatMap((name) => this.#entriesOf.get(name)!);
    return this.#entries;
  }

  upsertService(service: Service): void {
    const name = nameOf(service);
    this.#services.set(name, service);
    this.#changed.add(name);
  }

  deleteService(namespace: string, name: string): void {
    this.#services.delete(`${namespace}/${name}`);
    this.#changed.add(`${namespace}/${name}`);
  }

  upsertEndpointSlice(slice: EndpointSlice): void {
    const { namespace, labels } = slice.metadata;
    this.deleteEndpointSlice(namespace, slice.metadata.name);
    const service = `${namespace}/${labels[SERVICE_NAME_LABEL] ?? ''}`;
    this.#slices.set(nameOf(slice), { service, backends: backendsOfSlice(slice) });
    const slices = this.#slicesOf.get(service) ?? new Set();
    this.#slicesOf.set(service, slices.add(nameOf(slice)));
    this.#changed.add(service);
  }

  deleteEndpointSlice(namespace: string, name: string): void {
    const slice = this.#slices.get(`${namespace}/${name}`);
    if (slice === undefined) return;
    this.#slices.delete(`${namespace}/${name}`);
    this.#slicesOf.get(slice.service)!.delete(`${namespace}/${name}`);
    this.#changed.add(slice.service);
  }

  /**
   * Brings the maps up to date.
   * @throws ServiceError if two services claim one frontend: the one that has it keeps it, the other stays as it is in the
   * maps, and all else is written; MapError, LoadBalancerError EXHAUSTED: another try goes on where this one ended
   */
  reconcile(): void {
    const changed = [...this.#changed].sort().map((name) => ({ name, desired: this.#desired(name) }));
    const { plan, refusal } = this.#settleClaims(changed);
    const places = new Set(plan.flatMap(({ desired }) => desired.map(({ frontend }) => addrText(frontend))));
    try {
      this.#write(plan);
    } catch (error) {
      this.#writer.releaseUnused();
      throw error;
    }
    for (const { name, desired } of plan) {
      for (const [place, frontend] of this.#frontendsOf.get(name)!) {
        if (!places.has(place)) this.#delete(place, frontend, name);
      }
      const service = this.#services.get(name);
      if (service === undefined) this.#entriesOf.delete(name);
      else this.#entriesOf.set(name, serviceEntries(service, desired, this.#writer));
      if (desired.length === 0) this.#frontendsOf.delete(name);
      else this.#frontendsOf.set(name, new Map(desired.map(({ frontend }) => [addrText(frontend), frontend])));
      this.#changed.delete(name);
    }
    this.#entries = undefined;
    if (refusal !== undefined) throw refusal;
  }

  #write(plan: Plan): void {
    for (const { name, desired } of plan) {
      const own = this.#frontendsOf.get(name) ?? new Map<string, FrontendParams>();
      this.#frontendsOf.set(name, own);
      for (const { frontend } of desired) {
        own.set(addrText(frontend), frontend);
        this.#owners.set(addrText(frontend), name);
      }
    }
    const all = plan.flatMap(({ desired }) => desired);
    for (const one of all) this.#writer.number(one);
    // The flag of two scopes on the external frontend sends clients to the internal one.
    for (const one of all) if (isInternal(one)) this.#writer.update(one);
    for (const one of all) if (!isInternal(one)) this.#writer.update(one);
  }

  #delete(place: string, frontend: FrontendParams, service: string): void {
    if (this.#owners.get(place) !== service) return; // another's by now
    this.#writer.delete(frontend);
    this.#owners.delete(place);
  }

  #desired(name: string): DesiredFrontend[] {
    const service = this.#services.get(name);
    if (service === undefined) return [];
    const slices = [...(this.#slicesOf.get(name) ?? [])].sort();
    const backends = mergeBackends(slices.map((slice) => this.#slices.get(slice)!.backends));
    return desiredFrontends(service, backends, this.#config);
  }

  /** @returns what can be written, and why a service is not part of it */
  #settleClaims(changed: Plan): { plan: Plan; refusal: ServiceError | undefined } {
    let plan = changed;
    let refusal: ServiceError | undefined;
    // Who is refused keeps what it has, which others may have counted on.
    for (let found = this.#conflictIn(plan); found !== undefined; found = this.#conflictIn(plan)) {
      const { name, place, other } = found;
      const { position } = this.#services.get(name)!;
      refusal ??= new ServiceError(position, `${place} of Service ${name} belongs to Service ${other} already`);
      plan = plan.filter((one) => one.name !== name);
    }
    return { plan, refusal };
  }

  #conflictIn(plan: Plan): { name: string; place: string; other: string } | undefined {
    const names = new Set(plan.map(({ name }) => name));
    const claimed = new Map<string, string>();
    for (const { name, desired } of plan) {
      for (const { frontend } of desired) {
        const place = addrText(frontend);
        const owner = this.#owners.get(place);
        const other = claimed.get(place) ?? (owner === undefined || names.has(owner) ? undefined : owner);
        if (other !== undefined && other !== name) return { name, place, other };
        claimed.set(place, name);
      }
    }
    return undefined;
  }
}

const nameOf = ({ metadata: { namespace, name } }: Service | EndpointSlice): string => `${namespace}/${name}`;
const isInternal = ({ frontend }: DesiredFrontend): boolean => frontend.scope === LB_LOOKUP_SCOPE_INT;
