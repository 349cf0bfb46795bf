import { EGRESS, FROM_JUDGED, has, NEW, NOT_USUAL, programOf, REPLY, V4, V6, WITH_IPV4, WITH_IPV6 } from './context';
import { keep, peek, roomFor, status } from './conntrack';
import { handleFromLxc } from './egress';
import { count, FORWARDED, METRIC_EGRESS } from './events';
import { deliver, expectDelivery, newFlows, setDevice } from './ingress';
import { identityOf, lookupRemoteEndpoint } from './ipcache';
import { daddrAt, parse } from './packet';
import { handleFromOverlay } from './overlay';
import { judge } from './policy';

/*
 * AssemblyScript, not TypeScript: the programs in ../src once more, for packets of the usual kind, each in one call. It changes
 * nothing before it knows that a packet is one; then it does exactly what the programs do. Built by build.ts.
 *
 * Of every call: `ctx` is the block of the `Datapath` (context.ts), `id` the endpoint's, whose program is there, `at` where the
 * frame of `len` bytes lies, `now` seconds, `device` the one the program runs at. The answer is that of the program (ingress.ts)
 * or NOT_USUAL.
 */

const REDIRECTS: u32 = 1;
const FROM_TUNNEL: u32 = 2;
const ETH_P_IP: u32 = 0x0008;
const ETH_P_IPV6: u32 = 0xdd86;

/** What the packet is, if its family is switched on; else 0. */
@inline
function familyOf(ctx: u32, at: u32, len: u32): u32 {
  if (len < 14) return 0;
  const type: u32 = load<u16>(at, 12);
  if (type === ETH_P_IP) if (has(ctx, WITH_IPV4)) return ETH_P_IP;
  if (type === ETH_P_IPV6) if (has(ctx, WITH_IPV6)) return ETH_P_IPV6;
  return 0;
}

/** cilFromContainer, once it has told of the packet. */
export function fromContainer(ctx: u32, id: u32, at: u32, len: u32, now: u32, device: u32): i32 {
  const ep = programOf(ctx, id);
  if (ep === 0) return NOT_USUAL;
  setDevice(device);
  const family = familyOf(ctx, at, len);
  if (family === ETH_P_IP) return handleFromLxc<V4>(ctx, ep, at, len, now, device);
  return family === ETH_P_IPV6 ? handleFromLxc<V6>(ctx, ep, at, len, now, device) : NOT_USUAL;
}

/** cilFromOverlay, once it has told of the packet. @param identity of the sender */
export function fromOverlay(ctx: u32, at: u32, len: u32, now: u32, device: u32, identity: u32): i32 {
  setDevice(device);
  const family = familyOf(ctx, at, len);
  if (family === ETH_P_IP) return handleFromOverlay<V4>(ctx, at, len, now, identity);
  return family === ETH_P_IPV6 ? handleFromOverlay<V6>(ctx, at, len, now, identity) : NOT_USUAL;
}

/** cilLxcPolicy. @param identity of the sender. @param flags REDIRECTS, FROM_TUNNEL */
export function lxcPolicy(
  ctx: u32,
  id: u32,
  at: u32,
  len: u32,
  now: u32,
  device: u32,
  identity: u32,
  flags: u32,
): i32 {
  const ep = programOf(ctx, id);
  if (ep === 0) return NOT_USUAL;
  setDevice(device);
  const family = familyOf(ctx, at, len);
  if (family === ETH_P_IP) return policy<V4>(ctx, ep, at, len, now, identity, flags);
  return family === ETH_P_IPV6 ? policy<V6>(ctx, ep, at, len, now, identity, flags) : NOT_USUAL;
}

function policy<F>(
  ctx: u32,
  ep: u32,
  at: u32,
  len: u32,
  now: u32,
  identity: u32,
  flags: u32,
): i32 {
  if (!parse<F>(at, len, now) || !expectDelivery<F>(ctx, ep, identity)) return NOT_USUAL;
  const room = roomFor<F>(ctx, newFlows, 0);
  return room !== 0 ? room : deliver<F>(ctx, ep, identity, (flags & REDIRECTS) !== 0, (flags & FROM_TUNNEL) !== 0);
}

/**
 * The lookups of a packet that a pod sends alone: conntrack, ipcache, policy, a counter of metrics. For measurements.
 * @returns 0, 1 for no known connection, or a drop code
 */
export function lookUp(ctx: u32, id: u32, at: u32, len: u32, now: u32): i32 {
  const ep = programOf(ctx, id);
  if (familyOf(ctx, at, len) !== ETH_P_IP || !parse<V4>(at, len, now)) return 1;
  const info = lookupRemoteEndpoint<V4>(ctx, daddrAt);
  const entry = peek<V4>(ctx, EGRESS, false);
  if (status === NEW) return 1;
  const isReply = status === REPLY;
  keep<V4>(ctx, entry, EGRESS, 0);
  const remote = identityOf<V4>(ctx, info);
  count(ctx, METRIC_EGRESS, FORWARDED);
  if (isReply) return 0;
  const judged = ctx + FROM_JUDGED;
  return judge<V4>(ctx, ep, EGRESS, remote, judged);
}

/** Skb.loadFrom. */
export function copyFrame(to: u32, from: u32, len: u32): void {
  memory.copy(to, from, len);
}
