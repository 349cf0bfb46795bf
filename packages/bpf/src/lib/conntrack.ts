import {
  type Address,
  addCtPacket,
  CT_ENTRY,
  CT_ENTRY_FLAG,
  ctBackendId,
  ctFlags,
  ctLastRxReport,
  ctLastTxReport,
  ctRevNatIndex,
  ctRxFlagsSeen,
  ctTxFlagsSeen,
  type HashMap,
  IPV4_CT_TUPLE,
  type Memory,
  NULL,
  setCtBackendId,
  setCtFlags,
  setCtLastRxReport,
  setCtLastTxReport,
  setCtLifetime,
  setCtRevNatIndex,
  setCtRxFlagsSeen,
  setCtSrcSecId,
  setCtTxFlagsSeen,
} from '@ciliate/maps';
import {
  ICMP_DEST_UNREACH,
  ICMP_ECHO,
  ICMP_ECHOREPLY,
  ICMP_PARAMETERPROB,
  ICMP_TIME_EXCEEDED,
  IPPROTO_ICMP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  TCP,
  TCP_FIN,
  TCP_RST,
  TCP_SYN,
} from '@ciliate/packet';
import type { Datapath } from '../datapath.ts';
import type { Skb } from '../skb.ts';
import { CT_EGRESS, CT_ESTABLISHED, CT_INGRESS, CT_NEW, CT_RELATED, CT_REPLY, CT_SERVICE } from './common.ts';
import { DROP_CT_CREATE_FAILED, DROP_CT_INVALID_HDR, DROP_CT_UNKNOWN_PROTO, DROP_INVALID } from './drop_reasons.ts';
import { daddr, isFragment, protocol, saddr } from './ipv4.ts';
import { TRACE_PAYLOAD_LEN } from './notify.ts';

/**
 * Connection tracking: one entry for each direction a flow is seen in, keyed by its tuple.
 * Source: bpf/lib/conntrack.h; keys in bytes: constants.json, `ct_key_concrete`.
 *
 * A key names its addresses the other way round (daddr holds the packet's source), ports naturally; an entry of a
 * service has the addresses natural and the ports exchanged. The maps give up their least recently used entry when full.
 * Not modelled: SCTP, fragments, DSR, NodePort, L7 load balancing, garbage collection.
 */
const TUPLE_F_OUT = 0;
const TUPLE_F_IN = 1;
const TUPLE_F_RELATED = 2;
const TUPLE_F_SERVICE = 4;

type CtScope = 'forward' | 'reverse' | 'bidir';

/** Lifetimes in seconds; the agent's defaults. */
const CT_CONNECTION_LIFETIME_TCP = 8000;
const CT_CONNECTION_LIFETIME_NONTCP = 60;
const CT_SERVICE_CLOSE_REBALANCE = 60;
const CT_SYN_TIMEOUT = 60;
const CT_CLOSE_TIMEOUT = 10;
const CT_REPORT_INTERVAL = 5;
/** TCP flags that are reported when first seen: TCP_FIN, SYN, RST. */
const CT_REPORT_FLAGS = 0x07;

const BOTH_CLOSING = CT_ENTRY_FLAG.rx_closing | CT_ENTRY_FLAG.tx_closing;

/** `struct ct_state`: what a lookup found, or what `ctCreate4` shall write. */
export class CtState {
  /** Host order, 0 = the connection does not go through a service. */
  revNatIndex = 0;
  loopback = false;
  proxyRedirect = false;
  syn = false;
  srcSecId = 0;
  backendId = 0;
  /** Bytes of a trace notification worth sending; 0 = this flow was reported lately. */
  monitor = 0;

  reset(): void {
    this.revNatIndex = 0;
    this.loopback = false;
    this.proxyRedirect = false;
    this.syn = false;
    this.srcSecId = 0;
    this.backendId = 0;
    this.monitor = 0;
  }
}

