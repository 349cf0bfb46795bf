import { family, IPCACHE_ROOT, isV6, LXC, MASKS, WORLD, KEY } from './context';
import { find, NODE_KEY } from './hash';
import { longestMatch64, longestMatch160 } from './trie';

/* Who has an address: the ipcache, and the endpoints of this node. */

const IPCACHE_VALUE: u32 = 40;
const LXC_VALUE: u32 = NODE_KEY + 24;
const FAMILY_IPV4: u32 = 1;
const FAMILY_IPV6: u32 = 2;
// Of an entry of the ipcache.
const FLAGS: u32 = 23;
const SKIP_TUNNEL: u32 = 1;
const HAS_TUNNEL_ENDPOINT: u32 = 2;

/** @param address where it lies. @returns its `struct remote_endpoint_info`, or 0 */
@inline
export function lookupRemoteEndpoint<F>(ctx: u32, address: u32): u32 {
  const root = load<u32>(load<u32>(ctx, IPCACHE_ROOT));
  const node = isV6<F>()
    ? longestMatch160(ctx + MASKS, root, FAMILY_IPV6 << 24, address)
    : longestMatch64(ctx + MASKS, root, (<u64>load<u32>(address) << 32) | (FAMILY_IPV4 << 24), true);
  return node === 0 ? 0 : node + IPCACHE_VALUE;
}

@inline
export function identityOf<F>(ctx: u32, info: u32): u32 {
  return info === 0 ? load<u32>(family<F>(ctx), WORLD) : load<u32>(info);
}

@inline
export function usesTunnel(info: u32): bool {
  return info !== 0 && (load<u8>(info, FLAGS) & HAS_TUNNEL_ENDPOINT) !== 0;
}
@inline
export function skipsTunnel(info: u32): bool {
  return info !== 0 && (load<u8>(info, FLAGS) & SKIP_TUNNEL) !== 0;
}

// Of `struct endpoint_info`.
const INFO_LXC_ID: u32 = 6;
const INFO_FLAGS: u32 = 8;
const INFO_MAC: u32 = 16;
const INFO_NODE_MAC: u32 = 24;
const HOST_DELIVERY: u32 = 3;

/** @returns the `struct endpoint_info` of an address, or 0 */
export function lookupEndpoint<F>(ctx: u32, address: u32): u32 {
  const key = ctx + KEY;
  if (isV6<F>()) {
    store<u64>(key, load<u64>(address));
    store<u64>(key, load<u64>(address, 8), 8);
  } else {
    store<u64>(key, load<u32>(address));
    store<u64>(key, 0, 8);
  }
  store<u32>(key, isV6<F>() ? FAMILY_IPV6 : FAMILY_IPV4, 16);
  const node = find(ctx + LXC, key, 5);
  return node === 0 ? 0 : node + LXC_VALUE;
}

@inline
export function isHostDelivery(endpoint: u32): bool {
  return (load<u32>(endpoint, INFO_FLAGS) & HOST_DELIVERY) !== 0;
}
@inline
export function lxcId(endpoint: u32): u32 {
  return load<u16>(endpoint, INFO_LXC_ID);
}
@inline
export function macAt(endpoint: u32): u32 {
  return endpoint + INFO_MAC;
}
@inline
export function nodeMacAt(endpoint: u32): u32 {
  return endpoint + INFO_NODE_MAC;
}
