import { type Address, ENDPOINT_F_HOST, endpointFlags, type Memory, NULL, secIdentity } from '@ciliate/maps';
import {
  ICMP_DEST_UNREACH,
  ICMP_ECHO,
  ICMP_ECHOREPLY,
  ICMP_TIME_EXCEEDED,
  IPPROTO_ICMP,
  IPPROTO_SCTP,
} from '@ciliate/packet';
import type { Datapath } from '../datapath.ts';
import { noteDelete, noteLookup, noteUpdate } from '../explain.ts';
import type { Skb } from '../skb.ts';
import { CT_EGRESS, CT_INGRESS, CT_NEW, ETH_HLEN, htons, identityIsRemoteNode, ntohs } from './common.ts';
import { CT_ENTRY_ANY, ctCreate, ctIsReply, ctLazyLookup, hasPorts, loadTuplePorts } from './conntrack.ts';
import { csumDiff, csumL4Replace, csumOffset, csumReplace } from './csum.ts';
import {
  DROP_CSUM_L4,
  DROP_CT_UNKNOWN_PROTO,
  DROP_FRAG_NOSUPPORT,
  DROP_INVALID,
  DROP_NAT_NO_MAPPING,
  DROP_NAT_NOT_NEEDED,
  DROP_NAT_UNSUPP_PROTO,
  DROP_UNKNOWN_ICMP4_CODE,
  DROP_UNKNOWN_ICMP6_CODE,
  DROP_UNKNOWN_L4,
} from './drop_reasons.ts';
import { lookupEndpoint, lookupRemoteEndpoint, skipsTunnel } from './endpoints.ts';
import type { Family } from './family.ts';
import { loadPorts } from './fragments.ts';
import { Headers, readHeadersAt } from './headers.ts';
import { METRIC_EGRESS, METRIC_INGRESS } from './metrics.ts';
import { TRACE_PAYLOAD_LEN, TRACE_REASON_UNKNOWN } from './notify.ts';
import { flowRandom } from './random.ts';
import { sendSignalNatFillUp } from './signal.ts';
import {
  copyTuple,
  loadTupleAddresses,
  reverseTuple,
  setTupleFlags,
  setTuplePorts,
  swapTuplePorts,
  TUPLE_F_IN,
  TUPLE_F_OUT,
  tupleDport,
  tupleNexthdr,
  tupleSaddrAt,
  tupleSport,
} from './tuple.ts';

/**
 * Source NAT: of pods that leave the cluster, and of node-port traffic to backends on other nodes; and its reverse. Keys
 * are natural: egress entries say what the source becomes, ingress entries what the destination was.
 * Source: bpf/lib/nat.h. Not modelled: egress gateway, clusters with overlapping addresses, NAT46/64.
 */

/** Nothing to translate: the packet goes on as it is. */
export const NAT_PUNT_TO_STACK = DROP_NAT_NOT_NEEDED;
export const NAT_NEEDED = 0;
const SNAT_COLLISION_RETRIES = 32;
/** After more, the agent is asked to collect connections that have ended. */
const SNAT_SIGNAL_THRES = SNAT_COLLISION_RETRIES / 2;
const ICMP_HLEN = 8;
/** Of an echo's identifier in its header. */
const ICMP_ID = 4;
const NR_ICMP_UNREACH = 15;
const BPF_NOEXIST = 1;
const ICMPV6_DEST_UNREACH = 1;
const ICMPV6_PKT_TOOBIG = 2;
const ICMPV6_TIME_EXCEED = 3;
const ICMPV6_REJECT_ROUTE = 6;
const ICMPV6_ECHO_REQUEST = 128;
const ICMPV6_ECHO_REPLY = 129;
const ICMPV6_NS = 135;
const ICMPV6_NA = 136;

const ENTRY = { created: 0, needsCt: 8, address: 32 };

/** What the source shall become. A worker owns one. */
export class NatTarget {
  /** Where the address lies. */
  addr: Address = NULL;
  minPort = 0;
  maxPort = 0;
  fromLocalEndpoint = false;
  needsCt = false;

  reset(dp: Datapath): void {
    this.addr = NULL;
    this.minPort = dp.config.node.natPorts.min;
    this.maxPort = dp.config.node.natPorts.max;
    this.fromLocalEndpoint = false;
    this.needsCt = false;
  }
}