/** Fills nexthdr and the addresses of the tuple at `tuple` from the packet, naturally. */
export function loadTupleAddresses(m: Memory, tuple: Address, skb: Skb): void {
  m.u32[(tuple + IPV4_CT_TUPLE.daddr) >> 2] = daddr(skb);
  m.u32[(tuple + IPV4_CT_TUPLE.saddr) >> 2] = saddr(skb);
  m.u8[tuple + IPV4_CT_TUPLE.nexthdr] = protocol(skb);
}

/**
 * Fills the ports, exchanged: dport takes the packet's source port, sport its destination port.
 * @returns 0, or DROP_CT_INVALID_HDR if the packet ends before them
 */
export function loadTuplePorts(m: Memory, tuple: Address, skb: Skb, l4Off: number): number {
  const at = skb.at(l4Off, 4);
  if (at === NULL) return DROP_CT_INVALID_HDR;
  setPorts(m, tuple, m.u16[(at + TCP.dstPort) >> 1]!, m.u16[(at + TCP.srcPort) >> 1]!);
  return 0;
}

const setPorts = (m: Memory, tuple: Address, sport: number, dport: number): void => {
  m.u16[(tuple + IPV4_CT_TUPLE.sport) >> 1] = sport;
  m.u16[(tuple + IPV4_CT_TUPLE.dport) >> 1] = dport;
};
export const tupleDport = (m: Memory, tuple: Address): number => m.u16[(tuple + IPV4_CT_TUPLE.dport) >> 1]!;
export const tupleSport = (m: Memory, tuple: Address): number => m.u16[(tuple + IPV4_CT_TUPLE.sport) >> 1]!;
export const tupleDaddr = (m: Memory, tuple: Address): number => m.u32[(tuple + IPV4_CT_TUPLE.daddr) >> 2]!;
export const tupleSaddr = (m: Memory, tuple: Address): number => m.u32[(tuple + IPV4_CT_TUPLE.saddr) >> 2]!;
export const tupleNexthdr = (m: Memory, tuple: Address): number => m.u8[tuple + IPV4_CT_TUPLE.nexthdr]!;

/** Exchanges addresses and ports; the direction flag stays. */
function reverseTuple(m: Memory, tuple: Address): void {
  const daddr = tupleDaddr(m, tuple);
  m.u32[(tuple + IPV4_CT_TUPLE.daddr) >> 2] = tupleSaddr(m, tuple);
  m.u32[(tuple + IPV4_CT_TUPLE.saddr) >> 2] = daddr;
  setPorts(m, tuple, tupleDport(m, tuple), tupleSport(m, tuple));
}

function selectTupleType(dir: number, scope: CtScope): number {
  if (dir === CT_SERVICE) return TUPLE_F_SERVICE;
  const forward = dir === CT_EGRESS ? TUPLE_F_OUT : TUPLE_F_IN;
  return scope === 'forward' ? forward : forward ^ TUPLE_F_IN;
}

/** The conntrack map of a protocol. */
const ctMap4 = (dp: Datapath, nexthdr: number): HashMap => (nexthdr === IPPROTO_TCP ? dp.ctTcp : dp.ctAny);

/** ICMP: ports stand for the echo identifier; errors are related to a flow between the same two addresses. */
function loadIcmp(m: Memory, tuple: Address, skb: Skb, l4Off: number): number {
  if (isFragment(skb)) return DROP_INVALID;
  const at = skb.at(l4Off, 1);
  if (at === NULL) return DROP_CT_INVALID_HDR;
  const type = m.u8[at]!;
  setPorts(m, tuple, 0, 0);
  if (type === ICMP_ECHO || type === ICMP_ECHOREPLY) {
    const id = skb.at(l4Off + 4, 2);
    if (id === NULL) return DROP_CT_INVALID_HDR;
    const identifier = m.u16[id >> 1]!;
    if (type === ICMP_ECHO) setPorts(m, tuple, 0, identifier);
    else setPorts(m, tuple, identifier, 0);
  } else if (type === ICMP_DEST_UNREACH || type === ICMP_TIME_EXCEEDED || type === ICMP_PARAMETERPROB) {
    m.u8[tuple + IPV4_CT_TUPLE.flags]! |= TUPLE_F_RELATED;
  }
  return 0;
}

