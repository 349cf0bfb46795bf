import { addressText, BACKEND_STATE, type LbMaps } from '@ciliate/maps';
import { addrText, isIpv6, type L3n4Addr, PROTOCOL_NUMBERS } from './address.ts';
import type { BackendParams } from './backends.ts';
import type { LoadBalancerConfig } from './config.ts';
import { type DesiredFrontend, rangeText, type SourceRange } from './desired.ts';
import { IdAllocator } from './id_allocator.ts';
import { type MaglevSeeds, maglevSeeds, maglevTable } from './maglev/maglev.ts';

const MAX_REV_NAT_ID = 0xffff;
const MAX_BACKEND_ID = 0xffff_ffff;
const ALGORITHM_SHIFT = 24;

/** What the maps hold of a frontend; each part is told here as soon as it is written. */
interface WrittenFrontend {
  readonly frontend: L3n4Addr;
  readonly revNatId: number;
  /** `backend id, flags` of slots 1.. */
  readonly slots: string[];
  master: string | undefined;
  hasRevNat: boolean;
  /** Backend ids. */
  readonly affinity: Set<number>;
  readonly sourceRanges: Map<string, SourceRange>;
  /** The backends that the table was computed from. */
  maglev: string | undefined;
  /** Places of its backends. */
  backends: ReadonlySet<string>;
}

interface WrittenBackend {
  readonly id: number;
  readonly place: L3n4Addr;
  state: number | undefined;
  references: number;
}

/**
 * Brings frontends into the maps and out of them, and gives out their numbers. Only what differs is written, and in an
 * order in which the programs never meet half of a service: backends, slots, tables and the reverse way before the count
 * of the frontend; what it needs no more, after that. Source: pkg/loadbalancer/reconciler.
 */
export class FrontendWriter {
  readonly #maps: LbMaps;
  readonly #config: LoadBalancerConfig;
  readonly #seeds: MaglevSeeds;
  readonly #frontendIds = new IdAllocator('service', MAX_REV_NAT_ID);
  readonly #backendIds = new IdAllocator('backend', MAX_BACKEND_ID);
  readonly #frontends = new Map<string, WrittenFrontend>();
  readonly #backends = new Map<string, WrittenBackend>();

  /** @throws RangeError for a Maglev seed that is none */
  constructor(maps: LbMaps, config: LoadBalancerConfig) {
    this.#maps = maps;
    this.#config = config;
    this.#seeds = maglevSeeds(config.maglevHashSeed);
  }

  /** 1..65534; the same until the frontend is deleted. @throws LoadBalancerError EXHAUSTED */
  revNatId(frontend: L3n4Addr): number {
    return this.#frontendIds.acquire(addrText(frontend));
  }

  /** Of a backend that is written. */
  backendId(backend: L3n4Addr): number {
    return this.#backends.get(addrText(backend))!.id;
  }

  /**
   * Gives out the numbers that a frontend and its backends will have; a caller who writes several in an order of its own
   * does this first, in the order of the numbers. @throws LoadBalancerError EXHAUSTED
   */
  number({ frontend, backends }: DesiredFrontend): void {
    this.revNatId(frontend);
    for (const backend of backends) this.#backendIds.acquire(addrText(backend));
  }

  /** Takes back the numbers of what was not written. */
  releaseUnused(): void {
    this.#frontendIds.releaseAllBut(this.#frontends);
    this.#backendIds.releaseAllBut(this.#backends);
  }

  /** @throws MapError E2BIG, LoadBalancerError EXHAUSTED; what was written till then stays, and another try goes on */
  update(desired: DesiredFrontend): void {
    const written = this.#written(desired.frontend);
    const wanted = desired.backends.map((backend) => this.#backend(backend));
    const all = new Set([...written.backends, ...desired.backends.map(addrText)]);
    try {
      this.#refer(written, all);
      const ids = wanted.map((backend, i) => this.#writeBackend(backend, desired.backends[i]!));
      for (const [i, id] of ids.entries()) this.#writeSlot(written, i, id, desired.flags);
      this.#writeAffinity(written, desired, ids);
      if (hasTable(desired)) this.#writeMaglev(written, desired, ids);
      this.#writeSourceRanges(written, desired.sourceRanges);
      if (!written.hasRevNat) this.#maps.updateRevNat(written.revNatId, written.frontend);
      written.hasRevNat = true;
      this.#writeMaster(written, desired);
      this.#deleteSourceRanges(written, desired.sourceRanges);
      if (!hasTable(desired)) this.#deleteMaglev(written);
      while (written.slots.length > ids.length) {
        this.#maps.deleteService({ ...keyOf(written.frontend), slot: written.slots.length });
        written.slots.pop();
      }
      this.#refer(written, new Set(desired.backends.map(addrText)));
    } finally {
      this.#deleteUnused(all);
    }
  }

  delete(frontend: L3n4Addr): void {
    const place = addrText(frontend);
    const written = this.#frontends.get(place);
    if (written === undefined) return;
    const { revNatId, slots, affinity, sourceRanges, backends } = written;
    const ipv6 = isIpv6(frontend);
    for (let slot = 0; slot <= slots.length; slot++) this.#maps.deleteService({ ...keyOf(frontend), slot });
    this.#maps.deleteRevNat(revNatId, ipv6);
    for (const { address, bits } of sourceRanges.values()) this.#maps.deleteSourceRange(revNatId, address, bits);
    this.#deleteMaglev(written);
    for (const id of affinity) this.#maps.deleteAffinityMatch(revNatId, id);
    this.#refer(written, new Set());
    this.#deleteUnused(backends);
    this.#frontends.delete(place);
    this.#frontendIds.release(place);
  }

  #written(frontend: L3n4Addr): WrittenFrontend {
    const place = addrText(frontend);
    const known = this.#frontends.get(place);
    if (known !== undefined) return known;
    const fresh: WrittenFrontend = {
      ...{ frontend, revNatId: this.revNatId(frontend), slots: [], master: undefined, hasRevNat: false },
      ...{ affinity: new Set(), sourceRanges: new Map(), maglev: undefined, backends: new Set() },
    };
    this.#frontends.set(place, fresh);
    return fresh;
  }

  #backend(backend: L3n4Addr): WrittenBackend {
    const place = addrText(backend);
    const known = this.#backends.get(place);
    if (known !== undefined) return known;
    const fresh = { id: this.#backendIds.acquire(place), place: backend, state: undefined, references: 0 };
    this.#backends.set(place, fresh);
    return fresh;
  }

  #writeBackend(written: WrittenBackend, { address, port, protocol, state }: BackendParams): number {
    if (written.state === state) return written.id;
    this.#maps.updateBackend(written.id, { address, port, protocol: PROTOCOL_NUMBERS[protocol], state });
    written.state = state;
    return written.id;
  }

