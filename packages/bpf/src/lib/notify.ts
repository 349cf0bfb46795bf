import type { Address, Memory } from '@ciliate/maps';
import type { Datapath } from '../datapath.ts';
import type { Skb } from '../skb.ts';
import { CT_EGRESS, CT_INGRESS, CTX_ACT_DROP, htons } from './common.ts';
import { dropReason } from './drop_reasons.ts';
import type { Family } from './family.ts';
import { METRIC_EGRESS, METRIC_INGRESS, REASON_FORWARDED, REASON_PLAINTEXT } from './metrics.ts';
import type { PolicyVerdict } from './policy.ts';

/**
 * Notifications to the control plane: a header struct, then the first bytes of the packet. Each is counted in the metrics.
 * Layouts: layouts.json, `trace_notify`, `drop_notify`, `policy_verdict_notify`. Source: bpf/lib/{trace,drop,policy_log}.h.
 * Not filled: the flow hash and, in drops, the place in Cilium's sources.
 */
export const TRACE_PAYLOAD_LEN = 128;
const CILIUM_NOTIFY_DROP = 1;
const CILIUM_NOTIFY_TRACE = 4;
const CILIUM_NOTIFY_POLICY_VERDICT = 5;
const NOTIFY_CAPTURE_VER = 1;
const NOTIFY_DROP_VER = 2;
/** Of a trace's flags: the address in front of the packet's bytes is an IPv6 one. */
const CLS_FLAG_IPV6 = 1;

/** Observation points of trace notifications. */
export const TRACE_TO_LXC = 0;
export const TRACE_TO_PROXY = 1;
export const TRACE_TO_HOST = 2;
export const TRACE_TO_STACK = 3;
export const TRACE_TO_OVERLAY = 4;
export const TRACE_FROM_LXC = 5;
export const TRACE_FROM_PROXY = 6;
export const TRACE_FROM_HOST = 7;
export const TRACE_FROM_STACK = 8;
export const TRACE_FROM_OVERLAY = 9;
export const TRACE_FROM_NETWORK = 10;
export const TRACE_TO_NETWORK = 11;
export const TRACE_REASON_UNKNOWN = 5;

const TRACE = { size: 48, srcLabel: 16, dstLabel: 20, dstId: 24, reason: 26, flags: 27, ifindex: 28, orig: 32 };
const DROP = { size: 40, srcLabel: 16, dstLabel: 20, dstId: 24, extError: 31, ifindex: 32, flags: 36 };
const VERDICT = { size: 32, remoteLabel: 16, verdict: 20, dstPort: 24, proto: 26, bits: 27, authType: 28 };

/** Writes the part that all notifications share at `at`. */
function header(
  m: Memory,
  at: Address,
  type: number,
  sub: number,
  source: number,
  len: number,
  cap: number,
  ver: number,
) {
  m.u8[at] = type;
  m.u8[at + 1] = sub;
  m.u16[(at + 2) >> 1] = source;
  m.u32[(at + 4) >> 2] = 0; // skb->hash
  m.u32[(at + 8) >> 2] = len;
  m.u16[(at + 12) >> 1] = cap;
  m.u16[(at + 14) >> 1] = ver;
}

/**
 * @param source   of the program: its endpoint's id
 * @param dstId    endpoint id or proxy port (host order) the packet goes to
 * @param monitor  as conntrack answered it; 0 = nothing new about this flow
 * @param original family whose `origSaddr` holds the source address before translation, undefined = not told
 */
export function sendTraceNotify(
  dp: Datapath,
  skb: Skb,
  source: number,
  point: number,
  src: number,
  dst: number,
  dstId: number,
  ifindex: number,
  reason: number,
  monitor: number,
  original?: Family,
): void {
  if (point === TRACE_TO_LXC) dp.metrics.update(skb.len, METRIC_INGRESS, REASON_FORWARDED);
  else if (isLeaving(point)) dp.metrics.update(skb.len, METRIC_EGRESS, REASON_FORWARDED);
  const arriving = isArriving(point);
  if (arriving && point !== TRACE_FROM_LXC && point !== TRACE_FROM_PROXY)
    dp.metrics.update(skb.len, METRIC_INGRESS, REASON_PLAINTEXT);
  const { monitorAggregation } = dp.config;
  if (arriving && !tellsArrivals(dp)) return;
  if (monitorAggregation >= 3 && monitor === 0) return;
  writeTraceNotify(dp, skb, source, point, src, dst, dstId, ifindex, reason, monitor, original);
}

