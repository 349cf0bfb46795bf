import {
  CT_ACCOUNTING,
  CT_ANY,
  CT_TCP,
  EGRESS,
  ESTABLISHED,
  family,
  FIN,
  has,
  INGRESS,
  isV6,
  KEY,
  NEW,
  REPLY,
  RST,
  SERVICE,
  SYN,
  TRACE_PAYLOAD_LEN,
} from './context';
import { find, find4, insert, NODE_KEY, room, touch } from './hash';
import { daddrAt, isTcp, len, now, ports, protocol, saddrAt, tcpFlags } from './packet';

/*
 * Connection tracking (lib/conntrack.ts): a lookup that leaves no trace, and what a packet does to the entry that was found
 * or to a new one, once it is known that its whole way is a usual one.
 */

// `struct ct_entry`.
const BACKEND_ID: u32 = 8;
const PACKETS: u32 = 16;
const BYTES: u32 = 24;
const LIFETIME: u32 = 32;
const FLAGS: u32 = 36;
const REV_NAT: u32 = 38;
const TX_FLAGS_SEEN: u32 = 42;
const RX_FLAGS_SEEN: u32 = 43;
const SRC_SEC_ID: u32 = 44;
const LAST_TX_REPORT: u32 = 48;
const LAST_RX_REPORT: u32 = 52;
const RX_CLOSING: u32 = 1;
const TX_CLOSING: u32 = 2;
const BOTH_CLOSING: u32 = 3;
const SEEN_NON_SYN: u32 = 0x10;
export const LB_LOOPBACK: u32 = 8;
export const NODE_PORT_ENTRY: u32 = 0x20;
export const PROXY_REDIRECT: u32 = 0x40;
export const FROM_L7LB: u32 = 0x100;
export const FROM_TUNNEL: u32 = 0x400;

const LIFETIME_TCP: u32 = 8000;
const LIFETIME_NONTCP: u32 = 60;
const SYN_TIMEOUT: u32 = 60;
const CLOSE_TIMEOUT: u32 = 10;
const REPORT_INTERVAL: u32 = 5;
const REPORT_FLAGS: u32 = 7;

// Of the tuple's last word: the protocol, TUPLE_F_*.
const F_IN: u32 = 0x100;
const F_RELATED: u32 = 0x200;
const F_SERVICE: u32 = 0x400;
const ICMP: u32 = 1;
const ICMPV6: u32 = 58;

@inline
function nodeValue<F>(): u32 {
  return NODE_KEY + (isV6<F>() ? 40 : 16);
}
@inline
function keyWords<F>(): u32 {
  return isV6<F>() ? 10 : 4;
}
@inline
export function entryFlags(entry: u32): u32 {
  return load<u16>(entry, FLAGS);
}
/** As the entry has it. */
@inline
export function entryRevNat(entry: u32): u32 {
  return load<u16>(entry, REV_NAT);
}
@inline
export function entryBackend(entry: u32): u32 {
  return load<u32>(entry, BACKEND_ID);
}

/** Writes a tuple where keys are put together. */
@inline
function setTuple<F>(ctx: u32, first: u32, second: u32, words: u32, tail: u32): u32 {
  const key = ctx + KEY;
  if (isV6<F>()) {
    store<u64>(key, load<u64>(first));
    store<u64>(key, load<u64>(first, 8), 8);
    store<u64>(key, load<u64>(second), 16);
    store<u64>(key, load<u64>(second, 8), 24);
    store<u32>(key, words, 32);
    store<u32>(key, tail, 36);
  } else {
    store<u32>(key, load<u32>(first));
    store<u32>(key, load<u32>(second), 4);
    store<u32>(key, words, 8);
    store<u32>(key, tail, 12);
  }
  return key;
}