/** What a trace notification says of a packet that NAT or the host firewall handled (`struct trace_ctx`). */
export class NatTrace {
  reason = TRACE_REASON_UNKNOWN;
  monitor = TRACE_PAYLOAD_LEN;
}

const entryAddress = (entry: Address): Address => entry + ENTRY.address;
const entryPort = (m: Memory, fam: Family, entry: Address): number => m.u16[(entry + fam.layout.natEntry.port) >> 1]!;

function lookupEntry(dp: Datapath, fam: Family, tuple: Address): Address {
  const entry = fam.snat.lookup(tuple);
  if (dp.steps !== null) noteLookup(dp, fam.snat, tuple, entry);
  return entry;
}

/** @returns 0, or negative: there is one already, or no room */
function insertEntry(dp: Datapath, fam: Family, tuple: Address, entry: Address): number {
  const err = fam.snat.update(tuple, entry, BPF_NOEXIST);
  if (dp.steps !== null && err === 0) noteUpdate(dp, fam.snat, tuple, entry);
  return err;
}

function deleteEntry(dp: Datapath, fam: Family, tuple: Address): void {
  if (dp.steps !== null) noteDelete(dp, fam.snat, tuple);
  fam.snat.delete(tuple);
}

/** snat_vX_needs_masquerade: NAT_NEEDED, NAT_PUNT_TO_STACK or a drop code. @param tuple natural, without ports */
export function needsMasquerade(dp: Datapath, fam: Family, skb: Skb, tuple: Address, target: NatTarget): number {
  const m = dp.memory;
  if (!fam.masquerade) return NAT_PUNT_TO_STACK;
  const masquerade = fam.masqueradeAddress;
  const saddr = tupleSaddrAt(fam, tuple);
  if (fam.sameAddress(m, saddr, masquerade)) {
    target.addr = masquerade;
    target.needsCt = true;
    return NAT_NEEDED;
  }
  const local = lookupEndpoint(dp, fam, saddr);
  if (local !== NULL) {
    target.fromLocalEndpoint = true;
    const err = loadTuplePorts(dp, fam, tuple, skb, CT_EGRESS);
    if (err === 0) {
      if (ctIsReply(dp, fam, tuple)) return NAT_PUNT_TO_STACK;
      setTuplePorts(m, fam, tuple, 0, 0);
    } else if (err !== DROP_CT_UNKNOWN_PROTO) return err;
    setTupleFlags(m, fam, tuple, TUPLE_F_OUT);
  }
  if (isExcluded(dp, fam, tuple)) return NAT_PUNT_TO_STACK;
  if (local !== NULL && (endpointFlags(m, local) & ENDPOINT_F_HOST) !== 0) return NAT_PUNT_TO_STACK;
  const remote = lookupRemoteEndpoint(dp, fam, tuple);
  if (remote !== NULL && identityIsRemoteNode(secIdentity(m, remote))) {
    if (!dp.config.tunnelMode || skipsTunnel(dp, remote)) return NAT_PUNT_TO_STACK;
  }
  if (local === NULL) return NAT_PUNT_TO_STACK;
  target.addr = masquerade;
  return NAT_NEEDED;
}

function isExcluded(dp: Datapath, fam: Family, daddr: Address): boolean {
  const { u32 } = dp.memory;
  const { snatExclusionIpv4, snatExclusionIpv6 } = dp.config.node;
  if (!fam.isV6)
    return (
      snatExclusionIpv4.mask !== 0 && (u32[daddr >> 2]! & snatExclusionIpv4.mask) >>> 0 === snatExclusionIpv4.network
    );
  if (snatExclusionIpv6.mask[0] === 0) return false;
  for (let i = 0; i < 4; i++)
    if ((u32[(daddr >> 2) + i]! & snatExclusionIpv6.mask[i]!) >>> 0 !== snatExclusionIpv6.network[i]) return false;
  return true;
}

/**
 * snat_vX_nat: gives an outgoing packet the target's address and a port of the target's range.
 * @param tuple natural, without ports. @returns 0, NAT_PUNT_TO_STACK or a drop code
 */
