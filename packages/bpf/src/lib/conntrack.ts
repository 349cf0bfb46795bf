import {
  type Address,
  CT_ENTRY,
  CT_ENTRY_FLAG,
  ctBackendId,
  ctFlags,
  ctLastRxReport,
  ctLastTxReport,
  ctLifetime,
  ctRevNatIndex,
  ctRxFlagsSeen,
  ctTxFlagsSeen,
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
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  TCP,
  TCP_FIN,
  TCP_RST,
  TCP_SYN,
} from '@ciliate/packet';
import type { Datapath } from '../datapath.ts';
import { noteDebug, noteLookup, noteUpdate } from '../explain.ts';
import type { Skb } from '../skb.ts';
import { CT_EGRESS, CT_ESTABLISHED, CT_INGRESS, CT_NEW, CT_RELATED, CT_REPLY, CT_SERVICE, htons } from './common.ts';
import { DBG_CT_CREATED4, DBG_CT_CREATED6, DBG_CT_MATCH, DBG_CT_VERDICT, noteCtLookup } from './dbg.ts';
import { DROP_CT_CREATE_FAILED, DROP_CT_INVALID_HDR, DROP_CT_UNKNOWN_PROTO, DROP_INVALID } from './drop_reasons.ts';
import type { Family } from './family.ts';
import { loadPorts } from './fragments.ts';
import { add64, METRIC_EGRESS, METRIC_INGRESS, METRIC_SERVICE, REASON_FRAG_PACKET } from './metrics.ts';
import { TRACE_PAYLOAD_LEN } from './notify.ts';
import { sendSignalCtFillUp } from './signal.ts';
import {
  copyTuple,
  reverseTuple,
  setTupleFlags,
  setTuplePorts,
  TUPLE_F_IN,
  TUPLE_F_OUT,
  TUPLE_F_RELATED,
  TUPLE_F_SERVICE,
  tupleFlags,
  tupleNexthdr,
} from './tuple.ts';

/**
 * Connection tracking: one entry for each direction a flow is seen in, keyed by its tuple (tuple.ts).
 * Source: bpf/lib/conntrack.h. The maps give up their least recently used entry when full.
 */
type CtScope = 'forward' | 'reverse' | 'bidir';

/** Which entries a lookup accepts. Source: enum ct_entry_type. */
export const CT_ENTRY_ANY = 0;
export const CT_ENTRY_NODEPORT = 1;
export const CT_ENTRY_SVC = 4;

/** Lifetimes in seconds; the agent's defaults. */
const CT_CONNECTION_LIFETIME_TCP = 8000;
const CT_CONNECTION_LIFETIME_NONTCP = 60;
const CT_SERVICE_CLOSE_REBALANCE = 60;
const CT_SYN_TIMEOUT = 60;
const CT_CLOSE_TIMEOUT = 10;
const CT_REPORT_INTERVAL = 5;
/** TCP flags that are reported when first seen: TCP_FIN, SYN, RST. */
const CT_REPORT_FLAGS = 0x07;

const ICMPV6_ECHO_REQUEST = 128;
const ICMPV6_ECHO_REPLY = 129;
/** Destination unreachable, packet too big, time exceeded, parameter problem. */
const ICMPV6_LAST_ERROR = 4;

const BOTH_CLOSING = CT_ENTRY_FLAG.rx_closing | CT_ENTRY_FLAG.tx_closing;

/** `struct ct_state`: what a lookup found, or what `ctCreate` shall write. */
export class CtState {
  /** Host order, 0 = the connection does not go through a service. */
  revNatIndex = 0;
  loopback = false;
  nodePort = false;
  proxyRedirect = false;
  fromL7lb = false;
  fromTunnel = false;
  syn = false;
  srcSecId = 0;
  backendId = 0;
  /** Bytes of a trace notification worth sending; 0 = this flow was reported lately. */
  monitor = 0;

  reset(): void {
    this.revNatIndex = 0;
    this.loopback = false;
    this.nodePort = false;
    this.proxyRedirect = false;
    this.fromL7lb = false;
    this.fromTunnel = false;
    this.syn = false;
    this.srcSecId = 0;
    this.backendId = 0;
    this.monitor = 0;
  }
}

const metricsDir = (dir: number): number =>
  dir === CT_INGRESS ? METRIC_INGRESS : dir === CT_EGRESS ? METRIC_EGRESS : METRIC_SERVICE;

/** Does the transport protocol have ports that services and NAT may change? */
export const hasPorts = (dp: Datapath, nexthdr: number): boolean =>
  nexthdr === IPPROTO_TCP || nexthdr === IPPROTO_UDP || (nexthdr === IPPROTO_SCTP && dp.config.sctp);

