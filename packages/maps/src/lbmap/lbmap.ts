import { check, MapError } from '../errors.ts';
import { HashMap } from '../hash.ts';
import { type Address, type Memory, NULL } from '../memory.ts';
import { openPin, pinOrDestroy } from '../pinned_map.ts';
import { controlScratch } from '../scratch.ts';
import {
  LB4_BACKEND,
  LB4_KEY,
  LB4_REVERSE_NAT,
  LB4_SERVICE,
  lb4BackendAddress,
  lb4BackendId,
  lb4BackendPort,
  lb4BackendProto,
  lb4Count,
  lb4RevNatIndex,
  setLb4Key,
  setLb4RevNatKey,
} from './layout.ts';

export const LB4_SERVICES_MAP_NAME = 'cilium_lb4_services_v2';
export const LB4_BACKENDS_MAP_NAME = 'cilium_lb4_backends_v3';
export const LB4_REVERSE_NAT_MAP_NAME = 'cilium_lb4_reverse_nat';
const MAX_ENTRIES = 65_536;

/** Address and port host order; protocol: IP protocol number. */
export interface LbFrontend {
  address: number;
  port: number;
  protocol: number;
}
export interface LbBackend extends LbFrontend {
  /** 1.. */
  id: number;
}
export interface LbService extends LbFrontend {
  /** 1..65535, host order. */
  revNatId: number;
  /** In the order of their slots. */
  backends: LbBackend[];
}

/**
 * ClusterIP services of IPv4: the three maps that the datapath translates by, pinned. Control plane: throws MapError.
 * A service is keyed by its protocol, as Cilium's default configuration does (protocol differentiation on). No flag of
 * `LB4_SERVICE` is set yet: no other kind of service, no affinity, no L7 load balancer, no quarantined backend.
 */
export class LbMaps {
  readonly services: HashMap;
  readonly backends: HashMap;
  readonly revNat: HashMap;
  private readonly memory: Memory;

  private constructor(services: HashMap, backends: HashMap, revNat: HashMap) {
    this.services = services;
    this.backends = backends;
    this.revNat = revNat;
    this.memory = services.memory;
  }

  /** @throws MapError EEXIST, ENOMEM */
  static create(memory: Memory, maxEntries = MAX_ENTRIES): LbMaps {
    const create = (name: string, keySize: number, valueSize: number): HashMap =>
      pinOrDestroy(HashMap.create(memory, { name, keySize, valueSize, maxEntries }));
    return new LbMaps(
      create(LB4_SERVICES_MAP_NAME, LB4_KEY.size, LB4_SERVICE.size),
      create(LB4_BACKENDS_MAP_NAME, 4, LB4_BACKEND.size),
      create(LB4_REVERSE_NAT_MAP_NAME, 2, LB4_REVERSE_NAT.size),
    );
  }

  /** @throws MapError ENOENT */
  static open(memory: Memory): LbMaps {
    const open = (name: string): HashMap => HashMap.attach(memory, openPin(memory, name));
    return new LbMaps(open(LB4_SERVICES_MAP_NAME), open(LB4_BACKENDS_MAP_NAME), open(LB4_REVERSE_NAT_MAP_NAME));
  }

  /**
   * Writes backends, slots, reverse NAT and at last the frontend, so that the datapath never counts a slot that is not
   * there; then removes what the service no longer uses.
   * @throws MapError E2BIG; EINVAL for an id of 0
   */
  upsertService(service: LbService): void {
    const { revNatId, backends } = service;
    if (revNatId === 0 || backends.some(({ id }) => id === 0)) {
      throw new MapError('EINVAL', 'lb: an id of a service or backend is 1 or more', { revNatId });
    }
    const before = this.slotsOf(service);
    for (const backend of backends) this.writeBackend(backend);
    backends.forEach(({ id }, i) => {
      this.writeSlot(service, i + 1, id, 0);
    });
    this.writeRevNat(service);
    this.writeSlot(service, 0, 0, backends.length);
    for (let slot = backends.length + 1; slot <= before.length; slot++) this.deleteSlot(service, slot);
    this.deleteUnused(before);
  }

