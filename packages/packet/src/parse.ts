import { ETH, ETH_P_ARP, ETH_P_IP, ETH_P_IPV6, ethDst, ethSrc, ethType } from './eth.ts';
import { ICMP, icmpCode, icmpId, icmpSequence, icmpType } from './icmp.ts';
import {
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPV4,
  ipv4Dst,
  ipv4FragmentOffset,
  ipv4HeaderLength,
  ipv4Id,
  ipv4IsFragment,
  ipv4IsLaterFragment,
  ipv4Protocol,
  ipv4Src,
  ipv4TotalLength,
  ipv4Ttl,
  ipv4Version,
} from './ipv4.ts';
import {
  IPV6,
  ipv6Dst,
  ipv6ExtensionLength,
  ipv6FragmentId,
  ipv6FragmentOffset,
  ipv6HopLimit,
  ipv6IsFragment,
  ipv6NextHeader,
  ipv6PayloadLength,
  ipv6Src,
  ipv6Version,
  isIpv6Extension,
  NEXTHDR_FRAGMENT,
} from './ipv6.ts';
import { TCP, tcpAck, tcpDstPort, tcpFlags, tcpHeaderLength, tcpSeq, tcpSrcPort, tcpWindow } from './tcp.ts';
import { UDP, udpDstPort, udpSrcPort } from './udp.ts';

/** Units and byte order as in the accessors of the same name: host-order numbers. `at`: byte offset in the frame. */
export interface ParsedEth {
  src: number;
  dst: number;
  type: number;
}

export interface ParsedIpv4 {
  at: number;
  src: number;
  dst: number;
  protocol: number;
  ttl: number;
  id: number;
  totalLength: number;
  isFragment: boolean;
  fragmentOffset: number; // bytes
}

export interface ParsedIpv6 {
  at: number;
  src: bigint;
  dst: bigint;
  protocol: number; // behind all extension headers
  ttl: number; // hop limit
  id: number; // of the datagram; valid only if isFragment
  headerLength: number; // bytes, with extension headers
  totalLength: number; // bytes, with this header
  isFragment: boolean; // an atomic fragment is none
  fragmentOffset: number; // bytes
}

/** What the headers of both families say. */
export type ParsedIp = ParsedIpv4 | ParsedIpv6;

export interface ParsedTcp {
  at: number;
  srcPort: number;
  dstPort: number;
  seq: number;
  ack: number; // valid only if flags has TCP_ACK
  flags: number;
  window: number;
}

export interface ParsedUdp {
  at: number;
  srcPort: number;
  dstPort: number;
}

export interface ParsedIcmp {
  at: number;
  type: number;
  code: number;
  id: number; // valid only in echo messages
  sequence: number; // valid only in echo messages
}

export interface ParsedFrame {
  eth: ParsedEth | undefined;
  /** At most one of ipv4 and ipv6; `ip` is that one. */
  ipv4: ParsedIpv4 | undefined;
  ipv6: ParsedIpv6 | undefined;
  ip: ParsedIp | undefined;
  tcp: ParsedTcp | undefined; // at most one of tcp, udp, icmp
  udp: ParsedUdp | undefined;
  icmp: ParsedIcmp | undefined; // ICMP over IPv4, ICMPv6 over IPv6
  /** What follows the last header understood, without Ethernet padding. A view into the frame, not a copy. */
  payload: Uint8Array;
  /** True where the packet says it is longer than the bytes that are here. */
  truncated: boolean;
  /** Why parsing stopped before an L4 header; undefined where it did not. */
  error: string | undefined;
}

/**
 * Read an Ethernet frame as far as it can be understood, for the control plane and for printing (the data plane reads
 * fields in place). Never throws: what could not be read is undefined and `error` says why.
 */
export function parseFrame(frame: Uint8Array): ParsedFrame {
  const parsed: ParsedFrame = {
    eth: undefined,
    ipv4: undefined,
    ipv6: undefined,
    ip: undefined,
    tcp: undefined,
    udp: undefined,
    icmp: undefined,
    payload: frame,
    truncated: false,
    error: undefined,
  };
  parsed.error = readEth(frame, parsed);
  return parsed;
}

function readEth(frame: Uint8Array, parsed: ParsedFrame): string | undefined {
  if (frame.length < ETH.size) return short('an Ethernet header', ETH.size, frame.length);
  parsed.eth = { src: ethSrc(frame, 0), dst: ethDst(frame, 0), type: ethType(frame, 0) };
  parsed.payload = frame.subarray(ETH.size);
  if (parsed.eth.type === ETH_P_IP) return readIpv4(frame, ETH.size, parsed);
  if (parsed.eth.type === ETH_P_IPV6) return readIpv6(frame, ETH.size, parsed);
  return `${etherTypeName(parsed.eth.type)}, not IP`;
}