function selectTupleType(dir: number, scope: CtScope): number {
  if (dir === CT_SERVICE) return TUPLE_F_SERVICE;
  const forward = dir === CT_EGRESS ? TUPLE_F_OUT : TUPLE_F_IN;
  return scope === 'forward' ? forward : forward ^ TUPLE_F_IN;
}

/** ICMP: ports stand for the echo identifier; errors are related to a flow between the same two addresses. */
function loadIcmp(dp: Datapath, fam: Family, tuple: Address, skb: Skb): number {
  const m = dp.memory;
  const { headers } = dp;
  if (headers.isFragment) return DROP_INVALID;
  const at = skb.at(headers.l4Off, 1);
  if (at === NULL) return DROP_CT_INVALID_HDR;
  const type = m.u8[at]!;
  const isRequest = type === (fam.isV6 ? ICMPV6_ECHO_REQUEST : ICMP_ECHO);
  const isReply = type === (fam.isV6 ? ICMPV6_ECHO_REPLY : ICMP_ECHOREPLY);
  setTuplePorts(m, fam, tuple, 0, 0);
  if (isRequest || isReply) {
    const id = skb.at(headers.l4Off + 4, 2);
    if (id === NULL) return DROP_CT_INVALID_HDR;
    const identifier = m.u16[id >> 1]!;
    setTuplePorts(m, fam, tuple, isRequest ? identifier : 0, isReply ? identifier : 0);
  } else if (fam.isV6 ? type >= 1 && type <= ICMPV6_LAST_ERROR : isIcmpError(type)) {
    setTupleFlags(m, fam, tuple, tupleFlags(m, fam, tuple) | TUPLE_F_RELATED);
  }
  return 0;
}

export const isIcmpError = (type: number): boolean =>
  type === ICMP_DEST_UNREACH || type === ICMP_TIME_EXCEEDED || type === ICMP_PARAMETERPROB;

/** ct_extract_ports4/6: takes the tuple's ports, or what stands for them, from the packet. @returns 0 or a drop code */
export function loadTuplePorts(dp: Datapath, fam: Family, tuple: Address, skb: Skb, dir: number): number {
  const nexthdr = tupleNexthdr(dp.memory, fam, tuple);
  if (nexthdr === fam.icmp) return loadIcmp(dp, fam, tuple, skb);
  return hasPorts(dp, nexthdr) ? loadPorts(dp, fam, skb, metricsDir(dir), tuple) : DROP_CT_UNKNOWN_PROTO;
}

/** ct_is_reply4/6: does an outgoing packet answer a connection from outside? */
export function ctIsReply(dp: Datapath, fam: Family, tuple: Address): boolean {
  const m = dp.memory;
  const flags = tupleFlags(m, fam, tuple);
  setTupleFlags(m, fam, tuple, TUPLE_F_IN);
  const map = fam.ctMap(tupleNexthdr(m, fam, tuple));
  const entry = map.lookup(tuple);
  if (dp.steps !== null) noteLookup(dp, map, tuple, entry);
  setTupleFlags(m, fam, tuple, flags);
  return entry !== NULL;
}

/** Reverse NAT index (host order) of the node port that the ingress tuple's connection came by; 0: none. */
export function nodePortRevNatIndex(dp: Datapath, fam: Family, tuple: Address): number {
  const m = dp.memory;
  const flags = tupleFlags(m, fam, tuple);
  setTupleFlags(m, fam, tuple, TUPLE_F_OUT);
  const map = fam.ctMap(tupleNexthdr(m, fam, tuple));
  const entry = map.lookup(tuple);
  if (dp.steps !== null) noteLookup(dp, map, tuple, entry);
  setTupleFlags(m, fam, tuple, flags);
  return entry !== NULL && hasFlags(m, entry, CT_ENTRY_FLAG.node_port) ? ctRevNatIndex(m, entry) : 0;
}

/**
 * ct_lookup4/6: takes the ports from the packet and looks for its connection.
 *
 * @param tuple  addresses and nexthdr filled; afterwards the key of the entry found, or of the one to create
 * @param state  reset, then filled if an entry is found; `monitor` stays 0 for replies of a connection that has ended
 * @returns      CT_NEW, CT_ESTABLISHED, CT_REPLY, CT_RELATED or a negative drop code
 */
