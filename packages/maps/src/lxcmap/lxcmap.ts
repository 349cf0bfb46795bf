import { address6 } from '../address6.ts';
import { check, MapError } from '../errors.ts';
import { HashMap } from '../hash.ts';
import { type Address, type Memory, NULL } from '../memory.ts';
import { openPin, pinOrDestroy } from '../pinned_map.ts';
import { controlScratch } from '../scratch.ts';
import {
  ENDPOINT_INFO,
  ENDPOINT_KEY,
  endpointFlags,
  endpointIfindex,
  endpointLxcId,
  endpointMacAt,
  endpointNodeMacAt,
  endpointSecId,
  setEndpointKey4,
  setEndpointKey6,
} from './layout.ts';

export const LXC_MAP_NAME = 'cilium_lxc';
/** Not 65536. */
const MAX_ENTRIES = 65_535;
const MAC_BYTES = 6;
const FAMILY_IPV6 = 2;

export interface EndpointInfo {
  ifindex: number;
  /** Endpoint id, 1..4095. */
  lxcId: number;
  /** ENDPOINT_F_*. */
  flags: number;
  /** 6 bytes: the pod's own. */
  mac: Uint8Array;
  /** 6 bytes: of the host's end of its cable. */
  nodeMac: Uint8Array;
  secId: number;
}

/**
 * Local endpoints by address, pinned as `cilium_lxc`. Control plane: throws MapError. An IPv4 address is a host-order number,
 * an IPv6 address a bigint of 128 bits.
 */
export class LxcMap {
  readonly map: HashMap;
  private readonly memory: Memory;

  private constructor(map: HashMap) {
    this.map = map;
    this.memory = map.memory;
  }

  /** @throws MapError EEXIST, ENOMEM */
  static create(memory: Memory, maxEntries = MAX_ENTRIES): LxcMap {
    const spec = { keySize: ENDPOINT_KEY.size, valueSize: ENDPOINT_INFO.size, maxEntries, name: LXC_MAP_NAME };
    return new LxcMap(pinOrDestroy(HashMap.create(memory, spec)));
  }

  /** @throws MapError ENOENT */
  static open(memory: Memory): LxcMap {
    return new LxcMap(HashMap.attach(memory, openPin(memory, LXC_MAP_NAME)));
  }

  /** @throws MapError E2BIG; EINVAL if an address of the link layer is not 6 bytes */
  upsert(ip: number | bigint, info: EndpointInfo): void {
    if (info.mac.length !== MAC_BYTES || info.nodeMac.length !== MAC_BYTES) {
      throw new MapError('EINVAL', 'cilium_lxc: a MAC address has 6 bytes', { ip, lxcId: info.lxcId });
    }
    const m = this.memory;
    const { key, value } = controlScratch(m);
    setKey(m, key, ip);
    m.u32[(value + ENDPOINT_INFO.ifindex) >> 2] = info.ifindex;
    m.u16[(value + ENDPOINT_INFO.lxc_id) >> 1] = info.lxcId;
    m.u32[(value + ENDPOINT_INFO.flags) >> 2] = info.flags;
    m.u8.set(info.mac, endpointMacAt(value));
    m.u8.set(info.nodeMac, endpointNodeMacAt(value));
    m.u32[(value + ENDPOINT_INFO.sec_id) >> 2] = info.secId;
    check(this.map.update(key, value), 'cilium_lxc: upsert', { ip, lxcId: info.lxcId });
  }

  /** @throws MapError ENOENT */
  delete(ip: number | bigint): void {
    const { key } = controlScratch(this.memory);
    setKey(this.memory, key, ip);
    check(this.map.delete(key), 'cilium_lxc: delete', { ip });
  }

  get(ip: number | bigint): EndpointInfo | undefined {
    const { key } = controlScratch(this.memory);
    setKey(this.memory, key, ip);
    const at = this.map.lookup(key);
    return at === NULL ? undefined : readEndpointInfo(this.memory, at);
  }

  /** In no particular order. */
  entries(): (EndpointInfo & { ip: number | bigint })[] {
    const m = this.memory;
    return this.map.entries().map(({ key, value }) => ({ ip: readIp(m, key), ...readEndpointInfo(m, value) }));
  }
}

function setKey(m: Memory, at: Address, ip: number | bigint): void {
  if (typeof ip === 'bigint') setEndpointKey6(m, at, ip);
  else setEndpointKey4(m, at, ip);
}

const readIp = (m: Memory, key: Address): number | bigint =>
  m.u8[key + ENDPOINT_KEY.family] === FAMILY_IPV6
    ? address6(m, key + ENDPOINT_KEY.ip4)
    : m.view.getUint32(key + ENDPOINT_KEY.ip4);

export function readEndpointInfo(m: Memory, at: Address): EndpointInfo {
  const mac = endpointMacAt(at);
  const nodeMac = endpointNodeMacAt(at);
  return {
    ifindex: endpointIfindex(m, at),
    lxcId: endpointLxcId(m, at),
    flags: endpointFlags(m, at),
    mac: new Uint8Array(m.u8.slice(mac, mac + MAC_BYTES)),
    nodeMac: new Uint8Array(m.u8.slice(nodeMac, nodeMac + MAC_BYTES)),
    secId: endpointSecId(m, at),
  };
}