/** The node of a tuple. @param first,second where its addresses lie. @param tail protocol and flags */
@inline
export function findTuple<F>(ctx: u32, table: u32, first: u32, second: u32, words: u32, tail: u32): u32 {
  if (!isV6<F>()) return find4(table, load<u32>(first), load<u32>(second), words, tail);
  return find(table, setTuple<F>(ctx, first, second, words, tail), keyWords<F>());
}

/** The map of the packet's protocol. */
@inline
function tableOf<F>(ctx: u32): u32 {
  return family<F>(ctx) + (isTcp ? CT_TCP : CT_ANY);
}

/** What `peek` answers beside the entry that it found. */
export let status: u32 = 0;

/** ct_lookup without its traces. @returns the entry, or 0 */
@inline
export function peek<F>(ctx: u32, dir: u32, forwardOnly: bool): u32 {
  const table = tableOf<F>(ctx);
  const tail: u32 = protocol | (dir === INGRESS ? F_IN : 0);
  let node: u32 = 0;
  status = REPLY;
  if (!forwardOnly) node = findTuple<F>(ctx, table, daddrAt, saddrAt, ports, tail ^ F_IN);
  if (node === 0) {
    node = findTuple<F>(ctx, table, saddrAt, daddrAt, rotl<u32>(ports, 16), tail);
    status = node === 0 ? NEW : ESTABLISHED;
  }
  return node === 0 ? 0 : node + nodeValue<F>();
}

/** The entry of the connection's choice of a backend, or 0. */
@inline
export function peekService<F>(ctx: u32): u32 {
  const node = findTuple<F>(ctx, tableOf<F>(ctx), daddrAt, saddrAt, ports, protocol | F_SERVICE);
  return node === 0 ? 0 : node + nodeValue<F>();
}

/** Is the packet the first one of a connection on the ports of one that ends? */
@inline
export function reopens(entry: u32): bool {
  return (tcpFlags & SYN) !== 0 && (entryFlags(entry) & BOTH_CLOSING) !== 0;
}

/**
 * What ct_lookup does with the entry it finds.
 * @param ended bytes to tell of a packet of a connection that has ended: of a reply none; else what the search for a
 * reply's entry, which comes first, has left
 * @returns bytes of a trace notification worth sending
 */
@inline
export function keep<F>(ctx: u32, entry: u32, dir: u32, ended: u32): u32 {
  touch(entry - nodeValue<F>());
  let monitor = ended;
  if (isAlive(entry)) monitor = updateTimeout(entry, tcpFlags, dir);
  if (has(ctx, CT_ACCOUNTING)) {
    store<u64>(entry, load<u64>(entry, PACKETS) + 1, PACKETS);
    store<u64>(entry, load<u64>(entry, BYTES) + len, BYTES);
  }
  if ((tcpFlags & (RST | FIN)) === 0) return monitor;
  close(entry, dir);
  return TRACE_PAYLOAD_LEN;
}

@inline
function isAlive(entry: u32): bool {
  return (entryFlags(entry) & BOTH_CLOSING) !== BOTH_CLOSING;
}

@inline
function setFlags(entry: u32, flags: u32): void {
  store<u16>(entry, <u16>(entryFlags(entry) | flags), FLAGS);
}

/** A reset ends both directions: see lib/conntrack.ts. */
function close(entry: u32, dir: u32): void {
  if (dir === SERVICE || (tcpFlags & RST) !== 0) setFlags(entry, BOTH_CLOSING);
  else setFlags(entry, dir === INGRESS ? RX_CLOSING : TX_CLOSING);
  if (!isAlive(entry)) report(entry, CLOSE_TIMEOUT, dir, tcpFlags);
}

@inline
function updateTimeout(entry: u32, flags: u32, dir: u32): u32 {
  let lifetime = LIFETIME_NONTCP;
  if (isTcp) {
    if ((flags & SYN) === 0) setFlags(entry, SEEN_NON_SYN);
    lifetime = (entryFlags(entry) & SEEN_NON_SYN) !== 0 ? LIFETIME_TCP : SYN_TIMEOUT;
  }
  return report(entry, lifetime, dir, flags);
}

