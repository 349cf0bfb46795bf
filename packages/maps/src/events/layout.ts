/**
 * Events of the datapath, as they lie in the ring in front of the packet's first bytes. In all: type, subtype u8; source u16,
 * the endpoint's id; hash u32; in most len_orig u32, len_cap u16, version u16.
 */

/** `struct drop_notify`, 40 bytes: type 1. src_label, dst_label, dst_id u32; line u16, file u8: the place in Cilium's sources. Source: bpf/lib/drop.h. */
export const DROP_NOTIFY = {
  size: 40,
  type: 0,
  subtype: 1,
  source: 2,
  hash: 4,
  len_orig: 8,
  len_cap: 12,
  version: 14,
  src_label: 16,
  dst_label: 20,
  dst_id: 24,
  line: 28,
  file: 30,
  ext_error: 31,
  ifindex: 32,
  flags: 36,
  pad2: 37,
} as const;

/** `struct trace_notify`, 48 bytes: type 4. src_label, dst_label u32; dst_id u16; orig_ip4 be32 or orig_ip6 16 bytes, in one place. Source: bpf/lib/trace.h. */
export const TRACE_NOTIFY = {
  size: 48,
  type: 0,
  subtype: 1,
  source: 2,
  hash: 4,
  len_orig: 8,
  len_cap: 12,
  version: 14,
  src_label: 16,
  dst_label: 20,
  dst_id: 24,
  reason: 26,
  flags: 27,
  ifindex: 28,
  orig_ip4: 32,
  orig_pad1: 36,
  orig_pad2: 40,
  orig_pad3: 44,
  orig_ip6: 32,
} as const;

/** `struct policy_verdict_notify`, 32 bytes: type 5. verdict i32; dst_port u16, as seen in the key; from byte 27: `POLICY_VERDICT_NOTIFY_MASK`. Source: bpf/lib/policy_log.h. */
export const POLICY_VERDICT_NOTIFY = {
  size: 32,
  type: 0,
  subtype: 1,
  source: 2,
  hash: 4,
  len_orig: 8,
  len_cap: 12,
  version: 14,
  remote_label: 16,
  verdict: 20,
  dst_port: 24,
  proto: 26,
  dir: 27,
  ipv6: 27,
  match_type: 27,
  audited: 27,
  pad0: 27,
  auth_type: 28,
  pad1: 29,
  pad2: 30,
} as const;
/** Bits of the byte at the field's offset in `POLICY_VERDICT_NOTIFY`. */
export const POLICY_VERDICT_NOTIFY_MASK = { dir: 0x3, ipv6: 0x4, match_type: 0x38, audited: 0x40, pad0: 0x80 } as const;

/** `struct debug_msg`, 20 bytes: type 2. arg1 to arg3 u32. Source: bpf/lib/dbg.h. */
export const DEBUG_MSG = { size: 20, type: 0, subtype: 1, source: 2, hash: 4, arg1: 8, arg2: 12, arg3: 16 } as const;

/** `struct debug_capture_msg`, 24 bytes: type 3. arg1, arg2 u32. Source: bpf/lib/dbg.h. */
export const DEBUG_CAPTURE_MSG = {
  size: 24,
  type: 0,
  subtype: 1,
  source: 2,
  hash: 4,
  len_orig: 8,
  len_cap: 12,
  version: 14,
  arg1: 16,
  arg2: 20,
} as const;

/** `struct trace_sock_notify`, 38 bytes: type 7. dst_ip: be32 or 16 bytes; dst_port u16; sock_cookie, cgroup_id u64. Source: bpf/lib/trace_sock.h. */
export const TRACE_SOCK_NOTIFY = {
  size: 38,
  type: 0,
  xlate_point: 1,
  dst_ip: 2,
  dst_port: 18,
  sock_cookie: 20,
  cgroup_id: 28,
  l4_proto: 36,
  ipv6: 37,
  pad: 37,
} as const;
/** Bits of the byte at the field's offset in `TRACE_SOCK_NOTIFY`. */
export const TRACE_SOCK_NOTIFY_MASK = { ipv6: 0x1, pad: 0xfe } as const;
