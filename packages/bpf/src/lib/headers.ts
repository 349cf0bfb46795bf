import { NULL } from '@ciliate/maps';
import type { Skb } from '../skb.ts';
import { ETH_HLEN } from './common.ts';
import { DROP_INVALID, DROP_INVALID_EXTHDR } from './drop_reasons.ts';
import type { Family } from './family.ts';

/**
 * What the programs read from the IP headers once: rewriting addresses and ports does not change it.
 * Sources: bpf/lib/ipv4.h, ipv6.h, ipfrag.h.
 */
export class Headers {
  /** Protocol behind all headers of the network layer. */
  nexthdr = 0;
  /** Of the transport header, from the frame's start. */
  l4Off = 0;
  isFragment = false;
  /** False for all fragments but the first. */
  hasL4Header = true;
  /** Of the datagram, as loaded: be16 in IPv4, be32 in IPv6. */
  fragmentId = 0;
  /** The protocol that a fragment's own header names. */
  fragmentProto = 0;
}

/** More extension headers are refused. */
const IPV6_MAX_HEADERS = 4;
const IPV6_FRAGLEN = 8;
const NEXTHDR_HOP = 0;
const NEXTHDR_ROUTING = 43;
const NEXTHDR_FRAGMENT = 44;
const NEXTHDR_AUTH = 51;
const NEXTHDR_NONE = 59;
const NEXTHDR_DEST = 60;

/** Does the frame hold an Ethernet header and a whole IP header without options (revalidate_data)? */
export const hasIpHeader = (fam: Family, skb: Skb): boolean => skb.len >= ETH_HLEN + fam.headerLength;

/** Version and header length are not checked, as in Cilium. @returns 0 or a drop code; the frame holds an IP header */
export const readHeaders = (fam: Family, skb: Skb, out: Headers): number => readHeadersAt(fam, skb, ETH_HLEN, out);

/** The same for a packet that another one quotes. @param l3Off of its IP header, which is there whole */
export function readHeadersAt(fam: Family, skb: Skb, l3Off: number, out: Headers): number {
  return fam.isV6 ? readIpv6(skb, l3Off, out) : readIpv4(skb, l3Off, out);
}

function readIpv4(skb: Skb, l3Off: number, out: Headers): number {
  const { u8, u16 } = skb.memory;
  const ip = skb.data + l3Off;
  out.nexthdr = u8[ip + 9]!;
  out.l4Off = l3Off + (u8[ip]! & 0x0f) * 4;
  const offset = ((u8[ip + 6]! & 0x1f) << 8) | u8[ip + 7]!;
  out.hasL4Header = offset === 0;
  out.isFragment = offset !== 0 || (u8[ip + 6]! & 0x20) !== 0;
  out.fragmentId = u16[(ip + 4) >> 1]!;
  out.fragmentProto = out.nexthdr;
  return 0;
}

function readIpv6(skb: Skb, l3Off: number, out: Headers): number {
  const { u8 } = skb.memory;
  out.isFragment = false;
  out.hasL4Header = true;
  let nexthdr = u8[skb.data + l3Off + 6]!;
  let offset = l3Off + 40;
  for (let i = 0; i < IPV6_MAX_HEADERS; i++) {
    if (nexthdr === NEXTHDR_NONE) return DROP_INVALID_EXTHDR;
    if (!isExtension(nexthdr)) {
      out.nexthdr = nexthdr;
      out.l4Off = offset;
      return 0;
    }
    const header = skb.at(offset, 2);
    if (header === NULL) return DROP_INVALID;
    const units = u8[header + 1]!;
    if (nexthdr === NEXTHDR_FRAGMENT) {
      if (skb.at(offset, IPV6_FRAGLEN) === NULL) return DROP_INVALID;
      const bits = (u8[header + 2]! << 8) | u8[header + 3]!;
      out.isFragment = (bits & 0xfff9) !== 0;
      out.hasL4Header = (bits & 0xfff8) === 0;
      out.fragmentId =
        (u8[header + 4]! | (u8[header + 5]! << 8) | (u8[header + 6]! << 16) | (u8[header + 7]! << 24)) >>> 0;
      out.fragmentProto = u8[header]!;
      offset += IPV6_FRAGLEN;
    } else offset += nexthdr === NEXTHDR_AUTH ? (units + 2) << 2 : (units + 1) << 3;
    nexthdr = u8[header]!;
  }
  return DROP_INVALID_EXTHDR;
}

function isExtension(nexthdr: number): boolean {
  switch (nexthdr) {
    case NEXTHDR_HOP:
    case NEXTHDR_ROUTING:
    case NEXTHDR_FRAGMENT:
    case NEXTHDR_AUTH:
    case NEXTHDR_DEST:
      return true;
    default:
      return false;
  }
}
