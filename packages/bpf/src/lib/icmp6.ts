import { type Address, NULL } from '@ciliate/maps';
import { ETH, IPPROTO_ICMPV6, IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP } from '@ciliate/packet';
import type { Datapath } from '../datapath.ts';
import { noteDebug } from '../explain.ts';
import type { Skb } from '../skb.ts';
import { CTX_ACT_REDIRECT, ETH_HLEN, htons } from './common.ts';
import { csumOf, fold } from './csum.ts';
import { DBG_CAPTURE_DELIVERY, DBG_ICMP6_TIME_EXCEEDED } from './dbg.ts';
import { DROP_INVALID, DROP_UNKNOWN_L4, DROP_WRITE_ERROR } from './drop_reasons.ts';
import { sendDropNotify } from './notify.ts';

const ICMPV6_TIME_EXCEED = 3;
const IPV6_HLEN = 40;
const ICMPV6_HLEN = 8;

/** Where a program runs: its endpoint's id, and the Ethernet address of its device (6 bytes). */
export interface Site {
  readonly id: number;
  readonly mac: Address;
}

/** icmp6_send_time_exceeded. @param direction METRIC_*. @returns CTX_ACT_REDIRECT, or CTX_ACT_DROP, which is told */
export function sendTimeExceeded(dp: Datapath, skb: Skb, site: Site, direction: number): number {
  const ret = turnIntoTimeExceeded(dp, skb, site.mac);
  return ret < 0 ? sendDropNotify(dp, skb, site.id, 0, 0, 0, ret, 0, direction) : ret;
}

/**
 * Turns the packet into the answer to its sender, from the router's address, with its own IPv6
 * header and the first bytes behind it. Source: bpf/lib/icmp6.h.
 * @param ownMac of the device, 6 bytes
 */
function turnIntoTimeExceeded(dp: Datapath, skb: Skb, ownMac: Address): number {
  const m = dp.memory;
  const ip = skb.data + ETH_HLEN;
  const nexthdr = m.u8[ip + 6]!;
  m.u8[ip + 6] = IPPROTO_ICMPV6; // also where the packet is dropped in the end: the notification shows it
  let kept: number;
  if (nexthdr === IPPROTO_TCP) kept = 20;
  else if (nexthdr === IPPROTO_UDP || nexthdr === IPPROTO_ICMPV6 || (nexthdr === IPPROTO_SCTP && dp.config.sctp))
    kept = 8;
  else return DROP_UNKNOWN_L4;
  if (skb.at(ETH_HLEN + IPV6_HLEN, kept) === NULL) return DROP_INVALID;
  const payload = ICMPV6_HLEN + IPV6_HLEN + kept;
  const payloadBefore = htons(m.u16[(ip + 4) >> 1]!);

  // As Cilium does, the packet is resized by what its length field says, not by its bytes.
  const icmp = ip + IPV6_HLEN;
  if (!skb.changeTail(skb.len + payload - payloadBefore)) return DROP_WRITE_ERROR;
  if (skb.at(ETH_HLEN + IPV6_HLEN, payload) === NULL) return DROP_WRITE_ERROR;
  m.u8.copyWithin(icmp + ICMPV6_HLEN + IPV6_HLEN, icmp, icmp + kept);
  m.u8.copyWithin(icmp + ICMPV6_HLEN, ip, ip + IPV6_HLEN);
  m.u8[icmp + ICMPV6_HLEN + 6] = nexthdr;
  m.u8.fill(0, icmp, icmp + ICMPV6_HLEN);
  m.u8[icmp] = ICMPV6_TIME_EXCEED;
  if (dp.steps !== null) noteDebug(dp, DBG_ICMP6_TIME_EXCEEDED, 0, 0);

  m.u16[(ip + 4) >> 1] = htons(payload);
  m.u8.copyWithin(ip + 24, ip + 8, ip + 24);
  for (let i = 0; i < 4; i++) m.u32[((ip + 8) >> 2) + i] = dp.config.node.routerIpv6[i]!;
  const pseudo = csumOf(m, ip + 8, 32) + htons(payload) + htons(IPPROTO_ICMPV6);
  m.u16[(icmp + 2) >> 1] = ~fold(pseudo + csumOf(m, icmp, payload)) & 0xffff;

  m.u8.copyWithin(skb.data + ETH.dst, skb.data + ETH.src, skb.data + ETH.src + 6);
  m.u8.copyWithin(skb.data + ETH.src, ownMac, ownMac + 6);
  dp.steps?.push({ kind: 'debug-capture', subType: DBG_CAPTURE_DELIVERY, arg1: skb.ifindex });
  return redirect(skb, skb.ifindex, 0);
}

/** bpf_redirect. */
export function redirect(skb: Skb, ifindex: number, flags: number): number {
  skb.redirectIfindex = ifindex;
  skb.redirectFlags = flags;
  skb.redirectHelper = 'redirect';
  return CTX_ACT_REDIRECT;
}