/** Apart, so that V8 inlines the rest: most packets are not told. */
function writeTraceNotify(
  dp: Datapath,
  skb: Skb,
  source: number,
  point: number,
  src: number,
  dst: number,
  dstId: number,
  ifindex: number,
  reason: number,
  monitor: number,
  original: Family | undefined,
): void {
  const m = dp.memory;
  const at = dp.stack.event;
  const cap = Math.min(monitor === 0 ? TRACE_PAYLOAD_LEN : monitor, skb.len);
  header(m, at, CILIUM_NOTIFY_TRACE, point, source, skb.len, cap, NOTIFY_CAPTURE_VER);
  m.u32[(at + TRACE.srcLabel) >> 2] = src;
  m.u32[(at + TRACE.dstLabel) >> 2] = dst;
  m.u16[(at + TRACE.dstId) >> 1] = dstId;
  m.u8[at + TRACE.reason] = reason;
  m.u8[at + TRACE.flags] = original?.isV6 ? CLS_FLAG_IPV6 : 0;
  m.u32[(at + TRACE.ifindex) >> 2] = ifindex;
  const orig = (at + TRACE.orig) >> 2;
  for (let i = 0; i < 4; i++) m.u32[orig + i] = original === undefined ? 0 : m.u32[(original.origSaddr >> 2) + i]!;
  dp.events.outputParts(at, TRACE.size, skb.data, cap);
}

/** Are packets told of where they arrive? Aggregation leaves that out first. */
export const tellsArrivals = (dp: Datapath): boolean => dp.config.monitorAggregation < 1;

function isArriving(point: number): boolean {
  return point >= TRACE_FROM_LXC && point <= TRACE_FROM_NETWORK;
}

function isLeaving(point: number): boolean {
  return (point >= TRACE_TO_HOST && point <= TRACE_TO_OVERLAY) || point === TRACE_TO_NETWORK;
}

/**
 * Tells of the drop, counts it, and answers what the program returns for it.
 * @param error     the negative drop code
 * @param direction METRIC_*
 */
export function sendDropNotify(
  dp: Datapath,
  skb: Skb,
  source: number,
  src: number,
  dst: number,
  dstId: number,
  error: number,
  extError: number,
  direction: number,
): number {
  dp.metrics.update(skb.len, direction, -error);
  const m = dp.memory;
  const at = dp.stack.event;
  const cap = Math.min(TRACE_PAYLOAD_LEN, skb.len);
  header(m, at, CILIUM_NOTIFY_DROP, -error, source, skb.len, cap, NOTIFY_DROP_VER);
  m.u32[(at + DROP.srcLabel) >> 2] = src;
  m.u32[(at + DROP.dstLabel) >> 2] = dst;
  m.u32[(at + DROP.dstId) >> 2] = dstId;
  m.u32[(at + DROP.dstId + 4) >> 2] = 0;
  m.u8[at + DROP.extError] = extError;
  m.u32[(at + DROP.ifindex) >> 2] = skb.ifindex;
  m.u32[(at + DROP.flags) >> 2] = 0;
  dp.events.outputParts(at, DROP.size, skb.data, cap);
  dp.steps?.push({ kind: 'drop', endpoint: source, code: -error, text: dropReason(-error, extError) });
  return CTX_ACT_DROP;
}

/** Bits of the direction in verdict notifications (POLICY_INGRESS, POLICY_EGRESS), and of an endpoint's log filter. */
const POLICY_INGRESS = 1;
const POLICY_EGRESS = 2;

/** @param verdict 0 or a negative drop code; a redirect is told as the proxy port, bytes exchanged as the map holds them */
export function sendPolicyVerdictNotify(
  dp: Datapath,
  fam: Family,
  skb: Skb,
  source: number,
  logFilter: number,
  remoteLabel: number,
  dstPort: number,
  proto: number,
  dir: number,
  verdict: number,
  policy: PolicyVerdict,
): void {
  const direction = dir === CT_EGRESS ? POLICY_EGRESS : POLICY_INGRESS;
  if ((logFilter & direction) === 0) return;
  const m = dp.memory;
  const at = dp.stack.event;
  const cap = Math.min(TRACE_PAYLOAD_LEN, skb.len);
  header(m, at, CILIUM_NOTIFY_POLICY_VERDICT, 0, source, skb.len, cap, NOTIFY_CAPTURE_VER);
  m.u32[(at + VERDICT.remoteLabel) >> 2] = remoteLabel;
  m.i32[(at + VERDICT.verdict) >> 2] = verdict === 0 ? htons(policy.proxyPort) : verdict;
  m.u16[(at + VERDICT.dstPort) >> 1] = dstPort;
  m.u8[at + VERDICT.proto] = proto;
  m.u8[at + VERDICT.bits] = direction | (fam.isV6 ? 4 : 0) | (policy.matchType << 3) | (policy.audited ? 0x40 : 0);
  m.u32[(at + VERDICT.authType) >> 2] = policy.authType;
  dp.events.outputParts(at, VERDICT.size, skb.data, cap);
}

export const directionName = (dir: number): 'egress' | 'ingress' => (dir === CT_INGRESS ? 'ingress' : 'egress');