export function ctLookup(
  dp: Datapath,
  fam: Family,
  tuple: Address,
  skb: Skb,
  dir: number,
  scope: CtScope,
  state: CtState,
): number {
  const m = dp.memory;
  state.reset();
  setTupleFlags(m, fam, tuple, selectTupleType(dir, scope));
  const err = loadTuplePorts(dp, fam, tuple, skb, dir);
  if (err < 0) return err;
  if (scope === 'forward') reverseTuple(m, fam, tuple);
  return lookupScope(dp, fam, tuple, skb, dir, scope, CT_ENTRY_ANY, state);
}

/**
 * ct_lazy_lookup4/6: the tuple already has its ports (for 'forward' in forward layout).
 * @param types CT_ENTRY_*; for services and node ports `state.revNatIndex` says whose entry is meant
 */
export function ctLazyLookup(
  dp: Datapath,
  fam: Family,
  tuple: Address,
  skb: Skb,
  dir: number,
  scope: CtScope,
  types: number,
  state: CtState,
): number {
  setTupleFlags(dp.memory, fam, tuple, selectTupleType(dir, scope));
  return lookupScope(dp, fam, tuple, skb, dir, scope, types, state);
}

function lookupScope(
  dp: Datapath,
  fam: Family,
  tuple: Address,
  skb: Skb,
  dir: number,
  scope: CtScope,
  types: number,
  state: CtState,
): number {
  const m = dp.memory;
  const { headers } = dp;
  if (headers.isFragment && fam.fragments) dp.metrics.update(skb.len, metricsDir(dir), REASON_FRAG_PACKET);
  const isTcp = tupleNexthdr(m, fam, tuple) === IPPROTO_TCP;
  let tcpFlags = 0;
  if (isTcp && headers.hasL4Header) {
    const at = skb.at(headers.l4Off + TCP.dataOffset, 2);
    if (at === NULL) return DROP_CT_INVALID_HDR;
    tcpFlags = m.u8[at + 1]!;
  }
  if (dp.steps !== null) noteCtLookup(dp, fam, tuple, dir, scope);
  let status: number;
  if (scope === 'forward') status = lookupOne(dp, fam, tuple, skb, isTcp, tcpFlags, dir, types, state);
  // The reverse direction first: for policy, a reply counts as a reply even if it also matches a forward entry.
  else if (lookupOne(dp, fam, tuple, skb, isTcp, tcpFlags, dir, types, state) !== CT_NEW)
    status = (tupleFlags(m, fam, tuple) & TUPLE_F_RELATED) !== 0 ? CT_RELATED : CT_REPLY;
  else if (scope === 'reverse') status = CT_NEW;
  else {
    reverseTuple(m, fam, tuple);
    setTupleFlags(m, fam, tuple, tupleFlags(m, fam, tuple) ^ TUPLE_F_IN);
    status = lookupOne(dp, fam, tuple, skb, isTcp, tcpFlags, dir, types, state);
  }
  if (dp.steps !== null) noteDebug(dp, DBG_CT_VERDICT, status, htons(state.revNatIndex));
  return status;
}

/** __ct_lookup: CT_NEW or CT_ESTABLISHED for exactly this tuple; keeps the entry's times, counters and closing bits. */
function lookupOne(
  dp: Datapath,
  fam: Family,
  tuple: Address,
  skb: Skb,
  isTcp: boolean,
  tcpFlags: number,
  dir: number,
  types: number,
  state: CtState,
): number {
  const m = dp.memory;
  const map = fam.ctMap(tupleNexthdr(m, fam, tuple));
  const entry = map.lookup(tuple);
  if (dp.steps !== null) noteLookup(dp, map, tuple, entry);
  if (entry === NULL || !matchesTypes(dp, entry, types, state)) return newFlow(state);
  if (dp.steps !== null) noteDebug(dp, DBG_CT_MATCH, ctLifetime(m, entry), htons(ctRevNatIndex(m, entry)));

  const syn = (tcpFlags & TCP_SYN) !== 0;
  if (dir === CT_SERVICE && syn && isClosing(m, entry) && expiredRebalance(dp, entry)) return newFlow(state);
  if (isAlive(m, entry)) state.monitor = updateTimeout(dp, entry, isTcp, tcpFlags, dir);
  if (dp.config.ctAccounting) {
    add64(m, entry + CT_ENTRY.packets, 1);
    add64(m, entry + CT_ENTRY.bytes, skb.len);
  }

  if ((tcpFlags & (TCP_RST | TCP_FIN)) !== 0) close(dp, entry, tcpFlags, dir, state);
  else if (syn && isClosing(m, entry)) {
    // A new connection on the ports of one that ends. (If policy drops the packet, the old entry stays as it is now.)
    setCtFlags(m, entry, ctFlags(m, entry) & ~(BOTH_CLOSING | CT_ENTRY_FLAG.seen_non_syn));
    setCtRxFlagsSeen(m, entry, 0);
    setCtTxFlagsSeen(m, entry, 0);
    state.monitor = updateTimeout(dp, entry, isTcp, tcpFlags, dir);
    if (dp.steps !== null) noteUpdate(dp, map, tuple, entry);
    return CT_NEW;
  }
  if (dp.steps !== null) noteUpdate(dp, map, tuple, entry);

  if (dir === CT_SERVICE) {
    state.revNatIndex = ctRevNatIndex(m, entry);
    state.backendId = ctBackendId(m, entry);
    state.syn = syn;
  } else setCtState(state, ctFlags(m, entry), ctRevNatIndex(m, entry));
  return CT_ESTABLISHED;
}

