import { type Address, NULL } from '@ciliate/maps';
import { ICMP_DEST_UNREACH, ICMP_ECHO, ICMP_ECHOREPLY, ICMP_TIME_EXCEEDED } from '@ciliate/packet';
import type { Datapath } from '../datapath.ts';
import type { Skb } from '../skb.ts';
import { CT_EGRESS, CT_INGRESS, CT_NEW, ETH_HLEN, htons, ntohs } from './common.ts';
import { CT_ENTRY_ANY, ctCreate, ctLazyLookup, hasPorts } from './conntrack.ts';
import {
  DROP_FRAG_NOSUPPORT,
  DROP_INVALID,
  DROP_NAT_NO_MAPPING,
  DROP_NAT_UNSUPP_PROTO,
  DROP_UNKNOWN_ICMP4_CODE,
  DROP_UNKNOWN_ICMP6_CODE,
} from './drop_reasons.ts';
import type { Family } from './family.ts';
import { loadPorts } from './fragments.ts';
import { METRIC_EGRESS, METRIC_INGRESS } from './metrics.ts';
import {
  deleteEntry,
  entryAddress,
  entryPort,
  insertEntry,
  lookupEntry,
  NAT_PUNT_TO_STACK,
  type NatTarget,
  type NatTrace,
  needsCt,
  newEntry,
  reverseOf,
} from './nat_entry.ts';
import {
  ICMP_ID,
  ICMPV6_DEST_UNREACH,
  ICMPV6_ECHO_REPLY,
  ICMPV6_ECHO_REQUEST,
  ICMPV6_NA,
  ICMPV6_NS,
  ICMPV6_PKT_TOOBIG,
  ICMPV6_REJECT_ROUTE,
  ICMPV6_TIME_EXCEED,
  NR_ICMP_UNREACH,
  reverseSnatIcmpError,
  snatIcmpError,
} from './nat_icmp.ts';
import { rewriteHeaders } from './nat_rewrite.ts';
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

const SNAT_COLLISION_RETRIES = 32;
/** After more, the agent is asked to collect connections that have ended. */
const SNAT_SIGNAL_THRES = SNAT_COLLISION_RETRIES / 2;
const ICMP_HLEN = 8;

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
  const ret = rewriteHeaders(
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
  return rewriteHeaders(
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
