import { EVENT, has, INGRESS, isV6, METRICS, ORIG_SADDR, RING, TELL_AGAIN, TRACE_PAYLOAD_LEN, EP_ID, EP_LOG_FILTER } from './context';
import { at, len, dport, ntohs, protocol } from './packet';
import { matchType, PROXY_PORT, VERDICT } from './policy';

/* Notifications, written into the ring of the worker (packages/maps: event_ring.ts), and metrics. Layouts: lib/notify.ts. */

const DROP: u32 = 1;
const TRACE: u32 = 4;
const POLICY_VERDICT: u32 = 5;
const CAPTURE_VER: u32 = 1;
const DROP_VER: u32 = 2;
const TRACE_SIZE: u32 = 48;
const DROP_SIZE: u32 = 40;
const VERDICT_SIZE: u32 = 32;

export const TO_LXC: u32 = 0;
export const TO_PROXY: u32 = 1;
export const TO_STACK: u32 = 3;
export const TO_OVERLAY: u32 = 4;

// Of metrics: directions and reasons; a drop's reason is its code.
export const METRIC_INGRESS: u32 = 1;
export const METRIC_EGRESS: u32 = 2;
export const FORWARDED: u32 = 0;

// Of the ring's header; the data follows.
const RING_BYTES: u32 = 4;
const RING_HEAD: u32 = 8;
const RING_TAIL: u32 = 12;
const RING_LOST: u32 = 16;
const RING_DATA: u32 = 64;
const RECORD_HEADER: u32 = 8;
const SKIP: u32 = 0xffff_ffff;

/** Where the packet is counted, or 0: there is no such entry yet. */
@inline
export function metric(ctx: u32, direction: u32, reason: u32): u32 {
  return load<u32>(load<u32>(ctx, METRICS) + (((reason << 2) | direction) << 2));
}

@inline
export function count(ctx: u32, direction: u32, reason: u32): void {
  const entry = metric(ctx, direction, reason);
  store<u64>(entry, load<u64>(entry) + 1);
  store<u64>(entry, load<u64>(entry, 8) + len, 8);
}

/** Bytes of the packet that are told. */
@inline
function captured(): u32 {
  return min<u32>(TRACE_PAYLOAD_LEN, len);
}

/** Copies the struct of `size` bytes and the packet's first ones into the ring; counts the loss if there is no room. */
function output(ctx: u32, size: u32): void {
  const ring = load<u32>(ctx, RING);
  const bytes = load<u32>(ring, RING_BYTES);
  const cap = captured();
  const need = RECORD_HEADER + ((size + cap + 7) & ~7);
  const head = load<u32>(ring, RING_HEAD);
  const used = head - atomic.load<u32>(ring, RING_TAIL);
  const offset = head & (bytes - 1);
  const skip = need > bytes - offset ? bytes - offset : 0; // a record lies in one piece
  if (skip + need > bytes - used) {
    store<u32>(ring, load<u32>(ring, RING_LOST) + 1, RING_LOST); // nobody else writes it
    return;
  }
  const data = ring + RING_DATA;
  if (skip > 0) store<u32>(data + offset, SKIP);
  const record = data + (skip > 0 ? 0 : offset);
  store<u32>(record, size + cap);
  copy(record + RECORD_HEADER, load<u32>(ctx, EVENT), size);
  copy(record + RECORD_HEADER + size, at, cap);
  atomic.store<u32>(ring, head + skip + need, RING_HEAD); // publishes the bytes
}

@inline
function copy(to: u32, from: u32, bytes: u32): void {
  let i: u32 = 0;
  for (; i + 8 <= bytes; i += 8) store<u64>(to + i, load<u64>(from + i));
  for (; i < bytes; i++) store<u8>(to + i, load<u8>(from + i));
}

@inline
function header(event: u32, type: u32, sub: u32, source: u32, version: u32): void {
  store<u32>(event, type | (sub << 8) | (source << 16));
  store<u32>(event, 0, 4);
  store<u32>(event, len, 8);
  store<u32>(event, captured() | (version << 16), 12);
}

/** @param original whether ORIG_SADDR has the source's address before translation */
@inline
export function trace<F>(
  ctx: u32,
  source: u32,
  point: u32,
  src: u32,
  dst: u32,
  dstId: u32,
  ifindex: u32,
  reason: u32,
  monitor: u32,
  original: bool,
): void {
  if (point === TO_LXC) count(ctx, METRIC_INGRESS, FORWARDED);
  else if (point !== TO_PROXY) count(ctx, METRIC_EGRESS, FORWARDED);
  if (monitor !== 0 || has(ctx, TELL_AGAIN))
    writeTrace<F>(ctx, source, point, src, dst, dstId, ifindex, reason, original);
}

function writeTrace<F>(
  ctx: u32,
  source: u32,
  point: u32,
  src: u32,
  dst: u32,
  dstId: u32,
  ifindex: u32,
  reason: u32,
  original: bool,
): void {
  const event = load<u32>(ctx, EVENT);
  header(event, TRACE, point, source, CAPTURE_VER);
  store<u32>(event, src, 16);
  store<u32>(event, dst, 20);
  store<u32>(event, dstId | (reason << 16) | (<u32>(original && isV6<F>()) << 24), 24);
  store<u32>(event, ifindex, 28);
  const saddr = ctx + ORIG_SADDR;
  if (original && isV6<F>()) {
    store<u64>(event, load<u64>(saddr), 32);
    store<u64>(event, load<u64>(saddr, 8), 40);
  } else {
    store<u64>(event, original ? load<u32>(saddr) : 0, 32);
    store<u64>(event, 0, 40);
  }
  output(ctx, TRACE_SIZE);
}

/** Tells of the drop and counts it. @param error the drop code */
export function drop(
  ctx: u32,
  source: u32,
  src: u32,
  dst: u32,
  dstId: u32,
  error: i32,
  direction: u32,
  ifindex: u32,
): void {
  count(ctx, direction, <u32>-error);
  const event = load<u32>(ctx, EVENT);
  header(event, DROP, <u32>-error, source, DROP_VER);
  store<u32>(event, src, 16);
  store<u32>(event, dst, 20);
  store<u64>(event, dstId, 24);
  store<u64>(event, ifindex, 32);
  output(ctx, DROP_SIZE);
}

const POLICY_INGRESS: u32 = 1;
const POLICY_EGRESS: u32 = 2;

/** @param judged what policy said. @param remote identity of the peer */
export function policyVerdict<F>(ctx: u32, ep: u32, dir: u32, remote: u32, judged: u32): void {
  const direction = dir === INGRESS ? POLICY_INGRESS : POLICY_EGRESS;
  if ((load<u32>(ep, EP_LOG_FILTER) & direction) === 0) return;
  const event = load<u32>(ctx, EVENT);
  const verdict = load<i32>(judged, VERDICT);
  header(event, POLICY_VERDICT, 0, load<u32>(ep, EP_ID), CAPTURE_VER);
  store<u32>(event, remote, 16);
  store<u32>(event, verdict === 0 ? ntohs(load<u32>(judged, PROXY_PORT)) : <u32>verdict, 20);
  const bits = direction | (isV6<F>() ? 4 : 0) | (matchType(judged) << 3);
  store<u32>(event, ntohs(dport()) | (protocol << 16) | (bits << 24), 24);
  store<u32>(event, 0, 28);
  output(ctx, VERDICT_SIZE);
}
