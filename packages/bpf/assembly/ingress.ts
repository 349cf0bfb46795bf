import {
  EP_ID,
  EP_IDENTITY,
  EP_IFINDEX,
  ESTABLISHED,
  family,
  has,
  IFINDEX,
  INGRESS,
  LOOPBACK,
  MARK,
  NEW,
  NODE_PORT,
  ORIG_SADDR,
  REPLY,
  ROUTING,
  TO_JUDGED,
  TRACE_PAYLOAD_LEN,
} from './context';
import {
  create,
  entryFlags,
  entryRevNat,
  FROM_L7LB,
  FROM_TUNNEL,
  keep,
  LB_LOOPBACK,
  peek,
  PROXY_REDIRECT,
  reopens,
  status as found,
} from './conntrack';
import { drop, FORWARDED, metric, METRIC_INGRESS, policyVerdict, TO_LXC, TO_PROXY, trace } from './events';
import { addressBytes, copyAddress, hasChecksum, ntohs, rewriteToService, saddrAt } from './packet';
import { account, judge, NOT_JUDGED, PROXY_PORT, VERDICT } from './policy';
import { lookupRevNat } from './services';

/*
 * cilLxcPolicy (bpf_lxc.ts): conntrack and policy of a pod that the packet is about to reach. First what would be, then, once
 * it is known that all is usual, what is.
 */

/** Answers of programs: CTX_ACT_* and what the caller does with the packet. */
export const OK: i32 = 0;
export const DROPPED: i32 = 2;
export const REDIRECT: i32 = 7;
export const MARKED: i32 = 8;
export const PACKET_HOST: i32 = 16;
export const TUNNELLED: i32 = 32;
const MARK_MAGIC_TO_PROXY: u32 = 0x200;

let entry: u32 = 0;
let status: u32 = 0;
let proxyPort: u32 = 0;
/** `struct lbX_reverse_nat` that gives a reply its address, or 0. */
let reverseNat: u32 = 0;
/** Connections that `deliver` will begin. */
export let newFlows: u32 = 0;

@inline
function isReply(): bool {
  return status === REPLY;
}

/** @param src identity of the sender. @returns false if the packet is not usual */
export function expectDelivery<F>(ctx: u32, ep: u32, src: u32): bool {
  entry = peek<F>(ctx, INGRESS, false);
  status = found;
  proxyPort = 0;
  reverseNat = 0;
  newFlows = 0;
  let flags: u32 = 0;
  if (entry !== 0) {
    flags = entryFlags(entry);
    if ((flags & (LB_LOOPBACK | FROM_L7LB)) !== 0 || reopens(entry)) return false;
  }
  if (isReply()) {
    if ((flags & PROXY_REDIRECT) !== 0) return true;
    const index = entryRevNat(entry);
    if (index !== 0) reverseNat = lookupRevNat<F>(ctx, index);
    if (reverseNat !== 0 && !hasChecksum()) return false;
  } else {
    const loopback = load<u32>(family<F>(ctx), LOOPBACK);
    if (addressBytes<F>() === 4 && loopback !== 0 && load<u32>(saddrAt) === loopback) return false;
    const judged = ctx + TO_JUDGED;
    const verdict = judge<F>(ctx, ep, INGRESS, src, judged);
    if (verdict === NOT_JUDGED) return false;
    if (verdict < 0) return metric(ctx, METRIC_INGRESS, <u32>-verdict) !== 0;
    proxyPort = load<u32>(judged, PROXY_PORT);
    if (status === NEW) newFlows = 1;
    if (proxyPort !== 0) return true;
  }
  return metric(ctx, METRIC_INGRESS, FORWARDED) !== 0;
}

/** @param redirects into the pod's interface, once policy has allowed it. @returns answer of the program */
export function deliver<F>(ctx: u32, ep: u32, src: u32, redirects: bool, fromTunnel: bool): i32 {
  const id = load<u32>(ep, EP_ID);
  const own = load<u32>(ep, EP_IDENTITY);
  const ifindex = load<u32>(ep, EP_IFINDEX);
  const monitor = status === NEW ? TRACE_PAYLOAD_LEN : keep<F>(ctx, entry, INGRESS, isReply() ? 0 : TRACE_PAYLOAD_LEN);
  copyAddress<F>(ctx + ORIG_SADDR, saddrAt);
  if (isReply()) {
    if ((entryFlags(entry) & PROXY_REDIRECT) !== 0) return toProxy<F>(ctx, id, own, src, ifindex, monitor, fromTunnel);
    if (reverseNat !== 0) rewriteToService<F>(reverseNat, load<u16>(reverseNat + addressBytes<F>()));
  } else {
    const judged = ctx + TO_JUDGED;
    const verdict = load<i32>(judged, VERDICT);
    account(ctx, judged);
    if (verdict < 0 || status !== ESTABLISHED) policyVerdict<F>(ctx, ep, INGRESS, src, judged);
    if (verdict < 0) return dropped(ctx, id, src, own, verdict);
    if (status === NEW)
      create<F>(ctx, INGRESS, src, 0, (fromTunnel ? FROM_TUNNEL : 0) | (proxyPort !== 0 ? PROXY_REDIRECT : 0));
    if (proxyPort !== 0) return toProxy<F>(ctx, id, own, src, ifindex, monitor, fromTunnel);
  }
  trace<F>(ctx, id, TO_LXC, src, own, id, ifindex, status, monitor, true);
  if (fromTunnel && !has(ctx, ROUTING | NODE_PORT)) return OK | PACKET_HOST;
  if (!redirects) return OK;
  store<u32>(ctx, ifindex, IFINDEX);
  return REDIRECT;
}

/** The device that the packet is at, for notifications of drops. */
let device: u32 = 0;
export function setDevice(ifindex: u32): void {
  device = ifindex;
}

function dropped(ctx: u32, id: u32, src: u32, own: u32, error: i32): i32 {
  drop(ctx, id, src, own, id, error, METRIC_INGRESS, device);
  return DROPPED;
}

function toProxy<F>(ctx: u32, id: u32, own: u32, src: u32, ifindex: u32, monitor: u32, fromTunnel: bool): i32 {
  trace<F>(ctx, id, TO_PROXY, src, own, proxyPort, ifindex, status, monitor, true);
  markForProxy(ctx, proxyPort);
  return fromTunnel ? OK | MARKED | PACKET_HOST : OK | MARKED;
}

/** The mark by which the stack gives the packet to the proxy's socket. @param port host order, 0 for replies */
@inline
export function markForProxy(ctx: u32, port: u32): void {
  store<u32>(ctx, MARK_MAGIC_TO_PROXY | (ntohs(port) << 16), MARK);
}
