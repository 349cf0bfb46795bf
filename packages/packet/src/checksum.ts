import { be16, setBe16 } from './bytes.ts';
import { ETH, ETH_P_IP, ETH_P_IPV6, ethType } from './eth.ts';
import { ICMP } from './icmp.ts';
import {
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPV4,
  ipv4HeaderLength,
  ipv4IsFragment,
  ipv4Protocol,
  ipv4TotalLength,
  ipv4Version,
} from './ipv4.ts';
import {
  IPV6,
  ipv6ExtensionLength,
  ipv6IsFragment,
  ipv6NextHeader,
  ipv6PayloadLength,
  ipv6Version,
  isIpv6Extension,
  NEXTHDR_FRAGMENT,
} from './ipv6.ts';
import { TCP } from './tcp.ts';
import { UDP } from './udp.ts';

/**
 * The internet checksum of `length` bytes at `at`: what belongs in a checksum field that was zero while summing, and 0
 * over data whose checksum field is right.
 *
 * @param initial a sum to go on from, not complemented (the pseudo header's, for instance)
 * Source: RFC 1071.
 */
export function internetChecksum(u8: Uint8Array, at: number, length: number, initial = 0): number {
  let sum = initial;
  const evenEnd = at + (length & ~1);
  for (let i = at; i < evenEnd; i += 2) sum += be16(u8, i);
  if (length & 1) sum += u8[evenEnd]! << 8;
  return ~fold(sum) & 0xffff;
}

/**
 * @returns the checksum `sum` after a 16-bit field it covers went from `before` to `after`: HC' = ~(~HC + ~m + m').
 * A UDP checksum of 0 means "none" and must be left alone; a UDP result of 0 is sent as 0xffff. Both are the caller's.
 * Source: RFC 1624, equation 3.
 */
export const updateChecksum16 = (sum: number, before: number, after: number): number =>
  ~fold((~sum & 0xffff) + (~before & 0xffff) + after) & 0xffff;

/** The same for a 32-bit field (an address, a sequence number) on an even offset. */
export const updateChecksum32 = (sum: number, before: number, after: number): number =>
  updateChecksum16(updateChecksum16(sum, before >>> 16, after >>> 16), before & 0xffff, after & 0xffff);

/**
 * Write the IPv4 header checksum and the TCP, UDP, ICMP or ICMPv6 checksum of an Ethernet frame, whatever they were.
 * What cannot be summed is left alone: other EtherTypes and protocols, fragments, frames cut short.
 *
 * @param at     byte offset of the Ethernet header
 * @param length of the frame, in bytes
 */
export function fixChecksums(u8: Uint8Array, at: number, length: number): void {
  const ip = summableIpv4(u8, at, length);
  if (ip >= 0) {
    setBe16(u8, ip + IPV4.checksum, 0);
    setBe16(u8, ip + IPV4.checksum, internetChecksum(u8, ip, ipv4HeaderLength(u8, ip)));
  }
  const segment = ip >= 0 ? segmentOfIpv4(u8, ip, at + length) : segmentOfIpv6(u8, at, length);
  if (segment === undefined) return;
  setBe16(u8, segment.field, 0);
  const sum = l4Checksum(u8, segment);
  setBe16(u8, segment.field, sum === 0 && segment.protocol === IPPROTO_UDP ? 0xffff : sum); // RFC 768: 0 would say "none"
}

/**
 * @returns which checksum of the frame is wrong, or undefined. What `fixChecksums` leaves alone counts as right, and so
 * does a UDP datagram over IPv4 that carries none.
 */
export function verifyChecksums(
  u8: Uint8Array,
  at: number,
  length: number,
): 'ipv4' | 'tcp' | 'udp' | 'icmp' | undefined {
  const ip = summableIpv4(u8, at, length);
  if (ip >= 0 && internetChecksum(u8, ip, ipv4HeaderLength(u8, ip)) !== 0) return 'ipv4';
  const segment = ip >= 0 ? segmentOfIpv4(u8, ip, at + length) : segmentOfIpv6(u8, at, length);
  if (segment === undefined) return undefined;
  const { protocol, field } = segment;
  // RFC 8200, section 8.1: over IPv6 there is always one.
  if (ip >= 0 && protocol === IPPROTO_UDP && be16(u8, field) === 0) return undefined;
  if (l4Checksum(u8, segment) === 0) return undefined;
  return protocol === IPPROTO_TCP ? 'tcp' : protocol === IPPROTO_UDP ? 'udp' : 'icmp';
}