/**
 * ct_lookup4: takes the ports from the packet and looks for its connection.
 *
 * @param tuple  addresses and nexthdr filled; afterwards the key of the entry found, or of the one to create
 * @param state  reset, then filled if an entry is found; `monitor` stays 0 for replies of a connection that has ended
 * @returns      CT_NEW, CT_ESTABLISHED, CT_REPLY, CT_RELATED or a negative drop code
 */
export function ctLookup4(
  dp: Datapath,
  tuple: Address,
  skb: Skb,
  l4Off: number,
  dir: number,
  scope: CtScope,
  state: CtState,
): number {
  const m = dp.memory;
  const nexthdr = tupleNexthdr(m, tuple);
  state.reset();
  m.u8[tuple + IPV4_CT_TUPLE.flags] = selectTupleType(dir, scope);
  let err: number;
  if (nexthdr === IPPROTO_ICMP) err = loadIcmp(m, tuple, skb, l4Off);
  else if (nexthdr === IPPROTO_TCP || nexthdr === IPPROTO_UDP) err = loadTuplePorts(m, tuple, skb, l4Off);
  else err = DROP_CT_UNKNOWN_PROTO;
  if (err < 0) return err;
  if (scope === 'forward') reverseTuple(m, tuple);
  return lookupScope(dp, tuple, skb, l4Off, dir, scope, state);
}

/** ct_lazy_lookup4 for services: the tuple already has its ports. Finds the entry that `ctCreate4` made for CT_SERVICE. */
export function ctLookupService4(dp: Datapath, tuple: Address, skb: Skb, l4Off: number, state: CtState): number {
  dp.memory.u8[tuple + IPV4_CT_TUPLE.flags] = TUPLE_F_SERVICE;
  return lookupScope(dp, tuple, skb, l4Off, CT_SERVICE, 'reverse', state);
}

function lookupScope(
  dp: Datapath,
  tuple: Address,
  skb: Skb,
  l4Off: number,
  dir: number,
  scope: CtScope,
  state: CtState,
): number {
  const m = dp.memory;
  let tcpFlags = -1; // not TCP
  if (tupleNexthdr(m, tuple) === IPPROTO_TCP) {
    const at = skb.at(l4Off + TCP.dataOffset, 2);
    if (at === NULL) return DROP_CT_INVALID_HDR;
    tcpFlags = m.u8[at + 1]!;
  }
  if (scope !== 'forward') {
    // The reverse direction first: for policy, a reply counts as a reply even if it also matches a forward entry.
    if (lookupOne(dp, tuple, skb, tcpFlags, dir, state) !== CT_NEW)
      return (m.u8[tuple + IPV4_CT_TUPLE.flags]! & TUPLE_F_RELATED) !== 0 ? CT_RELATED : CT_REPLY;
    if (scope === 'reverse') return CT_NEW;
    reverseTuple(m, tuple);
    m.u8[tuple + IPV4_CT_TUPLE.flags]! ^= TUPLE_F_IN;
  }
  return lookupOne(dp, tuple, skb, tcpFlags, dir, state);
}

