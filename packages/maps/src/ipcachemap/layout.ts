import { address6, setAddress6 } from '../address6.ts';
import type { Address, Memory } from '../memory.ts';

/**
 * `struct ipcache_key`, 24 bytes, the key of an LPM trie. prefixlen u32, in bits, without itself; cluster_id u16;
 * family 1 = IPv4, 2 = IPv6; ip4 be32, or ip6, 16 bytes in the same place. Source: bpf/lib/eps.h.
 */
export const IPCACHE_KEY = { size: 24, prefixlen: 0, cluster_id: 4, pad1: 6, family: 7, ip4: 8 } as const;

/**
 * `struct remote_endpoint_info`, 24 bytes. sec_identity u32; tunnel_endpoint: be32 in 16 bytes, or an IPv6 address; key u8: of encryption;
 * flags u8 (`REMOTE_ENDPOINT_FLAG`). Source: bpf/lib/eps.h.
 */
export const REMOTE_ENDPOINT_INFO = {
  size: 24,
  sec_identity: 0,
  tunnel_endpoint: 4,
  pad: 20,
  key: 22,
  flags: 23,
} as const;

/** Bits of the u8 at `REMOTE_ENDPOINT_INFO.flags`. */
export const REMOTE_ENDPOINT_FLAG = {
  flag_skip_tunnel: 0x01,
  flag_has_tunnel_ep: 0x02,
  flag_ipv6_tunnel_ep: 0x04,
} as const;

/** Bits of cluster id, padding and family, in front of the address. */
export const IPCACHE_STATIC_PREFIX_BITS = 32;
const FAMILY_IPV4 = 1;
const FAMILY_IPV6 = 2;

/**
 * Writes a key at `at` (a multiple of 4). Allocates nothing.
 * @param ip        host order
 * @param prefixLen of the address, 0..32
 */
export function setIpcacheKey4(m: Memory, at: Address, ip: number, prefixLen: number, clusterId: number): void {
  const words = m.u32;
  words[(at + IPCACHE_KEY.prefixlen) >> 2] = IPCACHE_STATIC_PREFIX_BITS + prefixLen;
  words[(at + IPCACHE_KEY.cluster_id) >> 2] = clusterId | (FAMILY_IPV4 << 24);
  m.view.setUint32(at + IPCACHE_KEY.ip4, ip);
  words[(at + 12) >> 2] = 0;
  words[(at + 16) >> 2] = 0;
  words[(at + 20) >> 2] = 0;
}

/** As `setIpcacheKey4`, for an IPv6 address of 128 bits and a prefix of 0..128. Allocates: for the control plane. */
export function setIpcacheKey6(m: Memory, at: Address, ip: bigint, prefixLen: number, clusterId: number): void {
  m.u32[(at + IPCACHE_KEY.prefixlen) >> 2] = IPCACHE_STATIC_PREFIX_BITS + prefixLen;
  m.u32[(at + IPCACHE_KEY.cluster_id) >> 2] = clusterId | (FAMILY_IPV6 << 24);
  setAddress6(m, at + IPCACHE_KEY.ip4, ip);
}

export const secIdentity = (m: Memory, at: Address): number => m.u32[(at + REMOTE_ENDPOINT_INFO.sec_identity) >> 2]!;
/** IPv4 as a host-order number, 0 = none; IPv6 as a bigint of 128 bits. */
export function tunnelEndpoint(m: Memory, at: Address): number | bigint {
  const address = at + REMOTE_ENDPOINT_INFO.tunnel_endpoint;
  const isV6 = (remoteEndpointFlags(m, at) & REMOTE_ENDPOINT_FLAG.flag_ipv6_tunnel_ep) !== 0;
  return isV6 ? address6(m, address) : m.view.getUint32(address);
}
/** 0 = not encrypted. */
export const encryptKey = (m: Memory, at: Address): number => m.u8[at + REMOTE_ENDPOINT_INFO.key]!;
/** `REMOTE_ENDPOINT_FLAG` bits. */
export const remoteEndpointFlags = (m: Memory, at: Address): number => m.u8[at + REMOTE_ENDPOINT_INFO.flags]!;

export function setSecIdentity(m: Memory, at: Address, identity: number): void {
  m.u32[(at + REMOTE_ENDPOINT_INFO.sec_identity) >> 2] = identity;
}
/** All 16 bytes; what it is, the flags say. @param ip as `tunnelEndpoint` tells it */
export function setTunnelEndpoint(m: Memory, at: Address, ip: number | bigint): void {
  const address = at + REMOTE_ENDPOINT_INFO.tunnel_endpoint;
  if (typeof ip === 'bigint') setAddress6(m, address, ip);
  else {
    setAddress6(m, address, 0n);
    m.view.setUint32(address, ip);
  }
}
export function setEncryptKey(m: Memory, at: Address, key: number): void {
  m.u8[at + REMOTE_ENDPOINT_INFO.key] = key;
}
export function setRemoteEndpointFlags(m: Memory, at: Address, flags: number): void {
  m.u8[at + REMOTE_ENDPOINT_INFO.flags] = flags;
}
