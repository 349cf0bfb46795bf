import { be16, setBe16 } from './bytes.ts';
import { ETH, ETH_P_IP, ethType } from './eth.ts';
import { ICMP } from './icmp.ts';
import {
  IPPROTO_ICMP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPV4,
  ipv4HeaderLength,
  ipv4IsFragment,
  ipv4Protocol,
  ipv4TotalLength,
  ipv4Version,
} from './ipv4.ts';
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
 * Write the IPv4 header checksum and the TCP, UDP or ICMP checksum of an Ethernet frame, whatever they were.
 * What cannot be summed is left alone: other EtherTypes and protocols, fragments, frames cut short.
 *
 * @param at     byte offset of the Ethernet header
 * @param length of the frame, in bytes
 */
export function fixChecksums(u8: Uint8Array, at: number, length: number): void {
  const ip = summableIpv4(u8, at, length);
  if (ip < 0) return;
  const headerLength = ipv4HeaderLength(u8, ip);
  setBe16(u8, ip + IPV4.checksum, 0);
  setBe16(u8, ip + IPV4.checksum, internetChecksum(u8, ip, headerLength));
  const field = l4ChecksumAt(u8, ip, at + length);
  if (field < 0) return;
  setBe16(u8, field, 0);
  const sum = l4Checksum(u8, ip);
  setBe16(u8, field, sum === 0 && ipv4Protocol(u8, ip) === IPPROTO_UDP ? 0xffff : sum); // RFC 768: 0 would say "none"
}

/**
 * @returns which checksum of the frame is wrong, or undefined. What `fixChecksums` leaves alone counts as right, and so
 * does a UDP datagram that carries none.
 */
export function verifyChecksums(
  u8: Uint8Array,
  at: number,
  length: number,
): 'ipv4' | 'tcp' | 'udp' | 'icmp' | undefined {
  const ip = summableIpv4(u8, at, length);
  if (ip < 0) return undefined;
  if (internetChecksum(u8, ip, ipv4HeaderLength(u8, ip)) !== 0) return 'ipv4';
  const field = l4ChecksumAt(u8, ip, at + length);
  if (field < 0) return undefined;
  const protocol = ipv4Protocol(u8, ip);
  if (protocol === IPPROTO_UDP && be16(u8, field) === 0) return undefined;
  if (l4Checksum(u8, ip) === 0) return undefined;
  return protocol === IPPROTO_TCP ? 'tcp' : protocol === IPPROTO_UDP ? 'udp' : 'icmp';
}

/** @returns offset of an IPv4 header that is whole and consistent, or -1. */
function summableIpv4(u8: Uint8Array, at: number, length: number): number {
  const ip = at + ETH.size;
  if (length < ETH.size + IPV4.size || ethType(u8, at) !== ETH_P_IP || ipv4Version(u8, ip) !== 4) return -1;
  const headerLength = ipv4HeaderLength(u8, ip);
  if (headerLength < IPV4.size || ETH.size + headerLength > length || ipv4TotalLength(u8, ip) < headerLength) return -1;
  return ip;
}

/** @returns offset of the L4 checksum field, or -1 where the L4 checksum cannot be computed. */
function l4ChecksumAt(u8: Uint8Array, ip: number, end: number): number {
  if (ipv4IsFragment(u8, ip) || ip + ipv4TotalLength(u8, ip) > end) return -1;
  const l4 = ip + ipv4HeaderLength(u8, ip);
  const length = ip + ipv4TotalLength(u8, ip) - l4;
  switch (ipv4Protocol(u8, ip)) {
    case IPPROTO_TCP:
      return length < TCP.size ? -1 : l4 + TCP.checksum;
    case IPPROTO_UDP:
      return length < UDP.size ? -1 : l4 + UDP.checksum;
    case IPPROTO_ICMP:
      return length < ICMP.size ? -1 : l4 + ICMP.checksum;
    default:
      return -1;
  }
}

function l4Checksum(u8: Uint8Array, ip: number): number {
  const headerLength = ipv4HeaderLength(u8, ip);
  const length = ipv4TotalLength(u8, ip) - headerLength;
  const protocol = ipv4Protocol(u8, ip);
  let pseudo = 0; // ICMP has none
  if (protocol !== IPPROTO_ICMP) {
    pseudo = protocol + length;
    for (let i = ip + IPV4.src; i < ip + IPV4.size; i += 2) pseudo += be16(u8, i); // both addresses
  }
  return internetChecksum(u8, ip + headerLength, length, pseudo);
}

/** A sum of 16-bit words into 16 bits, carries added in. A packet's sum stays far below 2^32. */
function fold(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16);
  return (once & 0xffff) + (once >>> 16);
}
