import { type IpAddress, isIpv6 } from './address.ts';
import { setBe16, setBe32 } from './bytes.ts';
import { fixChecksums } from './checksum.ts';
import { ETH, ETH_P_IP, ETH_P_IPV6, setEthDst, setEthSrc, setEthType } from './eth.ts';
import { ICMP, ICMP_ECHO, ICMP_ECHOREPLY, ICMPV6_ECHO_REPLY, ICMPV6_ECHO_REQUEST } from './icmp.ts';
import {
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPV4,
  IPV4_DONT_FRAGMENT,
  setIpv4Dst,
  setIpv4Src,
  setIpv4TotalLength,
  setIpv4Ttl,
} from './ipv4.ts';
import { IPV6, setIpv6Dst, setIpv6HopLimit, setIpv6PayloadLength, setIpv6Src } from './ipv6.ts';
import { setTcpAck, setTcpDstPort, setTcpSeq, setTcpSrcPort, TCP } from './tcp.ts';
import { setUdpDstPort, setUdpSrcPort, UDP } from './udp.ts';

/** Both addresses are of one family, which the frame is of; MAC addresses are numbers below 2^48. */
export interface FrameSpec {
  srcMac?: number; // default 0
  dstMac?: number; // default 0
  src: IpAddress;
  dst: IpAddress;
  ttl?: number; // or hop limit; default 64
  payload?: Uint8Array; // default empty
}

export interface TcpSpec extends FrameSpec {
  srcPort: number;
  dstPort: number;
  seq: number;
  ack?: number; // default 0
  flags: number; // TCP_SYN | ...
  window?: number; // default 64240
  options?: Uint8Array; // as on the wire; padded here with end-of-option-list bytes to a multiple of 4; at most 40 bytes
}

export interface UdpSpec extends FrameSpec {
  srcPort: number;
  dstPort: number;
}

export interface IcmpEchoSpec extends FrameSpec {
  reply?: boolean; // default false: a request
  id: number;
  sequence: number;
}

const EMPTY = new Uint8Array(0);
const MAX_BYTES = 0xffff;
const MAX_TCP_OPTIONS = 40;

/**
 * A whole Ethernet frame with one TCP segment; all checksums right.
 * @throws RangeError where the options or the payload do not fit their length fields, or the addresses are of two families
 */
export function tcpSegment(spec: TcpSpec): Uint8Array {
  const { options = EMPTY, payload = EMPTY } = spec;
  if (options.length > MAX_TCP_OPTIONS) throw new RangeError(`${options.length} bytes of TCP options: the most is 40`);
  const headerLength = TCP.size + Math.ceil(options.length / 4) * 4;
  const { frame, l4: tcp } = ipFrame(spec, IPPROTO_TCP, headerLength + payload.length);
  setTcpSrcPort(frame, tcp, spec.srcPort);
  setTcpDstPort(frame, tcp, spec.dstPort);
  setTcpSeq(frame, tcp, spec.seq);
  setTcpAck(frame, tcp, spec.ack ?? 0);
  frame[tcp + TCP.dataOffset] = headerLength << 2;
  frame[tcp + TCP.flags] = spec.flags;
  setBe16(frame, tcp + TCP.window, spec.window ?? 64240);
  frame.set(options, tcp + TCP.size);
  return finish(frame, tcp + headerLength, payload);
}

/** A whole Ethernet frame with one UDP datagram; all checksums right. @throws RangeError as `tcpSegment` does */
export function udpDatagram(spec: UdpSpec): Uint8Array {
  const { payload = EMPTY } = spec;
  const { frame, l4 } = ipFrame(spec, IPPROTO_UDP, UDP.size + payload.length);
  setUdpSrcPort(frame, l4, spec.srcPort);
  setUdpDstPort(frame, l4, spec.dstPort);
  setBe16(frame, l4 + UDP.length, UDP.size + payload.length);
  return finish(frame, l4 + UDP.size, payload);
}

/**
 * A whole Ethernet frame with an echo request or reply, of ICMP or by its addresses of ICMPv6; all checksums right.
 * @throws RangeError as `tcpSegment` does
 */
export function icmpEcho(spec: IcmpEchoSpec): Uint8Array {
  const { payload = EMPTY } = spec;
  const [protocol, request, reply] = isIpv6(spec.src)
    ? [IPPROTO_ICMPV6, ICMPV6_ECHO_REQUEST, ICMPV6_ECHO_REPLY]
    : [IPPROTO_ICMP, ICMP_ECHO, ICMP_ECHOREPLY];
  const { frame, l4 } = ipFrame(spec, protocol, ICMP.size + payload.length);
  frame[l4 + ICMP.type] = spec.reply ? reply : request;
  setBe32(frame, l4 + ICMP.id, spec.id * 2 ** 16 + spec.sequence); // two neighbouring 16-bit fields
  return finish(frame, l4 + ICMP.size, payload);
}

const IP_AT = ETH.size;

/** A frame with its Ethernet and IP headers filled in, checksums aside, and where its L4 header begins. */
function ipFrame(spec: FrameSpec, protocol: number, l4Length: number): { frame: Uint8Array; l4: number } {
  const { src, dst } = spec;
  const isV6 = isIpv6(src);
  if (isV6 !== isIpv6(dst)) throw new RangeError('a packet from IPv4 to IPv6, or the other way');
  const headerLength = isV6 ? IPV6.size : IPV4.size;
  const length = headerLength + l4Length;
  if (length - (isV6 ? IPV6.size : 0) > MAX_BYTES)
    throw new RangeError(
      `an IP${isV6 ? 'v6' : 'v4'} packet of ${length} bytes: the most is ${MAX_BYTES + (isV6 ? IPV6.size : 0)}`,
    );
  const frame = new Uint8Array(ETH.size + length);
  setEthDst(frame, 0, spec.dstMac ?? 0);
  setEthSrc(frame, 0, spec.srcMac ?? 0);
  setEthType(frame, 0, isV6 ? ETH_P_IPV6 : ETH_P_IP);
  if (isIpv6(src) && isIpv6(dst)) {
    frame[IP_AT] = 6 << 4;
    setIpv6PayloadLength(frame, IP_AT, l4Length);
    frame[IP_AT + IPV6.nextHeader] = protocol;
    setIpv6HopLimit(frame, IP_AT, spec.ttl ?? 64);
    setIpv6Src(frame, IP_AT, src);
    setIpv6Dst(frame, IP_AT, dst);
  } else {
    frame[IP_AT] = (4 << 4) | (IPV4.size >> 2);
    setIpv4TotalLength(frame, IP_AT, length);
    setBe16(frame, IP_AT + IPV4.fragment, IPV4_DONT_FRAGMENT);
    setIpv4Ttl(frame, IP_AT, spec.ttl ?? 64);
    frame[IP_AT + IPV4.protocol] = protocol;
    setIpv4Src(frame, IP_AT, Number(src));
    setIpv4Dst(frame, IP_AT, Number(dst));
  }
  return { frame, l4: IP_AT + headerLength };
}

function finish(frame: Uint8Array, payloadAt: number, payload: Uint8Array): Uint8Array {
  frame.set(payload, payloadAt);
  fixChecksums(frame, 0, frame.length);
  return frame;
}
