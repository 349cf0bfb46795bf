import { isV6, TCP, UDP } from './context';

/*
 * The packet: where its headers lie, and what services change in it. Until the whole way of the packet is known nothing is
 * written, so addresses and ports may be those that it is about to get (`pretend`).
 */

/** Of the Ethernet header, and bytes of the frame. */
export let at: u32 = 0;
export let len: u32 = 0;
export let now: u32 = 0;
export let l4: u32 = 0;
export let protocol: u32 = 0;
export let isTcp: bool = false;
export let tcpFlags: u32 = 0;
/** As loaded: the source's in the low half. */
export let ports: u32 = 0;
/** Where the addresses lie. */
export let saddrAt: u32 = 0;
export let daddrAt: u32 = 0;

const ETH_HLEN: u32 = 14;
const TCP_CHECKSUM: u32 = 16;
const UDP_CHECKSUM: u32 = 6;

@inline
export function addressBytes<F>(): u32 {
  return isV6<F>() ? 16 : 4;
}

@inline
export function sameAddress<F>(a: u32, b: u32): bool {
  if (!isV6<F>()) return load<u32>(a) === load<u32>(b);
  return load<u64>(a) === load<u64>(b) && load<u64>(a, 8) === load<u64>(b, 8);
}

@inline
export function isZeroAddress<F>(a: u32): bool {
  if (!isV6<F>()) return load<u32>(a) === 0;
  return (load<u64>(a) | load<u64>(a, 8)) === 0;
}

@inline
export function copyAddress<F>(to: u32, from: u32): void {
  if (isV6<F>()) {
    store<u64>(to, load<u64>(from));
    store<u64>(to, load<u64>(from, 8), 8);
  } else store<u32>(to, load<u32>(from));
}

/** @returns false for what is no whole TCP or UDP packet of the family: a fragment, one with extension headers or cut off */
@inline
export function parse<F>(data: u32, bytes: u32, seconds: u32): bool {
  at = data;
  len = bytes;
  now = seconds;
  const l3 = data + ETH_HLEN;
  if (isV6<F>()) {
    if (bytes < 58) return false;
    protocol = load<u8>(l3, 6);
    saddrAt = l3 + 8;
    daddrAt = l3 + 24;
    l4 = l3 + 40;
  } else {
    if (bytes < 38 || (load<u16>(l3, 6) & 0xff3f) !== 0) return false;
    protocol = load<u8>(l3, 9);
    saddrAt = l3 + 12;
    daddrAt = l3 + 16;
    const header = <u32>(load<u8>(l3) & 0x0f) << 2;
    if (header < 20) return false;
    l4 = l3 + header;
  }
  if (protocol === TCP) {
    // Conntrack also looks at the flags of TCP.
    if (l4 + 14 > data + bytes) return false;
    isTcp = true;
    tcpFlags = load<u8>(l4, 13);
  } else {
    if (protocol !== UDP) return false;
    if (l4 + 4 > data + bytes) return false;
    isTcp = false;
    tcpFlags = 0;
  }
  ports = load<u32>(l4);
  return !isZeroAddress<F>(saddrAt) && !isZeroAddress<F>(daddrAt);
}

@inline
export function dport(): u32 {
  return ports >> 16;
}

/** From here on the packet counts as one to this address and port. */
@inline
export function pretend(address: u32, port: u32): void {
  daddrAt = address;
  ports = (ports & 0xffff) | (port << 16);
}

/** The packet counts as what it is again. */
@inline
export function reread<F>(): void {
  daddrAt = at + ETH_HLEN + (isV6<F>() ? 24 : 16);
  ports = load<u32>(l4);
}

/** Is the transport checksum inside of the packet? */
@inline
export function hasChecksum(): bool {
  return l4 + (isTcp ? TCP_CHECKSUM : UDP_CHECKSUM) + 2 <= at + len;
}

@inline
function swap16(word: u32): u32 {
  return ((word & 0xff) << 8) | (word >> 8);
}
@inline
export function ntohs(word: u32): u32 {
  return swap16(word);
}

/** csum_diff of a word: differences are sums that have not been folded yet. */
@inline
function csumDiff(diff: u32, before: u32, after: u32): u32 {
  return diff + (~before & 0xffff) + (~before >> 16) + (after & 0xffff) + (after >> 16);
}

function csumReplace(at: u32, diff: u32): void {
  let sum = (~(<u32>load<u16>(at)) & 0xffff) + diff;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  store<u16>(at, <u16>~sum);
}

function csumL4Replace(diff: u32): void {
  if (isTcp) {
    csumReplace(l4 + TCP_CHECKSUM, diff);
    return;
  }
  const checksum = l4 + UDP_CHECKSUM;
  if (load<u16>(checksum) === 0) return; // there is none
  csumReplace(checksum, diff);
  if (load<u16>(checksum) === 0) store<u16>(checksum, 0xffff);
}

function replaceAddress<F>(where: u32, by: u32): u32 {
  let diff: u32 = 0;
  for (let i: u32 = 0; i < addressBytes<F>(); i += 4) {
    diff = csumDiff(diff, load<u32>(where + i), load<u32>(by + i));
    store<u32>(where + i, load<u32>(by + i));
  }
  if (!isV6<F>()) csumReplace(at + ETH_HLEN + 10, diff);
  return diff;
}

function rewritePort(offset: u32, port: u32): void {
  const old: u32 = load<u16>(l4 + offset);
  if (port === 0 || port === old) return;
  csumL4Replace(csumDiff(0, old, port));
  store<u16>(l4 + offset, <u16>port);
}

/** lbX_xlate: destination address and port become the backend's. */
export function rewriteToBackend<F>(address: u32, port: u32): void {
  csumL4Replace(replaceAddress<F>(at + ETH_HLEN + (isV6<F>() ? 24 : 16), address));
  rewritePort(2, port);
}

/** lbX_rev_nat: source address and port become the service's. */
export function rewriteToService<F>(address: u32, port: u32): void {
  const diff = replaceAddress<F>(at + ETH_HLEN + (isV6<F>() ? 8 : 12), address);
  rewritePort(0, port);
  csumL4Replace(diff);
}

@inline
function ttlAt<F>(): u32 {
  return at + ETH_HLEN + (isV6<F>() ? 7 : 8);
}

@inline
export function mayHop<F>(): bool {
  return load<u8>(ttlAt<F>()) > 1;
}

/** ipvX_l3: one hop less to live; 6 bytes at each address, 0 leaves the Ethernet address as it is. */
@inline
export function routeL3<F>(smac: u32, dmac: u32): void {
  const where = ttlAt<F>();
  const ttl: u32 = load<u8>(where);
  store<u8>(where, <u8>(ttl - 1));
  if (!isV6<F>()) csumReplace(at + ETH_HLEN + 10, csumDiff(0, ttl, ttl - 1));
  if (smac !== 0) copyMac(at + 6, smac);
  if (dmac !== 0) copyMac(at, dmac);
}

@inline
function copyMac(to: u32, from: u32): void {
  store<u32>(to, load<u32>(from));
  store<u16>(to, load<u16>(from, 4), 4);
}