/** __ct_lookup: CT_NEW or CT_ESTABLISHED for exactly this tuple; keeps the entry's times, counters and closing bits. */
function lookupOne(dp: Datapath, tuple: Address, skb: Skb, tcpFlags: number, dir: number, state: CtState): number {
  const m = dp.memory;
  const entry = ctMap4(dp, tupleNexthdr(m, tuple)).lookup(tuple);
  if (entry === NULL) return newFlow(state);
  if (dir === CT_SERVICE && ctRevNatIndex(m, entry) !== state.revNatIndex) return newFlow(state); // another service's

  const isTcp = tcpFlags !== -1;
  const closing = isTcp && (tcpFlags & (TCP_RST | TCP_FIN)) !== 0;
  const syn = isTcp && (tcpFlags & TCP_SYN) !== 0;
  if (dir === CT_SERVICE && syn && isClosing(m, entry) && expiredRebalance(dp, entry)) return newFlow(state);
  if (isAlive(m, entry)) state.monitor = updateTimeout(dp, entry, tcpFlags, dir);
  addCtPacket(m, entry, skb.len);

  if (closing) close(dp, entry, tcpFlags, dir, state);
  else if (syn && isClosing(m, entry)) {
    // A new connection on the ports of one that ends. (If policy drops the packet, the old entry stays as it is now.)
    setCtFlags(m, entry, ctFlags(m, entry) & ~(BOTH_CLOSING | CT_ENTRY_FLAG.seen_non_syn));
    setCtRxFlagsSeen(m, entry, 0);
    setCtTxFlagsSeen(m, entry, 0);
    state.monitor = updateTimeout(dp, entry, tcpFlags, dir);
    return CT_NEW;
  }

  state.revNatIndex = ctRevNatIndex(m, entry);
  if (dir === CT_SERVICE) {
    state.backendId = ctBackendId(m, entry);
    state.syn = syn;
  } else {
    state.loopback = hasFlags(m, entry, CT_ENTRY_FLAG.lb_loopback);
    state.proxyRedirect = hasFlags(m, entry, CT_ENTRY_FLAG.proxy_redirect);
  }
  return CT_ESTABLISHED;
}

function newFlow(state: CtState): number {
  state.monitor = TRACE_PAYLOAD_LEN;
  return CT_NEW;
}

function close(dp: Datapath, entry: Address, tcpFlags: number, dir: number, state: CtState): void {
  const m = dp.memory;
  // A service sees only the forward direction. A reset ends both: Cilium means to keep the other one open once both SYNs
  // were seen, but tests the seen flags (8 bits) with a mask that lies above them.
  if (dir === CT_SERVICE || (tcpFlags & TCP_RST) !== 0) setFlags(m, entry, BOTH_CLOSING);
  else setFlags(m, entry, dir === CT_INGRESS ? CT_ENTRY_FLAG.rx_closing : CT_ENTRY_FLAG.tx_closing);
  state.monitor = TRACE_PAYLOAD_LEN;
  if (!isAlive(m, entry)) report(dp, entry, CT_CLOSE_TIMEOUT, dir, tcpFlags);
}

/**
 * ct_create4: writes the entry of the tuple and, for connections, one in the "any" map that relates ICMP errors to it.
 * @returns 0, or DROP_CT_CREATE_FAILED when a map is full
 */
export function ctCreate4(dp: Datapath, tuple: Address, skb: Skb, dir: number, state: CtState): number {
  const m = dp.memory;
  const { entry, relatedTuple } = dp.stack;
  const isTcp = tupleNexthdr(m, tuple) === IPPROTO_TCP;
  m.u8.fill(0, entry, entry + CT_ENTRY.size);
  setCtRevNatIndex(m, entry, state.revNatIndex);
  setCtSrcSecId(m, entry, state.srcSecId);
  if (dir === CT_SERVICE) setCtBackendId(m, entry, state.backendId);
  else {
    if (state.loopback) setFlags(m, entry, CT_ENTRY_FLAG.lb_loopback);
    if (state.proxyRedirect) setFlags(m, entry, CT_ENTRY_FLAG.proxy_redirect);
  }
  updateTimeout(dp, entry, isTcp ? TCP_SYN : -1, dir); // whatever the packet was, an entry begins as after a SYN

  if (dir !== CT_SERVICE) {
    m.u32[(relatedTuple + IPV4_CT_TUPLE.daddr) >> 2] = tupleDaddr(m, tuple);
    m.u32[(relatedTuple + IPV4_CT_TUPLE.saddr) >> 2] = tupleSaddr(m, tuple);
    setPorts(m, relatedTuple, 0, 0);
    m.u8[relatedTuple + IPV4_CT_TUPLE.nexthdr] = IPPROTO_ICMP;
    m.u8[relatedTuple + IPV4_CT_TUPLE.flags] = m.u8[tuple + IPV4_CT_TUPLE.flags]! | TUPLE_F_RELATED;
    if (dp.ctAny.update(relatedTuple, entry) < 0) return DROP_CT_CREATE_FAILED;
  }
  addCtPacket(m, entry, skb.len);
  return ctMap4(dp, tupleNexthdr(m, tuple)).update(tuple, entry) < 0 ? DROP_CT_CREATE_FAILED : 0;
}