export function snat(dp: Datapath, fam: Family, skb: Skb, tuple: Address, target: NatTarget, trace: NatTrace): number {
  const m = dp.memory;
  const { headers } = dp;
  const nexthdr = tupleNexthdr(m, fam, tuple);
  if (hasPorts(dp, nexthdr)) {
    if (!fam.fragments && headers.isFragment) return DROP_FRAG_NOSUPPORT;
    const err = loadPorts(dp, fam, skb, METRIC_EGRESS, tuple);
    if (err < 0) return err;
    swapTuplePorts(m, fam, tuple);
    if (!target.fromLocalEndpoint && ntohs(tupleSport(m, fam, tuple)) < dp.config.node.natPorts.min)
      return NAT_PUNT_TO_STACK;
    return snatTuple(dp, fam, skb, tuple, target, 0, trace);
  }
  if (nexthdr !== fam.icmp) return NAT_PUNT_TO_STACK;
  if (headers.isFragment) return DROP_INVALID;
  const icmp = skb.at(headers.l4Off, ICMP_HLEN);
  if (icmp === NULL) return DROP_INVALID;
  const type = m.u8[icmp]!;
  const code = m.u8[icmp + 1]!;
  if (type === (fam.isV6 ? ICMPV6_ECHO_REQUEST : ICMP_ECHO)) {
    setTuplePorts(m, fam, tuple, 0, m.u16[(icmp + ICMP_ID) >> 1]!);
    target.minPort = 0;
    target.maxPort = 0xffff;
    return snatTuple(dp, fam, skb, tuple, target, ICMP_ID, trace);
  }
  const unknownCode = fam.isV6 ? DROP_UNKNOWN_ICMP6_CODE : DROP_UNKNOWN_ICMP4_CODE;
  switch (errorOf(fam, type)) {
    case 'reply':
      return NAT_PUNT_TO_STACK;
    case 'unreachable':
      if (code > (fam.isV6 ? ICMPV6_REJECT_ROUTE : NR_ICMP_UNREACH)) return unknownCode;
      return snatIcmpError(dp, fam, skb);
    case 'time exceeded':
      return code > 1 ? unknownCode : snatIcmpError(dp, fam, skb);
    case 'too big':
      return snatIcmpError(dp, fam, skb);
    default:
      return DROP_NAT_UNSUPP_PROTO;
  }
}

function errorOf(fam: Family, type: number): 'reply' | 'unreachable' | 'time exceeded' | 'too big' | 'other' {
  if (fam.isV6) {
    if (type === ICMPV6_ECHO_REPLY || type === ICMPV6_NS || type === ICMPV6_NA) return 'reply';
    if (type === ICMPV6_DEST_UNREACH) return 'unreachable';
    if (type === ICMPV6_PKT_TOOBIG) return 'too big';
    return type === ICMPV6_TIME_EXCEED ? 'time exceeded' : 'other';
  }
  if (type === ICMP_ECHOREPLY) return 'reply';
  if (type === ICMP_DEST_UNREACH) return 'unreachable';
  return type === ICMP_TIME_EXCEEDED ? 'time exceeded' : 'other';
}

/** __snat_vX_nat. @param tuple natural, with ports; afterwards with the new source. @param portOff in the transport header */
export function snatTuple(
  dp: Datapath,
  fam: Family,
  skb: Skb,
  tuple: Address,
  target: NatTarget,
  portOff: number,
  trace: NatTrace,
): number {
  const m = dp.memory;
  const entry = mapping(dp, fam, skb, tuple, target, trace);
  if (entry < 0) return entry;
  const saddr = tupleSaddrAt(fam, tuple);
  const port = entryPort(m, fam, entry);
  const { l4Off, hasL4Header } = dp.headers;
  const ret = rewrite(
    dp,
    fam,
    skb,
    tupleNexthdr(m, fam, tuple),
    ETH_HLEN,
    hasL4Header,
    l4Off,
    saddr,
    entryAddress(entry),
    fam.layout.saddr,
    tupleSport(m, fam, tuple),
    port,
    portOff,
  );
  fam.copyAddress(m, saddr, entryAddress(entry));
  setTuplePorts(m, fam, tuple, tupleDport(m, fam, tuple), port);
  return ret;
}

