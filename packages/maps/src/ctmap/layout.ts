import type { Address, Memory } from '../memory.ts';

/**
 * `struct ipv4_ct_tuple`, 14 bytes, the key of the conntrack maps. daddr, saddr be32; dport, sport be16; nexthdr u8:
 * IP protocol; flags u8: TUPLE_F_*. The address fields hold the opposite of what their names say, except in entries of
 * services. Source: bpf/lib/common.h.
 */
export const IPV4_CT_TUPLE = {
  size: 14,
  daddr: 0,
  saddr: 4,
  dport: 8,
  sport: 10,
  nexthdr: 12,
  flags: 13,
} as const;

/**
 * `struct ct_entry`, 56 bytes. backend_id, packets, bytes u64; lifetime, last_*_report u32, seconds of the clock;
 * flags u16 (`CT_ENTRY_FLAG`); rev_nat_index be16; *_flags_seen u8: TCP flags; src_sec_id u32. Source: bpf/lib/common.h.
 */
export const CT_ENTRY = {
  size: 56,
  reserved0: 0,
  backend_id: 8,
  packets: 16,
  bytes: 24,
  lifetime: 32,
  flags: 36,
  rev_nat_index: 38,
  reserved4: 40,
  tx_flags_seen: 42,
  rx_flags_seen: 43,
  src_sec_id: 44,
  last_tx_report: 48,
  last_rx_report: 52,
} as const;

/** Bits of the u16 at `CT_ENTRY.flags`. */
export const CT_ENTRY_FLAG = {
  rx_closing: 0x0001,
  tx_closing: 0x0002,
  reserved1: 0x0004,
  lb_loopback: 0x0008,
  seen_non_syn: 0x0010,
  node_port: 0x0020,
  proxy_redirect: 0x0040,
  dsr_internal: 0x0080,
  from_l7lb: 0x0100,
  reserved2: 0x0200,
  from_tunnel: 0x0400,
  reserved3: 0xf800,
} as const;

/** Writes a key at `at` (a multiple of 4). Addresses and ports host order. Allocates nothing. */
export function setCtTuple4(
  m: Memory,
  at: Address,
  daddr: number,
  saddr: number,
  dport: number,
  sport: number,
  nexthdr: number,
  flags: number,
): void {
  m.view.setUint32(at + IPV4_CT_TUPLE.daddr, daddr);
  m.view.setUint32(at + IPV4_CT_TUPLE.saddr, saddr);
  m.view.setUint16(at + IPV4_CT_TUPLE.dport, dport);
  m.view.setUint16(at + IPV4_CT_TUPLE.sport, sport);
  m.u8[at + IPV4_CT_TUPLE.nexthdr] = nexthdr;
  m.u8[at + IPV4_CT_TUPLE.flags] = flags;
}

const u32 = (m: Memory, at: Address): number => m.u32[at >> 2]!;
/** Exact up to 2^53, which no counter here reaches. */
const u64 = (m: Memory, at: Address): number => m.u32[at >> 2]! + m.u32[(at >> 2) + 1]! * 2 ** 32;

export const ctBackendId = (m: Memory, at: Address): number => u64(m, at + CT_ENTRY.backend_id);
export const ctPackets = (m: Memory, at: Address): number => u64(m, at + CT_ENTRY.packets);
export const ctBytes = (m: Memory, at: Address): number => u64(m, at + CT_ENTRY.bytes);
/** Seconds of the clock at which the entry ends. */
export const ctLifetime = (m: Memory, at: Address): number => u32(m, at + CT_ENTRY.lifetime);
/** `CT_ENTRY_FLAG` bits. */
export const ctFlags = (m: Memory, at: Address): number => m.u16[(at + CT_ENTRY.flags) >> 1]!;
/** Host order. */
export const ctRevNatIndex = (m: Memory, at: Address): number => m.view.getUint16(at + CT_ENTRY.rev_nat_index);
export const ctTxFlagsSeen = (m: Memory, at: Address): number => m.u8[at + CT_ENTRY.tx_flags_seen]!;
export const ctRxFlagsSeen = (m: Memory, at: Address): number => m.u8[at + CT_ENTRY.rx_flags_seen]!;
export const ctSrcSecId = (m: Memory, at: Address): number => u32(m, at + CT_ENTRY.src_sec_id);
/** Seconds. */
export const ctLastTxReport = (m: Memory, at: Address): number => u32(m, at + CT_ENTRY.last_tx_report);
export const ctLastRxReport = (m: Memory, at: Address): number => u32(m, at + CT_ENTRY.last_rx_report);

export function setCtBackendId(m: Memory, at: Address, id: number): void {
  m.u32[(at + CT_ENTRY.backend_id) >> 2] = id;
  m.u32[(at + CT_ENTRY.backend_id + 4) >> 2] = 0;
}
/** Adds one packet of `bytes` bytes to the two counters. */
export function addCtPacket(m: Memory, at: Address, bytes: number): void {
  add64(m, at + CT_ENTRY.packets, 1);
  add64(m, at + CT_ENTRY.bytes, bytes);
}
export function setCtLifetime(m: Memory, at: Address, seconds: number): void {
  m.u32[(at + CT_ENTRY.lifetime) >> 2] = seconds;
}
export function setCtFlags(m: Memory, at: Address, flags: number): void {
  m.u16[(at + CT_ENTRY.flags) >> 1] = flags;
}
/** @param index host order */
export function setCtRevNatIndex(m: Memory, at: Address, index: number): void {
  m.view.setUint16(at + CT_ENTRY.rev_nat_index, index);
}
export function setCtTxFlagsSeen(m: Memory, at: Address, flags: number): void {
  m.u8[at + CT_ENTRY.tx_flags_seen] = flags;
}
export function setCtRxFlagsSeen(m: Memory, at: Address, flags: number): void {
  m.u8[at + CT_ENTRY.rx_flags_seen] = flags;
}
export function setCtSrcSecId(m: Memory, at: Address, identity: number): void {
  m.u32[(at + CT_ENTRY.src_sec_id) >> 2] = identity;
}
export function setCtLastTxReport(m: Memory, at: Address, seconds: number): void {
  m.u32[(at + CT_ENTRY.last_tx_report) >> 2] = seconds;
}
export function setCtLastRxReport(m: Memory, at: Address, seconds: number): void {
  m.u32[(at + CT_ENTRY.last_rx_report) >> 2] = seconds;
}

function add64(m: Memory, at: Address, by: number): void {
  const low = m.u32[at >> 2]! + by;
  m.u32[at >> 2] = low;
  if (low > 0xffff_ffff) m.u32[(at >> 2) + 1]! += 1;
}