/** What an entry tells programs. @param flags CT_ENTRY_FLAG. @param revNatIndex host order */
export function setCtState(state: CtState, flags: number, revNatIndex: number): void {
  state.revNatIndex = revNatIndex;
  state.loopback = (flags & CT_ENTRY_FLAG.lb_loopback) !== 0;
  state.nodePort = (flags & CT_ENTRY_FLAG.node_port) !== 0;
  state.proxyRedirect = (flags & CT_ENTRY_FLAG.proxy_redirect) !== 0;
  state.fromL7lb = (flags & CT_ENTRY_FLAG.from_l7lb) !== 0;
  state.fromTunnel = (flags & CT_ENTRY_FLAG.from_tunnel) !== 0;
}

/** Was the entry made for the service, or as a node port, that the lookup is about? */
function matchesTypes(dp: Datapath, entry: Address, types: number, state: CtState): boolean {
  if (types === CT_ENTRY_ANY) return true;
  const index = ctRevNatIndex(dp.memory, entry);
  if ((types & CT_ENTRY_SVC) !== 0 && index === state.revNatIndex) return true;
  if ((types & CT_ENTRY_NODEPORT) === 0 || !dp.config.nodePort) return false;
  const isNodePort = (ctFlags(dp.memory, entry) & CT_ENTRY_FLAG.node_port) !== 0;
  return isNodePort && index !== 0 && (state.revNatIndex === 0 || index === state.revNatIndex);
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
 * ct_create4/6: writes the entry of the tuple and, if asked, one in the "any" map that relates ICMP errors to it.
 * @returns 0, or DROP_CT_CREATE_FAILED when a map is full
 */
export function ctCreate(
  dp: Datapath,
  fam: Family,
  tuple: Address,
  skb: Skb,
  dir: number,
  state: CtState,
  relate: boolean,
): number {
  const m = dp.memory;
  const { entry } = dp.stack;
  const isTcp = tupleNexthdr(m, fam, tuple) === IPPROTO_TCP;
  for (let i = 0; i < CT_ENTRY.size; i += 4) m.u32[(entry + i) >> 2] = 0;
  setCtRevNatIndex(m, entry, state.revNatIndex);
  setCtSrcSecId(m, entry, state.srcSecId);
  if (dir === CT_SERVICE) setCtBackendId(m, entry, state.backendId);
  else {
    if (state.loopback) setFlags(m, entry, CT_ENTRY_FLAG.lb_loopback);
    if (state.nodePort) setFlags(m, entry, CT_ENTRY_FLAG.node_port);
    if (state.proxyRedirect) setFlags(m, entry, CT_ENTRY_FLAG.proxy_redirect);
    if (state.fromL7lb) setFlags(m, entry, CT_ENTRY_FLAG.from_l7lb);
    if (state.fromTunnel) setFlags(m, entry, CT_ENTRY_FLAG.from_tunnel);
  }
  updateTimeout(dp, entry, isTcp, isTcp ? TCP_SYN : 0, dir); // whatever the packet was, an entry begins as after a SYN
  if (dp.steps !== null)
    noteDebug(dp, fam.isV6 ? DBG_CT_CREATED6 : DBG_CT_CREATED4, htons(state.revNatIndex), state.srcSecId);

  if (relate) {
    const related = fam.otherTuple;
    copyTuple(m, fam, related, tuple);
    setTuplePorts(m, fam, related, 0, 0);
    m.u8[related + fam.tupleNexthdr] = fam.icmp;
    setTupleFlags(m, fam, related, tupleFlags(m, fam, tuple) | TUPLE_F_RELATED);
    if (dp.steps !== null) noteUpdate(dp, fam.ctAny, related, entry);
    const err = fam.ctAny.update(related, entry);
    if (err < 0) return noRoom(dp, fam, err);
  }
  if (dp.config.ctAccounting) {
    add64(m, entry + CT_ENTRY.packets, 1);
    add64(m, entry + CT_ENTRY.bytes, skb.len);
  }
  const map = fam.ctMap(tupleNexthdr(m, fam, tuple));
  if (dp.steps !== null) noteUpdate(dp, map, tuple, entry);
  const err = map.update(tuple, entry);
  return err < 0 ? noRoom(dp, fam, err) : 0;
}

function noRoom(dp: Datapath, fam: Family, err: number): number {
  dp.extError = err;
  sendSignalCtFillUp(dp, fam);
  return DROP_CT_CREATE_FAILED;
}

/** Is there an egress entry of a connection from a pod to itself by a service, for this ingress tuple? */
export function hasLoopbackEgressEntry(dp: Datapath, fam: Family, tuple: Address): boolean {
  return (egressFlags(dp, fam, tuple) & CT_ENTRY_FLAG.lb_loopback) !== 0;
}

/** Flags of the egress entry of an ingress tuple, 0 if there is none. */
function egressFlags(dp: Datapath, fam: Family, tuple: Address): number {
  const m = dp.memory;
  const flags = tupleFlags(m, fam, tuple);
  setTupleFlags(m, fam, tuple, TUPLE_F_OUT);
  const map = fam.ctMap(tupleNexthdr(m, fam, tuple));
  const entry = map.lookup(tuple);
  if (dp.steps !== null) noteLookup(dp, map, tuple, entry);
  setTupleFlags(m, fam, tuple, flags);
  return entry === NULL ? 0 : ctFlags(m, entry);
}

/** ct_update_svc_entry: another backend from here on. */
export function updateServiceBackend(
  dp: Datapath,
  fam: Family,
  tuple: Address,
  backendId: number,
  index: number,
): void {
  const m = dp.memory;
  const map = fam.ctMap(tupleNexthdr(m, fam, tuple));
  const entry = map.lookup(tuple);
  if (entry === NULL) return;
  setCtBackendId(m, entry, backendId);
  setCtRevNatIndex(m, entry, index);
  if (dp.steps !== null) noteUpdate(dp, map, tuple, entry);
}

const hasFlags = (m: Memory, entry: Address, flags: number): boolean => (ctFlags(m, entry) & flags) !== 0;
const setFlags = (m: Memory, entry: Address, flags: number): void => setCtFlags(m, entry, ctFlags(m, entry) | flags);
const isClosing = (m: Memory, entry: Address): boolean => hasFlags(m, entry, BOTH_CLOSING);
const isAlive = (m: Memory, entry: Address): boolean => (ctFlags(m, entry) & BOTH_CLOSING) !== BOTH_CLOSING;

const expiredRebalance = (dp: Datapath, entry: Address): boolean =>
  ctLastTxReport(dp.memory, entry) + CT_SERVICE_CLOSE_REBALANCE <= dp.nowSeconds();

/** ct_update_timeout: a new lifetime, and whether this packet is worth a report. */
function updateTimeout(dp: Datapath, entry: Address, isTcp: boolean, tcpFlags: number, dir: number): number {
  const m = dp.memory;
  let lifetime = CT_CONNECTION_LIFETIME_NONTCP;
  if (isTcp) {
    if ((tcpFlags & TCP_SYN) === 0) setFlags(m, entry, CT_ENTRY_FLAG.seen_non_syn);
    lifetime = hasFlags(m, entry, CT_ENTRY_FLAG.seen_non_syn) ? CT_CONNECTION_LIFETIME_TCP : CT_SYN_TIMEOUT;
  }
  return report(dp, entry, lifetime, dir, tcpFlags);
}

/** __ct_update_timeout: reports are due when a flag is new, or at most once in CT_REPORT_INTERVAL seconds. */
function report(dp: Datapath, entry: Address, lifetime: number, dir: number, tcpFlags: number): number {
  const m = dp.memory;
  const now = dp.nowSeconds();
  setCtLifetime(m, entry, now + lifetime);
  const isRx = dir === CT_INGRESS;
  const known = isRx ? ctRxFlagsSeen(m, entry) : ctTxFlagsSeen(m, entry);
  const last = isRx ? ctLastRxReport(m, entry) : ctLastTxReport(m, entry);
  const seen = known | (tcpFlags & CT_REPORT_FLAGS);
  if (last + CT_REPORT_INTERVAL >= now && seen === known) return 0;
  if (isRx) {
    setCtRxFlagsSeen(m, entry, seen);
    setCtLastRxReport(m, entry, now);
  } else {
    setCtTxFlagsSeen(m, entry, seen);
    setCtLastTxReport(m, entry, now);
  }
  return TRACE_PAYLOAD_LEN;
}