/** snat_vX_nat_handle_mapping: the egress entry of the tuple, made if there is none. @returns its address or a drop code */
function mapping(dp: Datapath, fam: Family, skb: Skb, tuple: Address, target: NatTarget, trace: NatTrace): number {
  const m = dp.memory;
  let state = lookupEntry(dp, fam, tuple);
  if (target.needsCt) {
    const ct = fam.otherTuple;
    copyTuple(m, fam, ct, tuple);
    reverseTuple(m, fam, ct);
    swapTuplePorts(m, fam, ct); // only the addresses are exchanged
    dp.ctNew.reset();
    const status = ctLazyLookup(dp, fam, ct, skb, CT_EGRESS, 'forward', CT_ENTRY_ANY, dp.ctNew);
    if (status < 0) return status;
    trace.reason = status;
    trace.monitor = dp.ctNew.monitor;
    if (status === CT_NEW) {
      dp.ctNew.reset();
      const err = ctCreate(dp, fam, ct, skb, CT_EGRESS, dp.ctNew, false);
      if (err < 0) return err;
    }
  }
  if (state === NULL) return newMapping(dp, fam, tuple, target);
  const reverse = reverseOf(dp, fam, tuple, entryAddress(state), entryPort(m, fam, state));
  const isSame = fam.sameAddress(m, target.addr, entryAddress(state));
  if (isSame && target.needsCt === needsCt(m, state)) {
    if (lookupEntry(dp, fam, reverse) === NULL) {
      // The reverse entry was given up for another: it comes back.
      const entry = newEntry(dp, fam, tupleSaddrAt(fam, tuple), tupleSport(m, fam, tuple), target.needsCt);
      if (insertEntry(dp, fam, reverse, entry) < 0) return DROP_NAT_NO_MAPPING;
      state = lookupEntry(dp, fam, tuple);
    }
    return state;
  }
  deleteEntry(dp, fam, tuple);
  deleteEntry(dp, fam, reverse);
  return newMapping(dp, fam, tuple, target);
}

/** snat_vX_new_mapping: keeps the port if it is free and in range. */
function newMapping(dp: Datapath, fam: Family, tuple: Address, target: NatTarget): number {
  const m = dp.memory;
  const { minPort, maxPort } = target;
  const range = maxPort - minPort + 1;
  const wanted = ntohs(tupleSport(m, fam, tuple));
  // Two draws, as in Cilium: what one flow collides with says nothing about its next choice.
  const first = flowRandom(dp, fam, tuple, 0) & 0xffff;
  const next = flowRandom(dp, fam, tuple, 1) & 0xffff;
  let port = wanted >= minPort && wanted <= maxPort ? wanted : minPort + ((first * range) >>> 16);
  const reverse = reverseOf(dp, fam, tuple, target.addr, 0);
  const back = newEntry(dp, fam, tupleSaddrAt(fam, tuple), tupleSport(m, fam, tuple), target.needsCt);
  for (let retry = 0; retry < SNAT_COLLISION_RETRIES; retry++) {
    setTuplePorts(m, fam, reverse, htons(port), tupleDport(m, fam, tuple));
    if (insertEntry(dp, fam, reverse, back) === 0) {
      if (retry > SNAT_SIGNAL_THRES) sendSignalNatFillUp(dp, fam);
      const entry = newEntry(dp, fam, target.addr, htons(port), target.needsCt);
      const err = insertEntry(dp, fam, tuple, entry);
      if (err === 0) return lookupEntry(dp, fam, tuple);
      dp.extError = err;
      deleteEntry(dp, fam, reverse);
      return DROP_NAT_NO_MAPPING;
    }
    port = minPort + ((((retry > 0 ? port + 1 : next) & 0xffff) * range) >>> 16);
  }
  sendSignalNatFillUp(dp, fam);
  return DROP_NAT_NO_MAPPING;
}

const needsCt = (m: Memory, entry: Address): boolean => m.u32[(entry + ENTRY.needsCt) >> 2] !== 0;

