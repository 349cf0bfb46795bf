import { type Address, NULL } from '@ciliate/maps';
import { ICMP_DEST_UNREACH, ICMP_ECHO, ICMP_ECHOREPLY, ICMP_TIME_EXCEEDED } from '@ciliate/packet';
import type { Datapath } from '../datapath.ts';
import type { Skb } from '../skb.ts';
import { ETH_HLEN } from './common.ts';
import { hasPorts } from './conntrack.ts';
import { DROP_INVALID, DROP_UNKNOWN_ICMP4_CODE, DROP_UNKNOWN_ICMP6_CODE, DROP_UNKNOWN_L4 } from './drop_reasons.ts';
import type { Family } from './family.ts';
import { Headers, readHeadersAt } from './headers.ts';
import { entryAddress, entryPort, lookupEntry, NAT_PUNT_TO_STACK } from './nat_entry.ts';
import { rewriteHeaders } from './nat_rewrite.ts';
import {
  setTupleFlags,
  setTuplePorts,
  TUPLE_F_IN,
  TUPLE_F_OUT,
  tupleDport,
  tupleSaddrAt,
  tupleSport,
} from './tuple.ts';

// ICMP errors about translated connections: what they quote is translated too. Source: bpf/lib/nat.h.

const ICMP_HLEN = 8;
/** Of an echo's identifier in its header. */
export const ICMP_ID = 4;
export const NR_ICMP_UNREACH = 15;
export const ICMPV6_DEST_UNREACH = 1;
export const ICMPV6_PKT_TOOBIG = 2;
export const ICMPV6_TIME_EXCEED = 3;
export const ICMPV6_REJECT_ROUTE = 6;
export const ICMPV6_ECHO_REQUEST = 128;
export const ICMPV6_ECHO_REPLY = 129;
export const ICMPV6_NS = 135;
export const ICMPV6_NA = 136;

const inner = new Headers();

/** What an ICMP error quotes: fills `fam.lbTuple` as the key of the NAT entry. @returns 0 or a code; `inner` has offsets */
function quotedTuple(dp: Datapath, fam: Family, skb: Skb, innerOff: number, flags: number): number {
  const m = dp.memory;
  const tuple = fam.lbTuple;
  const ip = skb.at(innerOff, fam.headerLength);
  if (ip === NULL) return DROP_INVALID;
  const err = readHeadersAt(fam, skb, innerOff, inner);
  if (err < 0) return err;
  fam.copyAddress(m, tupleSaddrAt(fam, tuple), ip + fam.layout.daddr);
  fam.copyAddress(m, tuple, ip + fam.layout.saddr);
  m.u8[tuple + fam.tupleNexthdr] = inner.nexthdr;
  setTupleFlags(m, fam, tuple, flags);
  setTuplePorts(m, fam, tuple, 0, 0);
  return 0;
}

/** snat_vX_nat_handle_icmp_error: a translated pod tells of an error: what it quotes is translated too. */
export function snatIcmpError(dp: Datapath, fam: Family, skb: Skb): number {
  const m = dp.memory;
  const innerOff = dp.headers.l4Off + ICMP_HLEN;
  const tuple = fam.lbTuple;
  const err = quotedTuple(dp, fam, skb, innerOff, TUPLE_F_OUT);
  if (err < 0) return err;
  let portOff = 2;
  if (hasPorts(dp, inner.nexthdr)) {
    const ports = skb.at(inner.l4Off, 4);
    if (ports === NULL) return DROP_INVALID;
    setTuplePorts(m, fam, tuple, m.u16[ports >> 1]!, m.u16[(ports >> 1) + 1]!);
  } else if (inner.nexthdr === fam.icmp) {
    const icmp = skb.at(inner.l4Off, 1);
    if (icmp === NULL) return DROP_INVALID;
    const type = m.u8[icmp]!;
    if (type === (fam.isV6 ? ICMPV6_ECHO_REQUEST : ICMP_ECHO)) return NAT_PUNT_TO_STACK;
    if (type !== (fam.isV6 ? ICMPV6_ECHO_REPLY : ICMP_ECHOREPLY))
      return fam.isV6 ? DROP_UNKNOWN_ICMP6_CODE : DROP_UNKNOWN_ICMP4_CODE;
    portOff = ICMP_ID;
    const id = skb.at(inner.l4Off + ICMP_ID, 2);
    if (id === NULL) return DROP_INVALID;
    setTuplePorts(m, fam, tuple, 0, m.u16[id >> 1]!);
  } else return DROP_UNKNOWN_L4;
  const state = lookupEntry(dp, fam, tuple);
  if (state === NULL) return NAT_PUNT_TO_STACK;
  const saddr = tupleSaddrAt(fam, tuple);
  const to = entryAddress(state);
  const sport = tupleSport(m, fam, tuple);
  const port = entryPort(m, fam, state);
  const { daddr, saddr: saddrOff } = fam.layout;
  const { l4Off } = dp.headers;
  const ret = rewriteHeaders(
    dp,
    fam,
    skb,
    inner.nexthdr,
    innerOff,
    true,
    inner.l4Off,
    saddr,
    to,
    daddr,
    sport,
    port,
    portOff,
  );
  if (ret < 0) return ret;
  return rewriteHeaders(dp, fam, skb, fam.icmp, ETH_HLEN, true, l4Off, saddr, to, saddrOff, 0, 0, 0);
}

