import { setBe16, setBe32 } from './bytes.ts';
import { fixChecksums } from './checksum.ts';
import { ETH, ETH_P_IP, setEthDst, setEthSrc, setEthType } from './eth.ts';
import { ICMP, ICMP_ECHO, ICMP_ECHOREPLY } from './icmp.ts';
import {
  IPPROTO_ICMP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPV4,
  IPV4_DONT_FRAGMENT,
  setIpv4Dst,
  setIpv4Src,
  setIpv4TotalLength,
  setIpv4Ttl,
} from './ipv4.ts';
import { setTcpAck, setTcpDstPort, setTcpSeq, setTcpSrcPort, TCP } from './tcp.ts';
import { setUdpDstPort, setUdpSrcPort, UDP } from './udp.ts';

/** Addresses are host-order numbers, MAC addresses numbers below 2^48. */
export interface FrameSpec {
  srcMac?: number; // default 0
  dstMac?: number; // default 0
  src: number;
  dst: number;
  ttl?: number; // default 64
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
const MAX_IPV4_BYTES = 0xffff;
const MAX_TCP_OPTIONS = 40;

/**
 * A whole Ethernet frame with one TCP segment; all checksums right.
 * @throws RangeError where the options or the payload do not fit their length fields
 */
export function tcpSegment(spec: TcpSpec): Uint8Array {
  const { options = EMPTY, payload = EMPTY } = spec;
  if (options.length > MAX_TCP_OPTIONS) throw new RangeError(`${options.length} bytes of TCP options: the most is 40`);
  const headerLength = TCP.size + Math.ceil(options.length / 4) * 4;
  const frame = ipv4Frame(spec, IPPROTO_TCP, headerLength + payload.length);
  const tcp = L4_AT;
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
  const frame = ipv4Frame(spec, IPPROTO_UDP, UDP.size + payload.length);
  setUdpSrcPort(frame, L4_AT, spec.srcPort);
  setUdpDstPort(frame, L4_AT, spec.dstPort);
  setBe16(frame, L4_AT + UDP.length, UDP.size + payload.length);
  return finish(frame, L4_AT + UDP.size, payload);
}

/** A whole Ethernet frame with an ICMP echo request or reply; all checksums right. @throws RangeError as `tcpSegment` does */
export function icmpEcho(spec: IcmpEchoSpec): Uint8Array {
  const { payload = EMPTY } = spec;
  const frame = ipv4Frame(spec, IPPROTO_ICMP, ICMP.size + payload.length);
  frame[L4_AT + ICMP.type] = spec.reply ? ICMP_ECHOREPLY : ICMP_ECHO;
  setBe32(frame, L4_AT + ICMP.id, spec.id * 2 ** 16 + spec.sequence); // two neighbouring 16-bit fields
  return finish(frame, L4_AT + ICMP.size, payload);
}

const IP_AT = ETH.size;
const L4_AT = ETH.size + IPV4.size;

/** A frame with its Ethernet and IPv4 headers filled in, checksum aside. */
function ipv4Frame(spec: FrameSpec, protocol: number, l4Length: number): Uint8Array {
  const totalLength = IPV4.size + l4Length;
  if (totalLength > MAX_IPV4_BYTES) throw new RangeError(`an IPv4 packet of ${totalLength} bytes: the most is 65535`);
  const frame = new Uint8Array(ETH.size + totalLength);
  setEthDst(frame, 0, spec.dstMac ?? 0);
  setEthSrc(frame, 0, spec.srcMac ?? 0);
  setEthType(frame, 0, ETH_P_IP);
  frame[IP_AT] = (4 << 4) | (IPV4.size >> 2);
  setIpv4TotalLength(frame, IP_AT, totalLength);
  setBe16(frame, IP_AT + IPV4.fragment, IPV4_DONT_FRAGMENT);
  setIpv4Ttl(frame, IP_AT, spec.ttl ?? 64);
  frame[IP_AT + IPV4.protocol] = protocol;
  setIpv4Src(frame, IP_AT, spec.src);
  setIpv4Dst(frame, IP_AT, spec.dst);
  return frame;
}

function finish(frame: Uint8Array, payloadAt: number, payload: Uint8Array): Uint8Array {
  frame.set(payload, payloadAt);
  fixChecksums(frame, 0, frame.length);
  return frame;
}
