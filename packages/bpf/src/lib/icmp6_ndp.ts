import { type Address, ENDPOINT_F_HOST, endpointFlags, type Memory, NULL } from '@ciliate/maps';
import { ETH, IPPROTO_ICMPV6 } from '@ciliate/packet';
import type { Datapath } from '../datapath.ts';
import { noteDebug } from '../explain.ts';
import type { Skb } from '../skb.ts';
import { CTX_ACT_OK, ETH_HLEN, htons } from './common.ts';
import { csumOf, csumReplace, fold } from './csum.ts';
import { DBG_CAPTURE_DELIVERY, DBG_ICMP6_HANDLE, DBG_ICMP6_NS } from './dbg.ts';
import { DROP_INVALID } from './drop_reasons.ts';
import { lookupEndpoint } from './endpoints.ts';
import { redirect } from './icmp6.ts';

const NEIGHBOUR_SOLICITATION = 135;
const NEIGHBOUR_ADVERTISEMENT = 136;
const IPV6_HLEN = 40;
const IPV6_SADDR = 8;
const IPV6_DADDR = 24;
/** Offsets behind the Ethernet header. Source: RFC 4861, sections 4.3 and 4.4. */
const ND = {
  type: IPV6_HLEN,
  checksum: IPV6_HLEN + 2,
  flags: IPV6_HLEN + 4,
  target: IPV6_HLEN + 8,
  options: IPV6_HLEN + 24,
};
const OPTION_BYTES = 8;
const TARGET_LINK_LAYER_ADDRESS = 2;
const SOLICITED = 0x40;
const ROUTER = 0x80;
const OVERRIDE = 0x20;

/** Cilium looks for the ICMPv6 header right behind the IPv6 header. */
export function isNdp(dp: Datapath, skb: Skb): boolean {
  const { u8 } = dp.memory;
  const at = skb.at(ETH_HLEN + ND.type, 1);
  if (u8[skb.data + ETH_HLEN + 6] !== IPPROTO_ICMPV6 || at === NULL) return false;
  return u8[at] === NEIGHBOUR_SOLICITATION || u8[at] === NEIGHBOUR_ADVERTISEMENT;
}

export function isSolicitationAt(skb: Skb, l4Off: number): boolean {
  const at = skb.at(l4Off, 1);
  return at !== NULL && skb.memory.u8[at] === NEIGHBOUR_SOLICITATION;
}

/** icmp6_ndp_handle: a pod's solicitation is answered; Cilium lets advertisements through without looking at anything else. */
export function handleNdp(dp: Datapath, skb: Skb, mac: Address, unknown: number): number {
  const type = dp.memory.u8[skb.data + ETH_HLEN + ND.type]!;
  if (dp.steps !== null) noteDebug(dp, DBG_ICMP6_HANDLE, type, 0);
  return type === NEIGHBOUR_SOLICITATION ? handleNeighbourSolicitation(dp, skb, mac, unknown) : CTX_ACT_OK;
}

/**
 * icmp6_handle_ns: the router's address and those of pods are behind the host's end of the interface.
 * @param mac 6 bytes, of that interface. @param unknown the answer for an address that is nowhere here
 * @returns CTX_ACT_REDIRECT, CTX_ACT_OK or a drop code. Source: bpf/lib/icmp6.h
 */
export function handleNeighbourSolicitation(dp: Datapath, skb: Skb, mac: Address, unknown: number): number {
  const m = dp.memory;
  const target = skb.at(ETH_HLEN + ND.target, 16);
  if (target === NULL) return DROP_INVALID;
  if (dp.steps !== null) noteDebug(dp, DBG_ICMP6_NS, m.u32[(target >> 2) + 2]!, m.u32[(target >> 2) + 3]!);
  const { routerIpv6 } = dp.config.node;
  let isRouter = true;
  for (let i = 0; i < 4; i++) isRouter &&= m.u32[(target >> 2) + i] === routerIpv6[i];
  if (!isRouter) {
    const endpoint = lookupEndpoint(dp, dp.v6, target);
    if (endpoint === NULL) return unknown;
    if ((endpointFlags(m, endpoint) & ENDPOINT_F_HOST) !== 0) return CTX_ACT_OK;
  }
  return advertise(dp, skb, mac, isRouter);
}

/**
 * icmp6_send_ndisc_adv. The checksum is brought up to date, not computed: a wrong one stays wrong, and that of a
 * solicitation without an option becomes wrong, because Cilium forgets that the pseudo header's length has changed.
 */
function advertise(dp: Datapath, skb: Skb, mac: Address, isRouter: boolean): number {
  const m = dp.memory;
  const ip = skb.data + ETH_HLEN;
  const option = ip + ND.options;
  if (skb.at(ETH_HLEN + ND.options, OPTION_BYTES) === NULL) {
    if (!skb.changeTail(skb.len + OPTION_BYTES)) return DROP_INVALID;
    m.u16[(ip + 4) >> 1] = htons((htons(m.u16[(ip + 4) >> 1]!) + OPTION_BYTES) & 0xffff);
    if (skb.at(ETH_HLEN + ND.options, OPTION_BYTES) === NULL) return DROP_INVALID;
    m.u8.fill(0, option, option + OPTION_BYTES);
  }
  const checksum = ip + ND.checksum;
  const before = sumOf(m, ip + ND.type, 2) + sumOf(m, ip + ND.flags, 4);
  m.u8[ip + ND.type] = NEIGHBOUR_ADVERTISEMENT;
  m.u8[ip + ND.type + 1] = 0;
  m.u32[(ip + ND.flags) >> 2] = SOLICITED | (isRouter ? ROUTER : OVERRIDE);
  csumReplace(m, checksum, difference(before, sumOf(m, ip + ND.type, 2) + sumOf(m, ip + ND.flags, 4)));
  const optionBefore = sumOf(m, option, OPTION_BYTES);
  m.u8[option] = TARGET_LINK_LAYER_ADDRESS;
  m.u8[option + 1] = 1;
  m.u8.copyWithin(option + 2, mac, mac + 6);
  csumReplace(m, checksum, difference(optionBefore, sumOf(m, option, OPTION_BYTES)));
  const addressesBefore = sumOf(m, ip + IPV6_SADDR, 32);
  m.u8.copyWithin(ip + IPV6_DADDR, ip + IPV6_SADDR, ip + IPV6_DADDR);
  m.u8.copyWithin(ip + IPV6_SADDR, ip + ND.target, ip + ND.target + 16);
  csumReplace(m, checksum, difference(addressesBefore, sumOf(m, ip + IPV6_SADDR, 32)));
  m.u8.copyWithin(skb.data + ETH.dst, skb.data + ETH.src, skb.data + ETH.src + 6);
  m.u8.copyWithin(skb.data + ETH.src, mac, mac + 6);
  dp.steps?.push({ kind: 'debug-capture', subType: DBG_CAPTURE_DELIVERY, arg1: skb.ifindex });
  return redirect(skb, skb.ifindex, 0);
}

const sumOf = (m: Memory, at: Address, bytes: number): number => fold(csumOf(m, at, bytes));
/** Of two sums, as `csumReplace` takes it. */
const difference = (before: number, after: number): number => (~fold(before) & 0xffff) + after;
