import { type Address, type Memory, NULL } from '@ciliate/maps';
import { IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP } from '@ciliate/packet';
import type { Skb } from '../skb.ts';

// One's complement sums do not depend on byte order: words go in as loaded. A difference (csum_diff) is a plain number
// that has not been folded yet; sums here stay far below 2^53. Sources: RFC 1624, bpf/lib/csum.h.

/** `diff` and what it changes when a 32-bit word goes from `before` to `after`. */
export const csumDiff = (diff: number, before: number, after: number): number =>
  diff + (~before & 0xffff) + (~before >>> 16) + (after & 0xffff) + (after >>> 16);

/** The 16-bit checksum at `at` after what it covers changed by `diff`. */
export function csumReplace(m: Memory, at: Address, diff: number): void {
  m.u16[at >> 1] = ~fold((~m.u16[at >> 1]! & 0xffff) + diff) & 0xffff;
}

/** A sum of 16-bit words in 16 bits, carries added in. */
export function fold(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded % 0x10000) + Math.floor(folded / 0x10000);
  return folded;
}

/** Where the transport checksum lies behind the transport header's start; 0: the protocol's is left alone. */
export function csumOffset(protocol: number): number {
  if (protocol === IPPROTO_TCP) return 16;
  if (protocol === IPPROTO_UDP) return 6;
  return protocol === IPPROTO_ICMPV6 ? 2 : 0;
}

/**
 * csum_l4_replace: brings the transport checksum up to date. A UDP checksum of 0 says that there is none.
 * @returns false if the packet ends before it
 */
export function csumL4Replace(skb: Skb, protocol: number, l4Off: number, diff: number): boolean {
  const at = skb.at(l4Off + csumOffset(protocol), 2);
  if (at === NULL) return false;
  const { memory: m } = skb;
  if (protocol !== IPPROTO_UDP) csumReplace(m, at, diff);
  else if (m.u16[at >> 1] !== 0) {
    csumReplace(m, at, diff);
    if (m.u16[at >> 1] === 0) m.u16[at >> 1] = 0xffff;
  }
  return true;
}

/** Sum of `bytes` bytes at `at` (even), the last of an odd number as the low byte of a word. */
export function csumOf(m: Memory, at: Address, bytes: number): number {
  let sum = 0;
  const end = at + (bytes & ~1);
  for (let i = at; i < end; i += 2) sum += m.u16[i >> 1]!;
  return bytes & 1 ? sum + m.u8[end]! : sum;
}