/** snat_vX_rev_nat for ICMP errors about translated connections; of ICMPv6 only "packet too big". */
export function reverseSnatIcmpError(dp: Datapath, fam: Family, skb: Skb, icmp: Address): number {
  const m = dp.memory;
  const tuple = fam.lbTuple;
  const type = m.u8[icmp]!;
  const code = m.u8[icmp + 1]!;
  if (fam.isV6) {
    if (type !== ICMPV6_PKT_TOOBIG) return NAT_PUNT_TO_STACK;
  } else if (type === ICMP_DEST_UNREACH) {
    if (code > NR_ICMP_UNREACH) return NAT_PUNT_TO_STACK;
  } else if (type !== ICMP_TIME_EXCEEDED || code > 1) return NAT_PUNT_TO_STACK;

  // Cilium looks for the packet that an ICMPv6 "too big" quotes where its MTU stands, 4 bytes early.
  const innerOff = dp.headers.l4Off + (fam.isV6 ? ICMP_HLEN - 4 : ICMP_HLEN);
  const err = quotedTuple(dp, fam, skb, innerOff, TUPLE_F_IN);
  if (err < 0) return err;
  let portOff = 0;
  if (hasPorts(dp, inner.nexthdr)) {
    const ports = skb.at(inner.l4Off, 4);
    if (ports === NULL) return DROP_INVALID;
    setTuplePorts(m, fam, tuple, m.u16[ports >> 1]!, m.u16[(ports >> 1) + 1]!);
  } else if (inner.nexthdr === fam.icmp) {
    const quoted = skb.at(inner.l4Off, 1);
    if (quoted === NULL) return DROP_INVALID;
    const quotedType = m.u8[quoted]!;
    if (fam.isV6) {
      if (quotedType !== ICMPV6_ECHO_REQUEST) return DROP_INVALID;
    } else if (quotedType === ICMP_ECHOREPLY) return NAT_PUNT_TO_STACK;
    else if (quotedType !== ICMP_ECHO) return DROP_UNKNOWN_ICMP4_CODE;
    portOff = ICMP_ID;
    const id = skb.at(inner.l4Off + ICMP_ID, 2);
    if (id === NULL) return DROP_INVALID;
    setTuplePorts(m, fam, tuple, m.u16[id >> 1]!, 0);
  } else return NAT_PUNT_TO_STACK;
  const state = lookupEntry(dp, fam, tuple);
  if (state === NULL) return NAT_PUNT_TO_STACK;
  const to = entryAddress(state);
  const dport = tupleDport(m, fam, tuple);
  const port = entryPort(m, fam, state);
  const { daddr, saddr } = fam.layout;
  const { l4Off, hasL4Header } = dp.headers;
  const ret = rewriteHeaders(
    dp,
    fam,
    skb,
    inner.nexthdr,
    innerOff,
    true,
    inner.l4Off,
    tuple,
    to,
    saddr,
    dport,
    port,
    portOff,
  );
  if (ret < 0) return ret;
  // The outer packet's tuple was never filled with ports, and its own destination is where the error came to.
  const outer = skb.data + ETH_HLEN + daddr;
  return rewriteHeaders(dp, fam, skb, fam.icmp, ETH_HLEN, hasL4Header, l4Off, outer, to, daddr, 0, 0, 0);
}