/** What an L4 checksum covers. */
interface Segment {
  protocol: number;
  at: number;
  length: number;
  /** Of the checksum. */
  field: number;
  /** Where both IP addresses lie, and their bytes; none where they are not part of the sum. */
  addresses: number;
  addressBytes: number;
}

/** @returns offset of an IPv4 header that is whole and consistent, or -1. */
function summableIpv4(u8: Uint8Array, at: number, length: number): number {
  const ip = at + ETH.size;
  if (length < ETH.size + IPV4.size || ethType(u8, at) !== ETH_P_IP || ipv4Version(u8, ip) !== 4) return -1;
  const headerLength = ipv4HeaderLength(u8, ip);
  if (headerLength < IPV4.size || ETH.size + headerLength > length || ipv4TotalLength(u8, ip) < headerLength) return -1;
  return ip;
}

/** Undefined where the L4 checksum cannot be computed. */
function segmentOfIpv4(u8: Uint8Array, ip: number, end: number): Segment | undefined {
  const headerLength = ipv4HeaderLength(u8, ip);
  const length = ipv4TotalLength(u8, ip) - headerLength;
  const protocol = ipv4Protocol(u8, ip);
  if (ipv4IsFragment(u8, ip) || ip + headerLength + length > end) return undefined;
  const isIcmp = protocol === IPPROTO_ICMP; // which has no pseudo header
  const sum = isIcmp ? ICMP : checksumIn(protocol);
  if (sum === undefined || length < sum.size) return undefined;
  const at = ip + headerLength;
  const addressBytes = isIcmp ? 0 : 8;
  return { protocol, at, length, field: at + sum.checksum, addresses: ip + IPV4.src, addressBytes };
}

/** Undefined where the L4 checksum cannot be computed: also behind a fragment header, unless that of a whole packet. */
function segmentOfIpv6(u8: Uint8Array, start: number, frameLength: number): Segment | undefined {
  const ip = start + ETH.size;
  if (frameLength < ETH.size + IPV6.size || ethType(u8, start) !== ETH_P_IPV6) return undefined;
  const end = ip + IPV6.size + ipv6PayloadLength(u8, ip);
  if (ipv6Version(u8, ip) !== 6 || end > start + frameLength) return undefined;
  let protocol = ipv6NextHeader(u8, ip);
  let at = ip + IPV6.size;
  while (isIpv6Extension(protocol) && at + 8 <= end) {
    if (protocol === NEXTHDR_FRAGMENT && ipv6IsFragment(u8, at)) return undefined;
    const following = u8[at]!;
    at += ipv6ExtensionLength(u8, at, protocol);
    protocol = following;
  }
  const sum = protocol === IPPROTO_ICMPV6 ? ICMP : checksumIn(protocol);
  if (sum === undefined || at + sum.size > end) return undefined;
  return { protocol, at, length: end - at, field: at + sum.checksum, addresses: ip + IPV6.src, addressBytes: 32 };
}

/** Size of the header, and where in it the checksum is. */
function checksumIn(protocol: number): { size: number; checksum: number } | undefined {
  return protocol === IPPROTO_TCP ? TCP : protocol === IPPROTO_UDP ? UDP : undefined;
}

function l4Checksum(u8: Uint8Array, { protocol, at, length, addresses, addressBytes }: Segment): number {
  let pseudo = addressBytes === 0 ? 0 : protocol + length;
  for (let i = addresses; i < addresses + addressBytes; i += 2) pseudo += be16(u8, i);
  return internetChecksum(u8, at, length, pseudo);
}

/** A sum of 16-bit words into 16 bits, carries added in. A packet's sum stays far below 2^32. */
function fold(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16);
  return (once & 0xffff) + (once >>> 16);
}