/** __ct_update_timeout: reports are due when a flag is new, or at most once in some seconds. */
@inline
function report(entry: u32, lifetime: u32, dir: u32, flags: u32): u32 {
  store<u32>(entry, now + lifetime, LIFETIME);
  const seenAt = entry + (dir === INGRESS ? RX_FLAGS_SEEN : TX_FLAGS_SEEN);
  const lastAt = entry + (dir === INGRESS ? LAST_RX_REPORT : LAST_TX_REPORT);
  const known: u32 = load<u8>(seenAt);
  const seen = known | (flags & REPORT_FLAGS);
  const due: u64 = <u64>load<u32>(lastAt) + REPORT_INTERVAL;
  if (seen === known) if (due >= <u64>now) return 0;
  store<u8>(seenAt, <u8>seen);
  store<u32>(lastAt, now);
  return TRACE_PAYLOAD_LEN;
}

/**
 * Do so many connections more find room, and their entries for ICMP errors?
 * @param services entries that have none of these
 * @returns 0 if so
 */
@inline
export function roomFor<F>(ctx: u32, flows: u32, services: u32): i32 {
  if (flows + services === 0) return 0;
  const any = family<F>(ctx) + CT_ANY;
  if (!isTcp) return room(any, 2 * flows + services);
  return room(family<F>(ctx) + CT_TCP, flows + services) | room(any, flows);
}

/** ct_create: the entry of a new connection, and one that relates ICMP errors to it. @param revNat as entries have it */
export function create<F>(ctx: u32, dir: u32, srcSecId: u32, revNat: u32, flags: u32): void {
  const tail: u32 = protocol | (dir === INGRESS ? F_IN : 0);
  const icmp: u32 = isV6<F>() ? ICMPV6 : ICMP;
  const relatedTail = icmp | (tail & 0xff00) | F_RELATED;
  const related = setTuple<F>(ctx, saddrAt, daddrAt, 0, relatedTail);
  fill(ctx, insert(family<F>(ctx) + CT_ANY, related, keyWords<F>()) + nodeValue<F>(), dir, srcSecId, revNat, flags, false);
  const key = setTuple<F>(ctx, saddrAt, daddrAt, rotl<u32>(ports, 16), tail);
  fill(ctx, insert(tableOf<F>(ctx), key, keyWords<F>()) + nodeValue<F>(), dir, srcSecId, revNat, flags, true);
}

/** The entry that keeps the choice of a backend. */
export function createService<F>(ctx: u32, revNat: u32, backend: u32): void {
  const key = setTuple<F>(ctx, daddrAt, saddrAt, ports, protocol | F_SERVICE);
  const entry = insert(tableOf<F>(ctx), key, keyWords<F>()) + nodeValue<F>();
  fill(ctx, entry, SERVICE, 0, revNat, 0, true);
  store<u32>(entry, backend, BACKEND_ID);
}

/** @param counted whether the packet counts as the first one */
function fill(ctx: u32, entry: u32, dir: u32, srcSecId: u32, revNat: u32, flags: u32, counted: bool): void {
  const counts = counted && has(ctx, CT_ACCOUNTING);
  store<u64>(entry, 0);
  store<u64>(entry, 0, BACKEND_ID);
  store<u64>(entry, counts ? 1 : 0, PACKETS);
  store<u64>(entry, counts ? len : 0, BYTES);
  store<u64>(entry, 0, LIFETIME);
  store<u64>(entry, 0, REV_NAT + 2);
  store<u64>(entry, 0, LAST_TX_REPORT);
  store<u16>(entry, <u16>flags, FLAGS);
  store<u16>(entry, <u16>revNat, REV_NAT);
  store<u32>(entry, srcSecId, SRC_SEC_ID);
  updateTimeout(entry, isTcp ? SYN : 0, dir); // whatever the packet was, an entry begins as after a SYN
}
