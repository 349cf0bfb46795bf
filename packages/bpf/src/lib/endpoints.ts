import {
  type Address,
  IPCACHE_KEY,
  IPCACHE_STATIC_PREFIX_BITS,
  NULL,
  REMOTE_ENDPOINT_FLAG,
  REMOTE_ENDPOINT_INFO,
  remoteEndpointFlags,
  secIdentity,
} from '@ciliate/maps';
import type { Datapath } from '../datapath.ts';
import { noteLookup } from '../explain.ts';
import type { Family } from './family.ts';

// What cilium_lxc and the ipcache know about an address. Source: bpf/lib/eps.h.

/** @param address where the packet's or map's address lies. @returns its `struct endpoint_info`, or NULL */
export function lookupEndpoint(dp: Datapath, fam: Family, address: Address): Address {
  const m = dp.memory;
  const key = dp.stack.endpointKey;
  setAddress(dp, fam, key, address);
  m.u32[(key + 16) >> 2] = fam.endpointFamily; // key and cluster_id: 0
  const endpoint = dp.lxc.lookup(key);
  if (dp.steps !== null) noteLookup(dp, dp.lxc, key, endpoint);
  return endpoint;
}

/** @returns the `struct remote_endpoint_info` of the longest prefix that holds the address, or NULL */
export function lookupRemoteEndpoint(dp: Datapath, fam: Family, address: Address): Address {
  const m = dp.memory;
  const key = dp.stack.ipcacheKey;
  m.u32[(key + IPCACHE_KEY.prefixlen) >> 2] = IPCACHE_STATIC_PREFIX_BITS + 32 * fam.words;
  m.u32[(key + IPCACHE_KEY.cluster_id) >> 2] = fam.endpointFamily << 24;
  setAddress(dp, fam, key + IPCACHE_KEY.ip4, address);
  const info = dp.ipcache.lookup(key);
  if (dp.steps !== null) noteLookup(dp, dp.ipcache, key, info);
  return info;
}

/** Identity of what `lookupRemoteEndpoint` found. */
export const identityOf = (dp: Datapath, fam: Family, info: Address): number =>
  info === NULL ? fam.world : secIdentity(dp.memory, info);

/** The node to send to, be32 (of an IPv6 one the first word); 0 if there is none. */
export const tunnelEndpointOf = (dp: Datapath, info: Address): number =>
  info === NULL ? 0 : dp.memory.u32[(info + REMOTE_ENDPOINT_INFO.tunnel_endpoint) >> 2]!;
export const hasIpv6TunnelEndpoint = (dp: Datapath, info: Address): boolean =>
  info !== NULL && (remoteEndpointFlags(dp.memory, info) & REMOTE_ENDPOINT_FLAG.flag_ipv6_tunnel_ep) !== 0;

export const skipsTunnel = (dp: Datapath, info: Address): boolean =>
  info !== NULL && (remoteEndpointFlags(dp.memory, info) & REMOTE_ENDPOINT_FLAG.flag_skip_tunnel) !== 0;
export const hasTunnelEndpoint = (dp: Datapath, info: Address): boolean =>
  info !== NULL && (remoteEndpointFlags(dp.memory, info) & REMOTE_ENDPOINT_FLAG.flag_has_tunnel_ep) !== 0;

/** An address in 16 bytes, those that are not used 0. */
function setAddress(dp: Datapath, fam: Family, to: Address, address: Address): void {
  const { u32 } = dp.memory;
  const { words } = fam;
  for (let i = 0; i < 4; i++) u32[(to >> 2) + i] = i < words ? u32[(address >> 2) + i]! : 0;
}