/** An entry on the stack. */
function newEntry(dp: Datapath, fam: Family, address: Address, port: number, withCt: boolean): Address {
  const m = dp.memory;
  const entry = fam.natEntry;
  for (let i = 0; i < fam.layout.natEntry.size; i += 4) m.u32[(entry + i) >> 2] = 0;
  m.u32[(entry + ENTRY.created) >> 2] = dp.nowSeconds();
  m.u32[(entry + ENTRY.needsCt) >> 2] = withCt ? 1 : 0;
  fam.copyAddress(m, entryAddress(entry), address);
  m.u16[(entry + fam.layout.natEntry.port) >> 1] = port;
  return entry;
}

/** set_vX_rtuple: the key of the ingress entry that belongs to an egress one. */
function reverseOf(dp: Datapath, fam: Family, tuple: Address, address: Address, port: number): Address {
  const m = dp.memory;
  const reverse = fam.natTuple;
  fam.copyAddress(m, tupleSaddrAt(fam, reverse), tuple);
  fam.copyAddress(m, reverse, address);
  m.u8[reverse + fam.tupleNexthdr] = tupleNexthdr(m, fam, tuple);
  setTupleFlags(m, fam, reverse, TUPLE_F_IN);
  setTuplePorts(m, fam, reverse, port, tupleDport(m, fam, tuple));
  return reverse;
}

/**
 * snat_vX_rev_nat: gives an incoming packet the destination that the translated connection had.
 * @returns 0, NAT_PUNT_TO_STACK, DROP_NAT_NO_MAPPING or another drop code
 */
export function reverseSnat(dp: Datapath, fam: Family, skb: Skb, trace: NatTrace): number {
  const m = dp.memory;
  const { headers, config } = dp;
  const tuple = fam.lbTuple;
  const { nexthdr, l4Off } = headers;
  loadTupleAddresses(m, fam, tuple, skb, nexthdr);
  let portOff = 2;
  if (hasPorts(dp, nexthdr)) {
    const err = loadPorts(dp, fam, skb, METRIC_INGRESS, tuple);
    if (err < 0) return err;
    swapTuplePorts(m, fam, tuple);
    const dport = ntohs(tupleDport(m, fam, tuple));
    if (dport < config.node.natPorts.min || dport > config.node.natPorts.max) return NAT_PUNT_TO_STACK;
  } else if (nexthdr === fam.icmp) {
    if (headers.isFragment) return DROP_INVALID;
    const icmp = skb.at(l4Off, ICMP_HLEN);
    if (icmp === NULL) return DROP_INVALID;
    const type = m.u8[icmp]!;
    if (type !== (fam.isV6 ? ICMPV6_ECHO_REPLY : ICMP_ECHOREPLY)) return reverseSnatIcmpError(dp, fam, skb, icmp);
    setTuplePorts(m, fam, tuple, m.u16[(icmp + ICMP_ID) >> 1]!, 0);
    portOff = ICMP_ID;
  } else return NAT_PUNT_TO_STACK;

  setTupleFlags(m, fam, tuple, TUPLE_F_IN);
  const state = lookupEntry(dp, fam, tuple);
  if (state === NULL) return DROP_NAT_NO_MAPPING;
  const err = restoreEgressEntry(dp, fam, tuple, state) || trackReverse(dp, fam, skb, tuple, state, trace);
  if (err < 0) return err;
  return rewrite(
    dp,
    fam,
    skb,
    nexthdr,
    ETH_HLEN,
    headers.hasL4Header,
    l4Off,
    tuple,
    entryAddress(state),
    fam.layout.daddr,
    tupleDport(m, fam, tuple),
    entryPort(m, fam, state),
    portOff,
  );
}

/** The egress entry may have been given up for another: then it comes back. */
function restoreEgressEntry(dp: Datapath, fam: Family, tuple: Address, state: Address): number {
  const m = dp.memory;
  const original = fam.natTuple;
  fam.copyAddress(m, tupleSaddrAt(fam, original), entryAddress(state));
  fam.copyAddress(m, original, tupleSaddrAt(fam, tuple));
  m.u8[original + fam.tupleNexthdr] = tupleNexthdr(m, fam, tuple);
  setTupleFlags(m, fam, original, TUPLE_F_OUT);
  setTuplePorts(m, fam, original, tupleSport(m, fam, tuple), entryPort(m, fam, state));
  if (lookupEntry(dp, fam, original) !== NULL) return 0;
  const entry = newEntry(dp, fam, tuple, tupleDport(m, fam, tuple), needsCt(m, state));
  return insertEntry(dp, fam, original, entry) < 0 ? DROP_NAT_NO_MAPPING : 0;
}