  /** @throws MapError ENOENT */
  deleteService(frontend: LbFrontend): void {
    const m = this.memory;
    const at = this.slot(frontend, 0);
    const { address, port, protocol } = frontend;
    if (at === NULL) throw new MapError('ENOENT', 'lb: no such service', { address, port, protocol });
    const before = this.slotsOf(frontend);
    const revNatId = lb4RevNatIndex(m, at);
    for (let slot = 0; slot <= before.length; slot++) this.deleteSlot(frontend, slot);
    const { key } = controlScratch(m);
    setLb4RevNatKey(m, key, revNatId);
    check(this.revNat.delete(key), 'lb: delete reverse NAT', { revNatId });
    this.deleteUnused(before);
  }

  /** In no particular order. */
  entries(): LbService[] {
    const m = this.memory;
    const frontends = this.services
      .entries()
      .filter(({ key }) => m.u16[(key + LB4_KEY.backend_slot) >> 1] === 0)
      .map(({ key, value }) => ({
        address: m.view.getUint32(key + LB4_KEY.address),
        port: m.view.getUint16(key + LB4_KEY.dport),
        protocol: m.u8[key + LB4_KEY.proto]!,
        revNatId: lb4RevNatIndex(m, value),
      }));
    return frontends.map((frontend) => ({
      ...frontend,
      backends: this.slotsOf(frontend).map((id) => this.readBackend(id)),
    }));
  }

  /** Backend ids by slot, from slot 1; empty if the service is not there. */
  private slotsOf(frontend: LbFrontend): number[] {
    const at = this.slot(frontend, 0);
    const count = at === NULL ? 0 : lb4Count(this.memory, at);
    return Array.from({ length: count }, (_, i) => lb4BackendId(this.memory, this.slot(frontend, i + 1)));
  }

  private slot({ address, port, protocol }: LbFrontend, slot: number): Address {
    const { key } = controlScratch(this.memory);
    setLb4Key(this.memory, key, address, port, protocol, slot);
    return this.services.lookup(key);
  }

  private readBackend(id: number): LbBackend {
    const m = this.memory;
    const { key } = controlScratch(m);
    m.u32[key >> 2] = id;
    const at = this.backends.lookup(key);
    if (at === NULL) throw new MapError('ENOENT', 'lb: a slot names a backend that is not there', { id });
    return {
      id,
      address: lb4BackendAddress(m, at),
      port: lb4BackendPort(m, at),
      protocol: lb4BackendProto(m, at),
    };
  }

  private writeBackend({ id, address, port, protocol }: LbBackend): void {
    const m = this.memory;
    const { key, value } = controlScratch(m);
    m.u32[key >> 2] = id;
    m.view.setUint32(value + LB4_BACKEND.address, address);
    m.view.setUint16(value + LB4_BACKEND.port, port);
    m.u8[value + LB4_BACKEND.proto] = protocol;
    check(this.backends.update(key, value), 'lb: write backend', { id });
  }

  private writeSlot(service: LbService, slot: number, backendId: number, count: number): void {
    const m = this.memory;
    const { address, port, protocol, revNatId } = service;
    const { key, value } = controlScratch(m);
    setLb4Key(m, key, address, port, protocol, slot);
    m.u32[(value + LB4_SERVICE.backend_id) >> 2] = backendId;
    m.u16[(value + LB4_SERVICE.count) >> 1] = count;
    m.view.setUint16(value + LB4_SERVICE.rev_nat_index, revNatId);
    check(this.services.update(key, value), 'lb: write service', { address, port, protocol, slot });
  }

  private writeRevNat({ address, port, revNatId }: LbService): void {
    const m = this.memory;
    const { key, value } = controlScratch(m);
    setLb4RevNatKey(m, key, revNatId);
    m.view.setUint32(value + LB4_REVERSE_NAT.address, address);
    m.view.setUint16(value + LB4_REVERSE_NAT.port, port);
    check(this.revNat.update(key, value), 'lb: write reverse NAT', { revNatId });
  }

  private deleteSlot({ address, port, protocol }: LbFrontend, slot: number): void {
    const { key } = controlScratch(this.memory);
    setLb4Key(this.memory, key, address, port, protocol, slot);
    check(this.services.delete(key), 'lb: delete service', { address, port, protocol, slot });
  }

  /** Removes those of the backends that no service's slot names any more. */
  private deleteUnused(ids: number[]): void {
    if (ids.length === 0) return;
    const m = this.memory;
    const used = new Set(this.services.entries().map(({ value }) => lb4BackendId(m, value)));
    for (const id of new Set(ids)) {
      if (used.has(id)) continue;
      const { key } = controlScratch(m);
      m.u32[key >> 2] = id;
      check(this.backends.delete(key), 'lb: delete backend', { id });
    }
  }
}
