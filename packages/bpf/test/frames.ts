import { IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP } from '@ciliate/packet';
import { bytesOfHex, bytesOfIpv6 } from '../src/conformance/addresses.ts';

/** Frames of both families with right checksums, and whether a frame's checksums are right. Sources: RFC 791, 8200, 1071. */

const ETH_HLEN = 14;
/** Where each protocol's checksum lies in its header. */
const CHECKSUM_AT: Readonly<Record<number, number>> = {
  [IPPROTO_TCP]: 16,
  [IPPROTO_UDP]: 6,
  [IPPROTO_ICMP]: 2,
  [IPPROTO_ICMPV6]: 2,
};

/** 4 or 16 bytes. */
export const address = (text: string): Uint8Array =>
  text.includes(':') ? bytesOfIpv6(text) : Uint8Array.from(text.split('.').map(Number));

export interface Frame {
  src: Uint8Array;
  dst: Uint8Array;
  /** Of the transport; ICMP stands for that of the family. */
  protocol: number;
  /** Of the transport header and what follows; its checksum is filled in. */
  l4: Uint8Array;
  /** 64 by default. */
  ttl?: number;
  srcMac?: string;
  dstMac?: string;
}

export function build(spec: Frame): Uint8Array {
  const { src, dst, l4, ttl = 64, srcMac = '0a000000010b', dstMac = '0e000000010b' } = spec;
  const isV6 = src.length === 16;
  const protocol = isV6 && spec.protocol === IPPROTO_ICMP ? IPPROTO_ICMPV6 : spec.protocol;
  const ip = isV6
    ? join(be16(0x6000), be16(0), be16(l4.length), [protocol, ttl], src, dst)
    : join([0x45, 0], be16(20 + l4.length), be16(1), be16(0), [ttl, protocol], be16(0), src, dst);
  const frame = join(bytesOfHex(dstMac), bytesOfHex(srcMac), be16(isV6 ? 0x86dd : 0x0800), ip, l4);
  setChecksums(frame);
  return frame;
}

export const udp = (sport: number, dport: number, payload: Uint8Array = new Uint8Array(9)): Uint8Array =>
  join(be16(sport), be16(dport), be16(8 + payload.length), be16(0), payload);

export const tcp = (sport: number, dport: number, flags: number, payload: Uint8Array = new Uint8Array(0)): Uint8Array =>
  join(be16(sport), be16(dport), new Uint8Array(8), [0x50, flags], be16(1000), be16(0), be16(0), payload);

/** Its checksum is of another kind, and 0 here. */
export const sctp = (sport: number, dport: number): Uint8Array => join(be16(sport), be16(dport), new Uint8Array(12));

/** @param rest of the header: an echo's identifier, for instance */
export const icmp = (type: number, code: number, rest: number, payload: Uint8Array = new Uint8Array(0)): Uint8Array =>
  join([type, code], be16(0), be16(rest), be16(0), payload);

const be16 = (value: number): number[] => [(value >> 8) & 0xff, value & 0xff];

