import { setAddress6 } from '../address6.ts';
import type { Address, Memory } from '../memory.ts';

/** `struct endpoint_key`, 20 bytes. ip4 be32, or ip6, 16 bytes; family 1 = IPv4, 2 = IPv6; key u8; cluster_id u16. Source: bpf/lib/eps.h. */
export const ENDPOINT_KEY = { size: 20, ip4: 0, family: 16, key: 17, cluster_id: 18 } as const;

/**
 * `struct endpoint_info`, 48 bytes. ifindex, flags, sec_id, parent_ifindex u32; lxc_id u16; mac, node_mac: 6 bytes in
 * the order of the wire, then 2 of padding. Source: bpf/lib/eps.h.
 */
export const ENDPOINT_INFO = {
  size: 48,
  ifindex: 0,
  unused: 4,
  lxc_id: 6,
  flags: 8,
  mac: 16,
  node_mac: 24,
  sec_id: 32,
  parent_ifindex: 36,
  pad: 40,
} as const;

/** Of `ENDPOINT_INFO.flags`: the address is the host's; the endpoint lives in the host's network namespace. */
export const ENDPOINT_F_HOST = 1;
export const ENDPOINT_F_ATHOSTNS = 2;
const FAMILY_IPV4 = 1;
const FAMILY_IPV6 = 2;

/** Writes the key of an IPv4 address (host order) at `at` (a multiple of 4). Allocates nothing. */
export function setEndpointKey4(m: Memory, at: Address, ip: number): void {
  m.view.setUint32(at + ENDPOINT_KEY.ip4, ip);
  const words = m.u32;
  words[(at + 4) >> 2] = 0;
  words[(at + 8) >> 2] = 0;
  words[(at + 12) >> 2] = 0;
  words[(at + ENDPOINT_KEY.family) >> 2] = FAMILY_IPV4; // key and cluster_id: 0
}

/** As `setEndpointKey4`, of an IPv6 address of 128 bits. Allocates: for the control plane. */
export function setEndpointKey6(m: Memory, at: Address, ip: bigint): void {
  setAddress6(m, at + ENDPOINT_KEY.ip4, ip);
  m.u32[(at + ENDPOINT_KEY.family) >> 2] = FAMILY_IPV6; // key and cluster_id: 0
}

export const endpointIfindex = (m: Memory, at: Address): number => m.u32[(at + ENDPOINT_INFO.ifindex) >> 2]!;
export const endpointLxcId = (m: Memory, at: Address): number => m.u16[(at + ENDPOINT_INFO.lxc_id) >> 1]!;
export const endpointFlags = (m: Memory, at: Address): number => m.u32[(at + ENDPOINT_INFO.flags) >> 2]!;
export const endpointSecId = (m: Memory, at: Address): number => m.u32[(at + ENDPOINT_INFO.sec_id) >> 2]!;
/** Addresses of the 6 bytes. */
export const endpointMacAt = (at: Address): Address => at + ENDPOINT_INFO.mac;
export const endpointNodeMacAt = (at: Address): Address => at + ENDPOINT_INFO.node_mac;