function trackReverse(dp: Datapath, fam: Family, skb: Skb, tuple: Address, state: Address, trace: NatTrace): number {
  const m = dp.memory;
  if (!needsCt(m, state)) return 0;
  const ct = fam.otherTuple;
  copyTuple(m, fam, ct, tuple);
  fam.copyAddress(m, ct, entryAddress(state));
  setTuplePorts(m, fam, ct, entryPort(m, fam, state), tupleSport(m, fam, tuple));
  swapTuplePorts(m, fam, ct);
  dp.ctNew.reset();
  const status = ctLazyLookup(dp, fam, ct, skb, CT_INGRESS, 'reverse', CT_ENTRY_ANY, dp.ctNew);
  if (status < 0) return status;
  trace.reason = status;
  trace.monitor = dp.ctNew.monitor;
  return 0;
}

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
function snatIcmpError(dp: Datapath, fam: Family, skb: Skb): number {
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
  const ret = rewrite(dp, fam, skb, inner.nexthdr, innerOff, true, inner.l4Off, saddr, to, daddr, sport, port, portOff);
  if (ret < 0) return ret;
  return rewrite(dp, fam, skb, fam.icmp, ETH_HLEN, true, l4Off, saddr, to, saddrOff, 0, 0, 0);
}

/** snat_vX_rev_nat for ICMP errors about translated connections; of ICMPv6 only "packet too big". */
function reverseSnatIcmpError(dp: Datapath, fam: Family, skb: Skb, icmp: Address): number {
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
  const ret = rewrite(dp, fam, skb, inner.nexthdr, innerOff, true, inner.l4Off, tuple, to, saddr, dport, port, portOff);
  if (ret < 0) return ret;
  // The outer packet's tuple was never filled with ports, and its own destination is where the error came to.
  const outer = skb.data + ETH_HLEN + daddr;
  return rewrite(dp, fam, skb, fam.icmp, ETH_HLEN, hasL4Header, l4Off, outer, to, daddr, 0, 0, 0);
}

/**
 * snat_vX_rewrite_headers: an address and a port, with all checksums that cover them. ICMP's covers no addresses.
 * @param from,to where the old and the new address lie. @param addrOff in the IP header. @param portOff in the transport header
 */
function rewrite(
  dp: Datapath,
  fam: Family,
  skb: Skb,
  nexthdr: number,
  l3Off: number,
  hasL4Header: boolean,
  l4Off: number,
  from: Address,
  to: Address,
  addrOff: number,
  oldPort: number,
  newPort: number,
  portOff: number,
): number {
  const m = dp.memory;
  if (fam.sameAddress(m, from, to) && oldPort === newPort) return 0;
  let diff = 0;
  for (let i = 0; i < fam.words; i++) diff = csumDiff(diff, m.u32[(from >> 2) + i]!, m.u32[(to >> 2) + i]!);
  fam.copyAddress(m, skb.data + l3Off + addrOff, to);
  if (hasL4Header) {
    if (oldPort !== newPort) {
      if (nexthdr === IPPROTO_SCTP) return DROP_CSUM_L4;
      if (!hasPorts(dp, nexthdr) && nexthdr !== fam.icmp) return DROP_UNKNOWN_L4;
      if (!replaceSum(skb, nexthdr, l4Off, csumDiff(0, oldPort, newPort))) return DROP_CSUM_L4;
      m.u16[(skb.data + l4Off + portOff) >> 1] = newPort;
    }
    if (csumOffset(nexthdr) !== 0 && !replaceSum(skb, nexthdr, l4Off, diff)) return DROP_CSUM_L4;
  }
  if (!fam.isV6) csumReplace(m, skb.data + l3Off + 10, diff);
  return 0;
}

/** As csumL4Replace, and ICMP's own sum. */
function replaceSum(skb: Skb, nexthdr: number, l4Off: number, diff: number): boolean {
  if (nexthdr !== IPPROTO_ICMP) return csumL4Replace(skb, nexthdr, l4Off, diff);
  const at = skb.at(l4Off + 2, 2);
  if (at === NULL) return false;
  csumReplace(skb.memory, at, diff);
  return true;
}