export function join(...parts: (Uint8Array | number[])[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

/** One IP packet of a frame: where its headers and its end lie. */
interface Layers {
  isV6: boolean;
  ip: number;
  protocol: number;
  l4: number;
  end: number;
}

/** Of a packet without extension headers. */
function layersOf(frame: Uint8Array, ip: number): Layers {
  const view = new DataView(frame.buffer, frame.byteOffset);
  const isV6 = frame[ip]! >> 4 === 6;
  const l4 = ip + (isV6 ? 40 : (frame[ip]! & 15) * 4);
  const end = isV6 ? l4 + view.getUint16(ip + 4) : ip + view.getUint16(ip + 2);
  return { isV6, ip, protocol: frame[ip + (isV6 ? 6 : 9)]!, l4, end };
}

function setChecksums(frame: Uint8Array): void {
  const { isV6, ip, protocol, l4 } = layersOf(frame, ETH_HLEN);
  if (!isV6) {
    frame.fill(0, ip + 10, ip + 12);
    frame.set(be16(sum(frame.subarray(ip, l4))), ip + 10);
  }
  const at = CHECKSUM_AT[protocol];
  if (at === undefined) return;
  frame.fill(0, l4 + at, l4 + at + 2);
  const value = transportSum(frame, layersOf(frame, ETH_HLEN));
  frame.set(be16(value === 0 && protocol === IPPROTO_UDP ? 0xffff : value), l4 + at);
}

/** Of a packet without extension headers: 'ip', 'transport', or that it is cut short. */
export function wrongChecksums(frame: Uint8Array): string[] {
  const { isV6, ip, protocol, l4, end } = layersOf(frame, ETH_HLEN);
  if (end > frame.length) return ['cut short'];
  const wrong: string[] = [];
  if (!isV6 && sum(frame.subarray(ip, l4)) !== 0) wrong.push('ip');
  const view = new DataView(frame.buffer, frame.byteOffset);
  const at = CHECKSUM_AT[protocol];
  if (at === undefined || (protocol === IPPROTO_UDP && view.getUint16(l4 + at) === 0)) return wrong;
  if (transportSum(frame, layersOf(frame, ETH_HLEN)) !== 0) wrong.push('transport');
  return wrong;
}

function transportSum(frame: Uint8Array, { isV6, ip, protocol, l4, end }: Layers): number {
  const addresses = isV6 ? frame.subarray(ip + 8, ip + 40) : frame.subarray(ip + 12, ip + 20);
  const pseudo = protocol === IPPROTO_ICMP ? [] : join(addresses, be16(end - l4), be16(protocol));
  return sum(join(pseudo, frame.subarray(l4, end)));
}

/** What belongs in the field while that is 0; 0 over data with the right checksum. */
function sum(bytes: Uint8Array): number {
  let total = 0;
  for (const [i, byte] of bytes.entries()) total += i % 2 === 0 ? byte << 8 : byte;
  while (total > 0xffff) total = (total & 0xffff) + Math.floor(total / 0x10000);
  return ~total & 0xffff;
}

/** A flow's ends in a frame, and what stands for ports (of an echo: its identifier, on the side of who asked). */
export interface Flow {
  protocol: number;
  src: string;
  dst: string;
  sport: number;
  dport: number;
}

/** @param ip offset of the IP header */
export function flowOf(frame: Uint8Array, ip: number = ETH_HLEN): Flow {
  const { isV6, protocol, l4 } = layersOf(frame, ip);
  const view = new DataView(frame.buffer, frame.byteOffset);
  const [at, bytes] = isV6 ? [ip + 8, 16] : [ip + 12, 4];
  const hex = (from: number): string => Buffer.from(frame.subarray(from, from + bytes)).toString('hex');
  const ends = { protocol, src: hex(at), dst: hex(at + bytes) };
  if (protocol !== IPPROTO_ICMP && protocol !== IPPROTO_ICMPV6)
    return { ...ends, sport: view.getUint16(l4), dport: view.getUint16(l4 + 2) };
  const isRequest = frame[l4] === 8 || frame[l4] === 128;
  const id = view.getUint16(l4 + 4);
  return { ...ends, sport: isRequest ? id : 0, dport: isRequest ? 0 : id };
}

export const reversed = ({ protocol, src, dst, sport, dport }: Flow): Flow => ({
  protocol,
  src: dst,
  dst: src,
  sport: dport,
  dport: sport,
});

/** What the other end would answer: addresses, Ethernet addresses and ports exchanged; of an echo request the reply. */
export function answerTo(frame: Uint8Array): Uint8Array {
  const answer = frame.slice();
  const { isV6, ip, protocol, l4 } = layersOf(frame, ETH_HLEN);
  const swap = (a: number, b: number, bytes: number): void => {
    answer.set(frame.subarray(b, b + bytes), a);
    answer.set(frame.subarray(a, a + bytes), b);
  };
  swap(0, 6, 6);
  if (isV6) swap(ip + 8, ip + 24, 16);
  else swap(ip + 12, ip + 16, 4);
  if (protocol === IPPROTO_ICMP) answer[l4] = 0;
  else if (protocol === IPPROTO_ICMPV6) answer[l4] = 129;
  else swap(l4, l4 + 2, 2);
  setChecksums(answer);
  return answer;
}

/** An error about the frame, from its destination or another router. @param bytes of the packet that are quoted */
export function errorAbout(
  frame: Uint8Array,
  type: number,
  code: number,
  router?: Uint8Array,
  bytes = 1500,
): Uint8Array {
  const { isV6, ip } = layersOf(frame, ETH_HLEN);
  const [at, size] = isV6 ? [ip + 8, 16] : [ip + 12, 4];
  return build({
    src: router ?? frame.slice(at + size, at + 2 * size),
    dst: frame.slice(at, at + size),
    protocol: IPPROTO_ICMP,
    l4: icmp(type, code, 0, frame.subarray(ETH_HLEN, ETH_HLEN + bytes)),
  });
}

/** What an ICMP error quotes, behind an Ethernet header of zeros. */
export function quotedBy(frame: Uint8Array): Uint8Array {
  const { l4 } = layersOf(frame, ETH_HLEN);
  return join(new Uint8Array(ETH_HLEN), frame.subarray(l4 + 8));
}