  #refer(written: WrittenFrontend, places: ReadonlySet<string>): void {
    for (const place of written.backends) this.#backends.get(place)!.references--;
    for (const place of places) this.#backends.get(place)!.references++;
    written.backends = places;
  }

  #writeSlot({ frontend, revNatId, slots }: WrittenFrontend, i: number, id: number, flags: number): void {
    const value = `${id} ${flags}`;
    if (slots[i] === value) return;
    this.#maps.updateService({ ...keyOf(frontend), slot: i + 1 }, { union: id, count: 0, qcount: 0, revNatId, flags });
    slots[i] = value;
  }

  #writeMaster(written: WrittenFrontend, { flags, algorithm, affinityTimeout = 0, backends, count }: DesiredFrontend) {
    const union = ((algorithm << ALGORITHM_SHIFT) | affinityTimeout) >>> 0;
    const value = { union, count, qcount: backends.length - count, revNatId: written.revNatId, flags };
    const text = Object.values(value).join(' ');
    if (written.master === text) return;
    this.#maps.updateService({ ...keyOf(written.frontend), slot: 0 }, value);
    written.master = text;
  }

  /** Only active backends keep their clients. */
  #writeAffinity({ revNatId, affinity }: WrittenFrontend, desired: DesiredFrontend, ids: readonly number[]): void {
    const isKept = (_: number, i: number): boolean =>
      desired.affinityTimeout !== undefined && desired.backends[i]!.state === BACKEND_STATE.active;
    const wanted = new Set(ids.filter(isKept));
    for (const id of wanted) {
      if (affinity.has(id)) continue;
      this.#maps.updateAffinityMatch(revNatId, id);
      affinity.add(id);
    }
    for (const id of affinity) {
      if (wanted.has(id)) continue;
      this.#maps.deleteAffinityMatch(revNatId, id);
      affinity.delete(id);
    }
  }

  #writeMaglev(written: WrittenFrontend, { backends, count }: DesiredFrontend, ids: readonly number[]): void {
    const chosen = backends.slice(0, count);
    const text = chosen.map((backend, i) => `${addrText(backend)}=${ids[i]}`).join();
    if (written.maglev === text) return;
    const infos = chosen.map(({ address, port, protocol }, i) => {
      return { id: ids[i]!, address: addressText(address), port, protocol };
    });
    const table = maglevTable(infos, { size: this.#config.maglevTableSize, seeds: this.#seeds });
    this.#maps.updateMaglev(written.revNatId, isIpv6(written.frontend), table);
    written.maglev = text;
  }

  #deleteMaglev(written: WrittenFrontend): void {
    if (written.maglev === undefined) return;
    this.#maps.deleteMaglev(written.revNatId, isIpv6(written.frontend));
    written.maglev = undefined;
  }

  #writeSourceRanges({ revNatId, sourceRanges }: WrittenFrontend, desired: readonly SourceRange[]): void {
    for (const range of desired) {
      if (sourceRanges.has(rangeText(range))) continue;
      this.#maps.updateSourceRange(revNatId, range.address, range.bits);
      sourceRanges.set(rangeText(range), range);
    }
  }

  #deleteSourceRanges({ revNatId, sourceRanges }: WrittenFrontend, desired: readonly SourceRange[]): void {
    const wanted = new Set(desired.map(rangeText));
    for (const [text, { address, bits }] of sourceRanges) {
      if (wanted.has(text)) continue;
      this.#maps.deleteSourceRange(revNatId, address, bits);
      sourceRanges.delete(text);
    }
  }

  #deleteUnused(places: Iterable<string>): void {
    for (const place of places) {
      const { id, place: backend, references } = this.#backends.get(place)!;
      if (references > 0) continue;
      this.#maps.deleteBackend(id, isIpv6(backend));
      this.#backends.delete(place);
      this.#backendIds.release(place);
    }
  }
}

const keyOf = ({ address, port, protocol, scope }: L3n4Addr) => ({
  ...{ address, port, scope, protocol: PROTOCOL_NUMBERS[protocol] },
});

const hasTable = ({ isMaglev, count }: DesiredFrontend): boolean => isMaglev && count > 0;
