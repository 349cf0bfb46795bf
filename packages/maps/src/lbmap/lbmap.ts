import { ArrayMap } from '../array.ts';
import { CILIUM_MAPS } from '../cilium_maps.ts';
import { createMap } from '../create_map.ts';
import { check, ENOENT, type MapErrorContext } from '../errors.ts';
import type { BpfMap } from '../map.ts';
import type { Address, Memory } from '../memory.ts';
import { openMap } from '../open_map.ts';
import { openPin, pinOrDestroy } from '../pinned_map.ts';
import { controlScratch } from '../scratch.ts';
import { addressText } from '../text.ts';
import { LB4_BACKEND, LB4_KEY, LB4_REVERSE_NAT, LB4_SERVICE } from './layout.ts';
import { LB_AFFINITY_MATCH } from './layout_affinity.ts';
import { LB4_SRC_RANGE_KEY } from './layout_source_range.ts';
import { LB6_BACKEND, LB6_KEY, LB6_REVERSE_NAT } from './layout6.ts';

/** The maps that the agent alone writes; client affinity is the workers'. */
const OF_A_FAMILY = ['services_v2', 'backends_v3', 'reverse_nat', 'source_range', 'maglev'] as const;
const AFFINITY_MATCH = 'cilium_lb_affinity_match';
type Name = keyof typeof CILIUM_MAPS;
const nameOf = (isIpv6: boolean, name: (typeof OF_A_FAMILY)[number]): Name => `cilium_lb${isIpv6 ? 6 : 4}_${name}`;
const NAMES: readonly Name[] = [false, true].flatMap((isIpv6) => OF_A_FAMILY.map((name) => nameOf(isIpv6, name)));

/** Bits of reverse NAT id and padding in front of a source range's address. */
const SOURCE_RANGE_STATIC_BITS = 32;

/** `address` has 4 or 16 bytes in the order of the wire, and with its length says which family's map is meant; port host order. */
export interface LbAddress {
  address: Uint8Array;
  port: number;
}

export interface LbServiceKey extends LbAddress {
  /** IP protocol number. */
  protocol: number;
  /** LB_LOOKUP_SCOPE_*. */
  scope: number;
  /** 0: the frontend; 1..: its backends. */
  slot: number;
}

export interface LbServiceValue {
  /** Of a backend's slot its id; of slot 0 the algorithm in the upper 8 bits and the timeout of affinity, seconds, in the others. */
  union: number;
  /** Backends to choose from, and those that are there besides; of slot 0. */
  count: number;
  qcount: number;
  /** 1..65535. */
  revNatId: number;
  /** Bits of SERVICE_FLAG. */
  flags: number;
}

export interface LbBackend extends LbAddress {
  /** IP protocol number. */
  protocol: number;
  /** One of BACKEND_STATE. */
  state: number;
}

export interface LbMapsOptions {
  /** Of each map; by default Cilium's. */
  maxEntries?: number;
  /** Slots of a Maglev table; by default those of Cilium's largest. */
  maglevTableSize?: number;
}

/**
 * The load balancer's maps of both families, entry by entry, as pkg/loadbalancer/maps has them. Control plane: throws
 * MapError (E2BIG when a map is full). What is deleted need not be there.
 */
export class LbMaps {
  readonly #memory: Memory;
  readonly #maps: ReadonlyMap<Name, BpfMap>;

  private constructor(memory: Memory, maps: readonly BpfMap[]) {
    this.#memory = memory;
    this.#maps = new Map(maps.map((map, i) => [[...NAMES, AFFINITY_MATCH][i] as Name, map]));
  }

  /** @throws MapError EEXIST, ENOMEM */
  static create(memory: Memory, { maxEntries, maglevTableSize }: LbMapsOptions = {}): LbMaps {
    const create = (name: Name): BpfMap => {
      const { type, keySize, valueSize, inner, ...spec } = CILIUM_MAPS[
        name
      ] as (typeof CILIUM_MAPS)['cilium_lb4_maglev'];
      const table = inner && maglevTableSize !== undefined ? { ...inner, valueSize: 4 * maglevTableSize } : inner;
      const sizes = { keySize, valueSize, maxEntries: maxEntries ?? spec.maxEntries };
      return pinOrDestroy(createMap(memory, type, { name, ...sizes }, table));
    };
    return new LbMaps(memory, [...NAMES, AFFINITY_MATCH as Name].map(create));
  }

  /** @throws MapError ENOENT */
  static open(memory: Memory): LbMaps {
    const open = (name: Name): BpfMap => openMap(memory, openPin(memory, name));
    return new LbMaps(memory, [...NAMES, AFFINITY_MATCH as Name].map(open));
  }

  updateService(service: LbServiceKey, { union, count, qcount, revNatId, flags }: LbServiceValue): void {
    const m = this.#memory;
    const { key, value } = this.#serviceKey(service);
    m.u32[(value + LB4_SERVICE.backend_id) >> 2] = union;
    m.u16[(value + LB4_SERVICE.count) >> 1] = count;
    m.view.setUint16(value + LB4_SERVICE.rev_nat_index, revNatId);
    m.u16[(value + LB4_SERVICE.flags) >> 1] = flags;
    m.u16[(value + LB4_SERVICE.qcount) >> 1] = qcount;
    this.#update(nameOf(isIpv6(service), 'services_v2'), key, value, placeOf(service));
  }

  deleteService(service: LbServiceKey): void {
    this.#delete(nameOf(isIpv6(service), 'services_v2'), this.#serviceKey(service).key, placeOf(service));
  }

