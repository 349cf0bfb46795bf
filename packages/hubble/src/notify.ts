import type { IpAddress } from '@ciliate/packet';
import { ipOfBytes } from '@ciliate/packet';
import { HubbleError } from './errors.ts';
import { EVENT_DROP, EVENT_POLICY_VERDICT, EVENT_TRACE } from './flow.ts';

/**
 * The structs that the datapath programs write before the packet's bytes; numbers are byte offsets. Host order is little
 * endian. Source: bpf/lib/trace.h, drop.h, policy_log.h; layouts.json.
 */
export const TRACE_NOTIFY = {
  size: 48,
  source: 2,
  version: 14,
  src_label: 16,
  dst_label: 20,
  reason: 26,
  flags: 27,
  orig_ip4: 32, // be32, or orig_ip6: 16 bytes in the same place
} as const;
export const DROP_NOTIFY = { size: 40, source: 2, version: 14, src_label: 16, dst_label: 20, flags: 36 } as const;
export const POLICY_VERDICT_NOTIFY = {
  size: 32,
  version: 14,
  remote_label: 16,
  verdict: 20,
  dir: 27, // and match_type and audited
  auth_type: 28,
} as const;

const TRACE_VERSION = 1;
const DROP_VERSION = 2;
const POLICY_VERDICT_VERSION = 1;
const FLAG_IPV6 = 0x01; // CLS_FLAG_IPV6
const FLAG_L3_DEVICE = 0x02; // CLS_FLAG_L3_DEV of trace and drop flags
const ENCRYPTED = 0x80; // bit of the trace reason

export interface TraceNotify {
  type: typeof EVENT_TRACE;
  observationPoint: number;
  /** Id of the endpoint whose program wrote it; 0 if none did. */
  source: number;
  sourceIdentity: number;
  destinationIdentity: number;
  /** As the datapath counts: 0 new, 1 established, 2 reply, 3 related, 5 unknown. */
  reason: number;
  /** Source address before translation; undefined if not told. */
  originalIp: IpAddress | undefined;
  packet: Uint8Array;
}

export interface DropNotify {
  type: typeof EVENT_DROP;
  /** Positive. */
  reason: number;
  source: number;
  sourceIdentity: number;
  destinationIdentity: number;
  packet: Uint8Array;
}

export interface PolicyVerdictNotify {
  type: typeof EVENT_POLICY_VERDICT;
  remoteIdentity: number;
  /** Negative drop code, 0 allowed, positive redirected. */
  verdict: number;
  ingress: boolean;
  matchType: number;
  audited: boolean;
  authType: number;
  packet: Uint8Array;
}

export type Notify = TraceNotify | DropNotify | PolicyVerdictNotify;

const OTHER_EVENTS: Readonly<Record<number, string>> = {
  2: 'debug messages',
  3: 'debug captures',
  6: 'recorder captures',
  7: 'socket traces',
  130: 'agent notifications',
};

/** @throws HubbleError INVALID for bytes that are no event, UNSUPPORTED for events of another kind or version */
export function readNotify(bytes: Uint8Array): Notify {
  const type = bytes[0] ?? 0;
  switch (type) {
    case EVENT_TRACE:
      return readTrace(view(bytes, TRACE_NOTIFY.size, TRACE_VERSION), bytes);
    case EVENT_DROP:
      return readDrop(view(bytes, DROP_NOTIFY.size, DROP_VERSION), bytes);
    case EVENT_POLICY_VERDICT:
      return readPolicyVerdict(view(bytes, POLICY_VERDICT_NOTIFY.size, POLICY_VERDICT_VERSION), bytes);
  }
  const name = OTHER_EVENTS[type];
  if (name !== undefined) throw new HubbleError('UNSUPPORTED', `${name} are not supported yet`, { type });
  throw new HubbleError('INVALID', 'not an event of the datapath', { type, bytes: bytes.length });
}

function readTrace(v: DataView, bytes: Uint8Array): TraceNotify {
  refuseL3Device(v.getUint8(TRACE_NOTIFY.flags));
  return {
    type: EVENT_TRACE,
    observationPoint: v.getUint8(1),
    source: v.getUint16(TRACE_NOTIFY.source, true),
    sourceIdentity: v.getUint32(TRACE_NOTIFY.src_label, true),
    destinationIdentity: v.getUint32(TRACE_NOTIFY.dst_label, true),
    reason: v.getUint8(TRACE_NOTIFY.reason) & ~ENCRYPTED,
    originalIp: originalIp(v, bytes),
    packet: bytes.subarray(TRACE_NOTIFY.size),
  };
}

function originalIp(v: DataView, bytes: Uint8Array): IpAddress | undefined {
  const isV6 = (v.getUint8(TRACE_NOTIFY.flags) & FLAG_IPV6) !== 0;
  const at = TRACE_NOTIFY.orig_ip4;
  const address = ipOfBytes(bytes.subarray(at, at + (isV6 ? 16 : 4)));
  return address === 0 || address === 0n ? undefined : address;
}

function readDrop(v: DataView, bytes: Uint8Array): DropNotify {
  refuseL3Device(v.getUint8(DROP_NOTIFY.flags));
  return {
    type: EVENT_DROP,
    reason: v.getUint8(1),
    source: v.getUint16(DROP_NOTIFY.source, true),
    sourceIdentity: v.getUint32(DROP_NOTIFY.src_label, true),
    destinationIdentity: v.getUint32(DROP_NOTIFY.dst_label, true),
    packet: bytes.subarray(DROP_NOTIFY.size),
  };
}

function readPolicyVerdict(v: DataView, bytes: Uint8Array): PolicyVerdictNotify {
  const bits = v.getUint8(POLICY_VERDICT_NOTIFY.dir); // 0..1 direction, 2 IPv6, 3..5 match type, 6 audited
  return {
    type: EVENT_POLICY_VERDICT,
    remoteIdentity: v.getUint32(POLICY_VERDICT_NOTIFY.remote_label, true),
    verdict: v.getInt32(POLICY_VERDICT_NOTIFY.verdict, true),
    ingress: (bits & 0x03) === 1,
    matchType: (bits >> 3) & 0x07,
    audited: (bits & 0x40) !== 0,
    authType: v.getUint8(POLICY_VERDICT_NOTIFY.auth_type),
    packet: bytes.subarray(POLICY_VERDICT_NOTIFY.size),
  };
}

function view(bytes: Uint8Array, size: number, version: number): DataView {
  if (bytes.length < size) throw new HubbleError('INVALID', 'an event cut short', { bytes: bytes.length, wants: size });
  const v = new DataView(bytes.buffer, bytes.byteOffset, size);
  const found = v.getUint16(TRACE_NOTIFY.version, true);
  if (found !== version) {
    const context = { type: v.getUint8(0), version: found, supported: version };
    throw new HubbleError('UNSUPPORTED', 'events of this version are not supported', context);
  }
  return v;
}

function refuseL3Device(flags: number): void {
  if ((flags & FLAG_L3_DEVICE) === 0) return;
  throw new HubbleError('UNSUPPORTED', 'packets of devices without Ethernet headers are not supported yet', { flags });
}
