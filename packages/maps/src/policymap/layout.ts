import type { Address, Memory } from '../memory.ts';

/**
 * `struct policy_key`, 12 bytes, the key of an LPM trie; numbers are byte offsets. prefixlen u32, in bits, without
 * itself; secLabel u32, host order; egress: bit 0, 1 = egress; protocol u8; dport be16. Source: bpf/lib/common.h.
 */
export const POLICY_KEY = { size: 12, prefixlen: 0, secLabel: 4, egress: 8, protocol: 9, dport: 10 } as const;

/**
 * `struct policy_entry`, 8 bytes. proxyPort be16; flags: bit 0 deny, bits 3..7 lpm_prefix_length; auth: bits 0..6
 * auth_type, bit 7 has_explicit_auth_type; proxyPortPriority u8. Source: bpf/lib/common.h.
 */
export const POLICY_ENTRY = { size: 8, proxyPort: 0, flags: 2, auth: 3, proxyPortPriority: 4 } as const;
export const POLICY_ENTRY_MASK = { deny: 0x01, lpmPrefixLength: 0xf8, authType: 0x7f, hasExplicitAuth: 0x80 } as const;
const LPM_PREFIX_SHIFT = 3;

/** Bits of identity and direction, which every key names; and of a key that names protocol and port as well. */
export const POLICY_STATIC_PREFIX_BITS = 40;
export const POLICY_FULL_PREFIX_BITS = 64;
/** Bits of a key that names a protocol but no port, beyond the static ones. */
export const POLICY_PROTOCOL_BITS = 8;

/**
 * Writes a key at `at` (a multiple of 4). Allocates nothing.
 * @param prefixlen bits: 40..64
 * @param egress    1 = egress, 0 = ingress
 * @param dport     host order
 */
export function setPolicyKey(
  m: Memory,
  at: Address,
  prefixlen: number,
  identity: number,
  egress: 0 | 1,
  protocol: number,
  dport: number,
): void {
  m.u32[(at + POLICY_KEY.prefixlen) >> 2] = prefixlen;
  m.u32[(at + POLICY_KEY.secLabel) >> 2] = identity;
  m.u32[(at + POLICY_KEY.egress) >> 2] = egress | (protocol << 8) | ((dport & 0xff00) << 8) | (dport << 24);
}

export const keyPrefixlen = (m: Memory, at: Address): number => m.u32[(at + POLICY_KEY.prefixlen) >> 2]!;
export const keyIdentity = (m: Memory, at: Address): number => m.u32[(at + POLICY_KEY.secLabel) >> 2]!;
export const keyIsEgress = (m: Memory, at: Address): boolean => (m.u8[at + POLICY_KEY.egress]! & 1) !== 0;
export const keyProtocol = (m: Memory, at: Address): number => m.u8[at + POLICY_KEY.protocol]!;
/** Host order. */
export const keyDport = (m: Memory, at: Address): number => m.view.getUint16(at + POLICY_KEY.dport);

/** Host order, 0 = no redirect. */
export const proxyPort = (m: Memory, at: Address): number => m.view.getUint16(at + POLICY_ENTRY.proxyPort);
export const isDeny = (m: Memory, at: Address): boolean =>
  (m.u8[at + POLICY_ENTRY.flags]! & POLICY_ENTRY_MASK.deny) !== 0;
/** Bits of protocol and port in the entry's key: 0, 8, or 8 and the port's 1..16. */
export const lpmPrefixLength = (m: Memory, at: Address): number => m.u8[at + POLICY_ENTRY.flags]! >>> LPM_PREFIX_SHIFT;
/** 0 = none. */
export const authType = (m: Memory, at: Address): number => m.u8[at + POLICY_ENTRY.auth]! & POLICY_ENTRY_MASK.authType;
export const hasExplicitAuth = (m: Memory, at: Address): boolean =>
  (m.u8[at + POLICY_ENTRY.auth]! & POLICY_ENTRY_MASK.hasExplicitAuth) !== 0;
export const proxyPortPriority = (m: Memory, at: Address): number => m.u8[at + POLICY_ENTRY.proxyPortPriority]!;

export function setProxyPort(m: Memory, at: Address, port: number): void {
  m.view.setUint16(at + POLICY_ENTRY.proxyPort, port);
}
export function setDeny(m: Memory, at: Address, deny: boolean): void {
  setMasked(m, at + POLICY_ENTRY.flags, POLICY_ENTRY_MASK.deny, deny ? POLICY_ENTRY_MASK.deny : 0);
}
export function setLpmPrefixLength(m: Memory, at: Address, bits: number): void {
  setMasked(m, at + POLICY_ENTRY.flags, POLICY_ENTRY_MASK.lpmPrefixLength, bits << LPM_PREFIX_SHIFT);
}
export function setAuthType(m: Memory, at: Address, type: number): void {
  setMasked(m, at + POLICY_ENTRY.auth, POLICY_ENTRY_MASK.authType, type);
}
export function setHasExplicitAuth(m: Memory, at: Address, explicit: boolean): void {
  const mask = POLICY_ENTRY_MASK.hasExplicitAuth;
  setMasked(m, at + POLICY_ENTRY.auth, mask, explicit ? mask : 0);
}
export function setProxyPortPriority(m: Memory, at: Address, priority: number): void {
  m.u8[at + POLICY_ENTRY.proxyPortPriority] = priority;
}

function setMasked(m: Memory, at: Address, mask: number, bits: number): void {
  m.u8[at] = (m.u8[at]! & ~mask) | (bits & mask);
}