  updateBackend(id: number, backend: LbBackend): void {
    const m = this.#memory;
    const layout = isIpv6(backend) ? LB6_BACKEND : LB4_BACKEND;
    const { key, value } = this.#idKey(id);
    m.u8.set(backend.address, value + layout.address);
    m.view.setUint16(value + layout.port, backend.port);
    m.u8[value + layout.proto] = backend.protocol;
    m.u8[value + layout.flags] = backend.state;
    this.#update(nameOf(isIpv6(backend), 'backends_v3'), key, value, { id });
  }

  deleteBackend(id: number, ipv6: boolean): void {
    this.#delete(nameOf(ipv6, 'backends_v3'), this.#idKey(id).key, { id });
  }

  updateRevNat(revNatId: number, frontend: LbAddress): void {
    const m = this.#memory;
    const layout = isIpv6(frontend) ? LB6_REVERSE_NAT : LB4_REVERSE_NAT;
    const { key, value } = this.#revNatKey(revNatId);
    m.u8.set(frontend.address, value + layout.address);
    m.view.setUint16(value + layout.port, frontend.port);
    this.#update(nameOf(isIpv6(frontend), 'reverse_nat'), key, value, { revNatId });
  }

  deleteRevNat(revNatId: number, ipv6: boolean): void {
    this.#delete(nameOf(ipv6, 'reverse_nat'), this.#revNatKey(revNatId).key, { revNatId });
  }

  /** A client that had this backend of the service may keep it. */
  updateAffinityMatch(revNatId: number, backendId: number): void {
    const { key, value } = this.#affinityKey(revNatId, backendId);
    this.#update(AFFINITY_MATCH, key, value, { revNatId, backendId });
  }

  deleteAffinityMatch(revNatId: number, backendId: number): void {
    this.#delete(AFFINITY_MATCH, this.#affinityKey(revNatId, backendId).key, { revNatId, backendId });
  }

  /** @param bits length of the prefix; what follows it in the address is kept */
  updateSourceRange(revNatId: number, address: Uint8Array, bits: number): void {
    const { key, value } = this.#sourceRangeKey(revNatId, address, bits);
    this.#update(nameOf(isIpv6({ address }), 'source_range'), key, value, { revNatId });
  }

  deleteSourceRange(revNatId: number, address: Uint8Array, bits: number): void {
    const { key } = this.#sourceRangeKey(revNatId, address, bits);
    this.#delete(nameOf(isIpv6({ address }), 'source_range'), key, { revNatId });
  }

  /** @param table of backend ids; as long as the maps were created for, or EINVAL */
  updateMaglev(revNatId: number, ipv6: boolean, table: Uint32Array): void {
    const m = this.#memory;
    const inner = ArrayMap.create(m, { keySize: 4, valueSize: 4 * table.length, maxEntries: 1 });
    const { key, value } = this.#revNatKey(revNatId);
    m.u32[value >> 2] = 0;
    m.u32.set(table, inner.lookup(value) >> 2);
    m.u32[value >> 2] = inner.address;
    try {
      this.#update(nameOf(ipv6, 'maglev'), key, value, { revNatId, slots: table.length });
    } finally {
      inner.destroy(); // lives on in the outer map
    }
  }

  deleteMaglev(revNatId: number, ipv6: boolean): void {
    this.#delete(nameOf(ipv6, 'maglev'), this.#revNatKey(revNatId).key, { revNatId });
  }

  #serviceKey(service: LbServiceKey): Scratch {
    const m = this.#memory;
    const { key, value } = controlScratch(m);
    const layout = isIpv6(service) ? LB6_KEY : LB4_KEY;
    m.u8.set(service.address, key + layout.address);
    m.view.setUint16(key + layout.dport, service.port);
    m.u16[(key + layout.backend_slot) >> 1] = service.slot;
    m.u8[key + layout.proto] = service.protocol;
    m.u8[key + layout.scope] = service.scope;
    return { key, value };
  }

  #idKey(id: number): Scratch {
    const scratch = controlScratch(this.#memory);
    this.#memory.u32[scratch.key >> 2] = id;
    return scratch;
  }

  #revNatKey(revNatId: number): Scratch {
    const scratch = controlScratch(this.#memory);
    this.#memory.view.setUint16(scratch.key, revNatId);
    return scratch;
  }

  #affinityKey(revNatId: number, backendId: number): Scratch {
    const m = this.#memory;
    const scratch = controlScratch(m);
    m.u32[(scratch.key + LB_AFFINITY_MATCH.backend_id) >> 2] = backendId;
    m.view.setUint16(scratch.key + LB_AFFINITY_MATCH.rev_nat_id, revNatId);
    return scratch;
  }

  #sourceRangeKey(revNatId: number, address: Uint8Array, bits: number): Scratch {
    const m = this.#memory;
    const scratch = controlScratch(m);
    m.u32[(scratch.key + LB4_SRC_RANGE_KEY.prefixlen) >> 2] = SOURCE_RANGE_STATIC_BITS + bits;
    m.view.setUint16(scratch.key + LB4_SRC_RANGE_KEY.rev_nat_id, revNatId);
    m.u8.set(address, scratch.key + LB4_SRC_RANGE_KEY.addr);
    return scratch;
  }

  #update(name: Name, key: Address, value: Address, context: MapErrorContext): void {
    check(this.#maps.get(name)!.update(key, value), `${name}: update`, context);
  }

  #delete(name: Name, key: Address, context: MapErrorContext): void {
    const result = this.#maps.get(name)!.delete(key);
    if (result !== -ENOENT) check(result, `${name}: delete`, context);
  }
}

interface Scratch {
  readonly key: Address;
  readonly value: Address;
}

const isIpv6 = ({ address }: Pick<LbAddress, 'address'>): boolean => address.length === 16;

const placeOf = ({ address, port, protocol, slot }: LbServiceKey): MapErrorContext => ({
  address: addressText(address),
  port,
  protocol,
  slot,
});