/** Is there an egress entry of a connection from a pod to itself by a service, for this ingress tuple? */
export function hasLoopbackEgressEntry4(dp: Datapath, tuple: Address): boolean {
  const m = dp.memory;
  const flags = m.u8[tuple + IPV4_CT_TUPLE.flags]!;
  m.u8[tuple + IPV4_CT_TUPLE.flags] = TUPLE_F_OUT;
  const entry = ctMap4(dp, tupleNexthdr(m, tuple)).lookup(tuple);
  m.u8[tuple + IPV4_CT_TUPLE.flags] = flags;
  return entry !== NULL && hasFlags(m, entry, CT_ENTRY_FLAG.lb_loopback);
}

/** Gives a service's connection another backend; the entry is the one its tuple finds. */
export function updateServiceBackend(dp: Datapath, tuple: Address, backendId: number): void {
  const entry = ctMap4(dp, tupleNexthdr(dp.memory, tuple)).lookup(tuple);
  if (entry !== NULL) setCtBackendId(dp.memory, entry, backendId);
}

/** ct_update_timeout: `tcpFlags` is -1 when the packet is not TCP. Answers the bytes worth reporting. */
function updateTimeout(dp: Datapath, entry: Address, tcpFlags: number, dir: number): number {
  let lifetime = CT_CONNECTION_LIFETIME_NONTCP;
  if (tcpFlags !== -1) {
    if ((tcpFlags & TCP_SYN) === 0) setFlags(dp.memory, entry, CT_ENTRY_FLAG.seen_non_syn);
    lifetime = hasFlags(dp.memory, entry, CT_ENTRY_FLAG.seen_non_syn) ? CT_CONNECTION_LIFETIME_TCP : CT_SYN_TIMEOUT;
  }
  return report(dp, entry, lifetime, dir, tcpFlags === -1 ? 0 : tcpFlags);
}

function report(dp: Datapath, entry: Address, lifetime: number, dir: number, tcpFlags: number): number {
  const m = dp.memory;
  const now = dp.nowSeconds();
  setCtLifetime(m, entry, now + lifetime);
  const isIngress = dir === CT_INGRESS;
  const before = isIngress ? ctRxFlagsSeen(m, entry) : ctTxFlagsSeen(m, entry);
  const lastReport = isIngress ? ctLastRxReport(m, entry) : ctLastTxReport(m, entry);
  const seen = before | (tcpFlags & CT_REPORT_FLAGS);
  if (lastReport + CT_REPORT_INTERVAL >= now && seen === before) return 0;
  if (isIngress) {
    setCtRxFlagsSeen(m, entry, seen);
    setCtLastRxReport(m, entry, now);
  } else {
    setCtTxFlagsSeen(m, entry, seen);
    setCtLastTxReport(m, entry, now);
  }
  return TRACE_PAYLOAD_LEN;
}

const hasFlags = (m: Memory, entry: Address, bits: number): boolean => (ctFlags(m, entry) & bits) !== 0;
const setFlags = (m: Memory, entry: Address, bits: number): void => setCtFlags(m, entry, ctFlags(m, entry) | bits);
const isAlive = (m: Memory, entry: Address): boolean => (ctFlags(m, entry) & BOTH_CLOSING) !== BOTH_CLOSING;
const isClosing = (m: Memory, entry: Address): boolean => hasFlags(m, entry, BOTH_CLOSING);
const expiredRebalance = (dp: Datapath, entry: Address): boolean =>
  ctLastTxReport(dp.memory, entry) + CT_SERVICE_CLOSE_REBALANCE <= dp.nowSeconds();
