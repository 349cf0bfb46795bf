import { isIpv6, parseIp } from './address.ts';
import { be16, be32, setBe16, setBe32 } from './bytes.ts';

/** `struct iphdr`, 20 bytes without options; numbers are byte offsets. Source: RFC 791, section 3.1. */
export const IPV4 = {
  size: 20,
  versionAndLength: 0, // high 4 bits: version; low 4 bits: header length in 32-bit words
  tos: 1,
  totalLength: 2,
  id: 4,
  fragment: 6, // bit 15 reserved, 14 don't fragment, 13 more fragments; 0..12 offset in units of 8 bytes
  ttl: 8,
  protocol: 9,
  checksum: 10,
  src: 12,
  dst: 16,
} as const;

// Source: the IANA protocol numbers, named as in linux/in.h and linux/in6.h.
export const IPPROTO_ICMP = 1;
export const IPPROTO_IGMP = 2;
export const IPPROTO_TCP = 6;
export const IPPROTO_UDP = 17;
export const IPPROTO_ICMPV6 = 58;
export const IPPROTO_SCTP = 132;

export const IPV4_DONT_FRAGMENT = 0x4000;
export const IPV4_MORE_FRAGMENTS = 0x2000;
const OFFSET_MASK = 0x1fff;

export const ipv4Version = (u8: Uint8Array, at: number): number => u8[at]! >>> 4;
/** Header with options, in bytes: 20..60 in a valid packet, as low as 0 in a broken one. */
export const ipv4HeaderLength = (u8: Uint8Array, at: number): number => (u8[at]! & 0x0f) << 2;
export const ipv4Tos = (u8: Uint8Array, at: number): number => u8[at + IPV4.tos]!;
/** Header and payload, in bytes. */
export const ipv4TotalLength = (u8: Uint8Array, at: number): number => be16(u8, at + IPV4.totalLength);
export const ipv4Id = (u8: Uint8Array, at: number): number => be16(u8, at + IPV4.id);
/** Of the payload, in bytes. */
export const ipv4FragmentOffset = (u8: Uint8Array, at: number): number =>
  (be16(u8, at + IPV4.fragment) & OFFSET_MASK) << 3;
/** True of every fragment, the first and the last too. */
export const ipv4IsFragment = (u8: Uint8Array, at: number): boolean =>
  (be16(u8, at + IPV4.fragment) & (IPV4_MORE_FRAGMENTS | OFFSET_MASK)) !== 0;
/** True where the L4 header is in another fragment. */
export const ipv4IsLaterFragment = (u8: Uint8Array, at: number): boolean =>
  (be16(u8, at + IPV4.fragment) & OFFSET_MASK) !== 0;
export const ipv4Ttl = (u8: Uint8Array, at: number): number => u8[at + IPV4.ttl]!;
export const ipv4Protocol = (u8: Uint8Array, at: number): number => u8[at + IPV4.protocol]!;
export const ipv4Checksum = (u8: Uint8Array, at: number): number => be16(u8, at + IPV4.checksum);
/** Addresses are host-order numbers: 10.0.0.1 is 0x0a000001. */
export const ipv4Src = (u8: Uint8Array, at: number): number => be32(u8, at + IPV4.src);
export const ipv4Dst = (u8: Uint8Array, at: number): number => be32(u8, at + IPV4.dst);

// Setters write the field alone; checksum.ts has what brings the checksums up to date.
export function setIpv4Ttl(u8: Uint8Array, at: number, ttl: number): void {
  u8[at + IPV4.ttl] = ttl;
}
export const setIpv4TotalLength = (u8: Uint8Array, at: number, bytes: number): void =>
  setBe16(u8, at + IPV4.totalLength, bytes);
export const setIpv4Checksum = (u8: Uint8Array, at: number, sum: number): void => setBe16(u8, at + IPV4.checksum, sum);
export const setIpv4Src = (u8: Uint8Array, at: number, address: number): void => setBe32(u8, at + IPV4.src, address);
export const setIpv4Dst = (u8: Uint8Array, at: number, address: number): void => setBe32(u8, at + IPV4.dst, address);

/** @returns dotted form of a host-order address; for messages and tables, not for the hot path. */
export const formatIpv4 = (address: number): string =>
  `${address >>> 24}.${(address >>> 16) & 0xff}.${(address >>> 8) & 0xff}.${address & 0xff}`;

/** The host-order address of a dotted form, or undefined if it is none. */
export function parseIpv4(text: string): number | undefined {
  const address = parseIp(text);
  return address === undefined || isIpv6(address) ? undefined : address;
}
