import { be16, be32, setBe16, setBe32 } from './bytes.ts';

/** `struct ipv6hdr`, 40 bytes; numbers are byte offsets. Source: RFC 8200, section 3. */
export const IPV6 = {
  size: 40,
  versionAndClass: 0, // high 4 bits: version
  payloadLength: 4, // of all behind this header
  nextHeader: 6,
  hopLimit: 7,
  src: 8,
  dst: 24,
} as const;

// Next headers that are no transport, named as in bpf/lib/ipv6.h. Source: RFC 8200, section 4; RFC 4302.
export const NEXTHDR_HOP = 0;
export const NEXTHDR_ROUTING = 43;
export const NEXTHDR_FRAGMENT = 44;
export const NEXTHDR_AUTH = 51;
export const NEXTHDR_NONE = 59;
export const NEXTHDR_DEST = 60;

const MORE_FRAGMENTS = 0x0001;
const OFFSET_MASK = 0xfff8;

export const ipv6Version = (u8: Uint8Array, at: number): number => u8[at]! >>> 4;
/** What follows the header, extension headers too, in bytes. */
export const ipv6PayloadLength = (u8: Uint8Array, at: number): number => be16(u8, at + IPV6.payloadLength);
export const ipv6NextHeader = (u8: Uint8Array, at: number): number => u8[at + IPV6.nextHeader]!;
export const ipv6HopLimit = (u8: Uint8Array, at: number): number => u8[at + IPV6.hopLimit]!;
/** Addresses as bigints of 128 bits; each call allocates, so they are not for the hot path. */
export const ipv6Src = (u8: Uint8Array, at: number): bigint => address(u8, at + IPV6.src);
export const ipv6Dst = (u8: Uint8Array, at: number): bigint => address(u8, at + IPV6.dst);

// Setters write the field alone; checksum.ts has what brings the checksums up to date.
export const setIpv6PayloadLength = (u8: Uint8Array, at: number, bytes: number): void =>
  setBe16(u8, at + IPV6.payloadLength, bytes);
export function setIpv6HopLimit(u8: Uint8Array, at: number, hops: number): void {
  u8[at + IPV6.hopLimit] = hops;
}
export const setIpv6Src = (u8: Uint8Array, at: number, value: bigint): void => setAddress(u8, at + IPV6.src, value);
export const setIpv6Dst = (u8: Uint8Array, at: number, value: bigint): void => setAddress(u8, at + IPV6.dst, value);

/** Is this next header one of the extension headers that Cilium steps over? */
export const isIpv6Extension = (next: number): boolean =>
  next === NEXTHDR_HOP ||
  next === NEXTHDR_ROUTING ||
  next === NEXTHDR_FRAGMENT ||
  next === NEXTHDR_AUTH ||
  next === NEXTHDR_DEST;

/** Bytes of the extension header of kind `next` at `at`; its first byte names the header behind it. */
export function ipv6ExtensionLength(u8: Uint8Array, at: number, next: number): number {
  if (next === NEXTHDR_FRAGMENT) return 8;
  return next === NEXTHDR_AUTH ? (u8[at + 1]! + 2) << 2 : (u8[at + 1]! + 1) << 3;
}

// The fragment header at `at`. Source: RFC 8200, section 4.5.
/** Of the payload, in bytes. */
export const ipv6FragmentOffset = (u8: Uint8Array, at: number): number => be16(u8, at + 2) & OFFSET_MASK;
/** False of an atomic fragment, which is the whole packet (RFC 6946). */
export const ipv6IsFragment = (u8: Uint8Array, at: number): boolean =>
  (be16(u8, at + 2) & (OFFSET_MASK | MORE_FRAGMENTS)) !== 0;
export const ipv6FragmentId = (u8: Uint8Array, at: number): number => be32(u8, at + 4);

function address(u8: Uint8Array, at: number): bigint {
  const high = (BigInt(be32(u8, at)) << 32n) | BigInt(be32(u8, at + 4));
  return (high << 64n) | (BigInt(be32(u8, at + 8)) << 32n) | BigInt(be32(u8, at + 12));
}

function setAddress(u8: Uint8Array, at: number, value: bigint): void {
  for (let i = 0; i < 4; i++) setBe32(u8, at + 4 * i, Number((value >> BigInt(96 - 32 * i)) & 0xffff_ffffn));
}
