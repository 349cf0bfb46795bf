import { type Address, type Memory, NULL } from '@ciliate/maps';
import { ETH, IPPROTO_TCP, IPPROTO_UDP, IPV4, TCP, UDP, updateChecksum16, updateChecksum32 } from '@ciliate/packet';
import type { Skb } from '../skb.ts';
import { CTX_ACT_OK, ETH_HLEN, IPV4_HLEN } from './common.ts';
import { DROP_CSUM_L4, DROP_TTL_EXCEEDED } from './drop_reasons.ts';

/** Does the frame hold an Ethernet header and a whole IPv4 header without options (revalidate_data)? */
export const hasIpv4Header = (skb: Skb): boolean => skb.len >= ETH_HLEN + IPV4_HLEN;

const ip = (skb: Skb): Address => skb.data + ETH_HLEN;
export const protocol = (skb: Skb): number => skb.memory.u8[ip(skb) + IPV4.protocol]!;
/** be32. */
export const saddr = (skb: Skb): number => skb.memory.u32[(ip(skb) + IPV4.src) >> 2]!;
/** be32. */
export const daddr = (skb: Skb): number => skb.memory.u32[(ip(skb) + IPV4.dst) >> 2]!;
/** Offset of the transport header; version and header length are not checked, as in Cilium. */
export const l4Offset = (skb: Skb): number => ETH_HLEN + (skb.memory.u8[ip(skb)]! & 0x0f) * 4;
/** More fragments follow, or this one is not the first. */
export const isFragment = (skb: Skb): boolean => {
  const at = ip(skb) + IPV4.fragment;
  return (skb.memory.u8[at]! & 0x3f) !== 0 || skb.memory.u8[at + 1] !== 0;
};

/** ipv4_l3: one hop less to live, new Ethernet addresses (6 bytes at each address; NULL: leave the source's). */
export function ipv4L3(skb: Skb, smac: Address, dmac: Address): number {
  const { memory: m } = skb;
  const at = ip(skb) + IPV4.ttl;
  const ttl = m.u8[at]!;
  if (ttl <= 1) return DROP_TTL_EXCEEDED;
  m.u8[at] = ttl - 1;
  replaceSum(m, ip(skb) + IPV4.checksum, updateChecksum16, ttl, ttl - 1); // TTL is the low byte of a word as loaded
  if (smac !== NULL) m.u8.copyWithin(skb.data + ETH.src, smac, smac + 6);
  m.u8.copyWithin(skb.data + ETH.dst, dmac, dmac + 6);
  return CTX_ACT_OK;
}

/** Which of the two ends of a packet a rewrite is about. */
export const SOURCE = 0;
export const DESTINATION = 1;

/**
 * Writes one end's address (be32) and port (be16, 0 = leave it) and keeps the IPv4, TCP and UDP checksums right.
 * @returns CTX_ACT_OK, or DROP_CSUM_L4 if the packet ends before the checksum (the address is written by then)
 */
export function rewriteEnd(skb: Skb, end: typeof SOURCE | typeof DESTINATION, address: number, port: number): number {
  const { memory: m } = skb;
  const addressAt = ip(skb) + (end === SOURCE ? IPV4.src : IPV4.dst);
  const before = m.u32[addressAt >> 2]!;
  m.u32[addressAt >> 2] = address;
  replaceSum(m, ip(skb) + IPV4.checksum, updateChecksum32, before, address);

  const proto = protocol(skb);
  if (proto !== IPPROTO_TCP && proto !== IPPROTO_UDP) return CTX_ACT_OK;
  const isUdp = proto === IPPROTO_UDP;
  const l4 = l4Offset(skb);
  const sumAt = skb.at(l4 + (isUdp ? UDP.checksum : TCP.checksum), 2);
  if (sumAt === NULL) return DROP_CSUM_L4;
  const summed = !isUdp || m.u16[sumAt >> 1] !== 0; // a UDP checksum of 0 says that there is none
  if (summed) replaceSum(m, sumAt, updateChecksum32, before, address);
  if (port !== 0) {
    const portAt = skb.data + l4 + (end === SOURCE ? TCP.srcPort : TCP.dstPort);
    if (summed) replaceSum(m, sumAt, updateChecksum16, m.u16[portAt >> 1]!, port);
    m.u16[portAt >> 1] = port;
  }
  if (isUdp && summed && m.u16[sumAt >> 1] === 0) m.u16[sumAt >> 1] = 0xffff;
  return CTX_ACT_OK;
}

/** One's complement sums do not depend on byte order: words go in as loaded. */
function replaceSum(m: Memory, at: Address, update: typeof updateChecksum16, before: number, after: number): void {
  m.u16[at >> 1] = update(m.u16[at >> 1]!, before, after);
}