function readIpv4(frame: Uint8Array, at: number, parsed: ParsedFrame): string | undefined {
  const left = frame.length - at;
  if (left < IPV4.size) return short('an IPv4 header', IPV4.size, left);
  const headerLength = ipv4HeaderLength(frame, at);
  const totalLength = ipv4TotalLength(frame, at);
  if (ipv4Version(frame, at) !== 4) return `IP version ${ipv4Version(frame, at)} under the EtherType of IPv4`;
  if (headerLength < IPV4.size) return `an IPv4 header that says it is ${headerLength} bytes long`;
  if (left < headerLength) return short('an IPv4 header', headerLength, left);
  if (totalLength < headerLength) return `an IPv4 packet of ${totalLength} bytes with a header of ${headerLength}`;
  parsed.ipv4 = {
    at,
    src: ipv4Src(frame, at),
    dst: ipv4Dst(frame, at),
    protocol: ipv4Protocol(frame, at),
    ttl: ipv4Ttl(frame, at),
    id: ipv4Id(frame, at),
    totalLength,
    isFragment: ipv4IsFragment(frame, at),
    fragmentOffset: ipv4FragmentOffset(frame, at),
  };
  parsed.ip = parsed.ipv4;
  parsed.truncated = left < totalLength;
  parsed.payload = frame.subarray(at + headerLength, at + totalLength);
  if (ipv4IsLaterFragment(frame, at)) return 'a later IPv4 fragment: it has no L4 header';
  return readL4(frame, at + headerLength, parsed.ipv4.protocol, parsed);
}

function readIpv6(frame: Uint8Array, at: number, parsed: ParsedFrame): string | undefined {
  const left = frame.length - at;
  if (left < IPV6.size) return short('an IPv6 header', IPV6.size, left);
  if (ipv6Version(frame, at) !== 6) return `IP version ${ipv6Version(frame, at)} under the EtherType of IPv6`;
  const ipv6: ParsedIpv6 = {
    at,
    src: ipv6Src(frame, at),
    dst: ipv6Dst(frame, at),
    protocol: ipv6NextHeader(frame, at),
    ttl: ipv6HopLimit(frame, at),
    id: 0,
    headerLength: IPV6.size,
    totalLength: IPV6.size + ipv6PayloadLength(frame, at),
    isFragment: false,
    fragmentOffset: 0,
  };
  parsed.ipv6 = ipv6;
  parsed.ip = ipv6;
  parsed.truncated = left < ipv6.totalLength;
  const end = Math.min(frame.length, at + ipv6.totalLength);
  const problem = readExtensions(frame, at, end, ipv6);
  parsed.payload = frame.subarray(at + ipv6.headerLength, end);
  if (problem !== undefined) return problem;
  if (ipv6.fragmentOffset > 0) return 'a later IPv6 fragment: it has no L4 header';
  return readL4(frame, at + ipv6.headerLength, ipv6.protocol, parsed);
}

/** Steps over the extension headers, and notes what the fragment header says. */
function readExtensions(frame: Uint8Array, at: number, end: number, ipv6: ParsedIpv6): string | undefined {
  while (isIpv6Extension(ipv6.protocol)) {
    const here = at + ipv6.headerLength;
    const kind = ipv6.protocol;
    const length = here + 8 <= end ? ipv6ExtensionLength(frame, here, kind) : 8;
    if (here + length > end) return short(`IPv6 extension header ${kind}`, length, Math.max(0, end - here));
    if (kind === NEXTHDR_FRAGMENT && ipv6IsFragment(frame, here)) {
      ipv6.isFragment = true;
      ipv6.fragmentOffset = ipv6FragmentOffset(frame, here);
      ipv6.id = ipv6FragmentId(frame, here);
    }
    ipv6.protocol = frame[here]!;
    ipv6.headerLength += length;
    if (ipv6.fragmentOffset > 0) return undefined; // what follows is the middle of the datagram
  }
  return undefined;
}

function readL4(frame: Uint8Array, at: number, protocol: number, parsed: ParsedFrame): string | undefined {
  const left = parsed.payload.length;
  if (protocol === IPPROTO_TCP) {
    if (left < TCP.size) return short('a TCP header', TCP.size, left);
    const headerLength = tcpHeaderLength(frame, at);
    if (headerLength < TCP.size) return `a TCP header that says it is ${headerLength} bytes long`;
    if (left < headerLength) return short('a TCP header', headerLength, left);
    parsed.tcp = {
      at,
      srcPort: tcpSrcPort(frame, at),
      dstPort: tcpDstPort(frame, at),
      seq: tcpSeq(frame, at),
      ack: tcpAck(frame, at),
      flags: tcpFlags(frame, at),
      window: tcpWindow(frame, at),
    };
    parsed.payload = parsed.payload.subarray(headerLength);
  } else if (protocol === IPPROTO_UDP) {
    if (left < UDP.size) return short('a UDP header', UDP.size, left);
    parsed.udp = { at, srcPort: udpSrcPort(frame, at), dstPort: udpDstPort(frame, at) };
    parsed.payload = parsed.payload.subarray(UDP.size);
  } else if (protocol === (parsed.ipv6 === undefined ? IPPROTO_ICMP : IPPROTO_ICMPV6)) {
    if (left < ICMP.size) return short('an ICMP header', ICMP.size, left);
    parsed.icmp = {
      at,
      type: icmpType(frame, at),
      code: icmpCode(frame, at),
      id: icmpId(frame, at),
      sequence: icmpSequence(frame, at),
    };
    parsed.payload = parsed.payload.subarray(ICMP.size);
  } else {
    return `IP protocol ${protocol}: not TCP, UDP or ICMP`;
  }
  return undefined;
}

const short = (what: string, wants: number, left: number): string => `${what} wants ${wants} bytes, ${left} left`;

function etherTypeName(type: number): string {
  if (type === ETH_P_ARP) return 'ARP';
  return `EtherType 0x${type.toString(16).padStart(4, '0')}`;
}
