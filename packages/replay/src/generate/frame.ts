import {
  ETH_P_IP,
  ETH_P_IPV6,
  ICMP_ECHO,
  ICMP_ECHOREPLY,
  ICMPV6_ECHO_REPLY,
  ICMPV6_ECHO_REQUEST,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPV4,
  IPV6,
  type IpAddress,
  isIpv6,
  setIpv6Dst,
  setIpv6Src,
  TCP_ACK,
} from '@ciliate/packet';

const IP = 14;
const HEADERS: Readonly<Record<number, number>> = {
  [IPPROTO_TCP]: 20,
  [IPPROTO_UDP]: 8,
  [IPPROTO_ICMP]: 8,
  [IPPROTO_SCTP]: 28,
};
/** What is written of a transport header, and of a chunk, at most. */
const MAX_HEADER = 20;
const MAX_FRAME = 14 + 65_535 + IPV6.size;
const WINDOW = 64_240;
const DONT_FRAGMENT = 0x40;
const TTL = 64;

/** Bytes of the IPv4 and transport headers of a packet of this protocol. */
export const headerBytes = (protocol: number): number => IPV4.size + HEADERS[protocol]!;

/**
 * One frame after the other in the same buffer, of the family of its addresses, all checksums right. The payload is zeros, so
 * that its sum need not be taken. Ports in host order; `size` is the length of the IP packet, with all headers at least.
 */
export class FrameBuilder {
  readonly bytes = new Uint8Array(MAX_FRAME);
  /** Of the frame built last. */
  length = 0;
  #id = 0;
  /** Where the transport header begins, and its length with the payload. */
  #l4 = 0;
  #l4Length = 0;

  tcp(
    src: IpAddress,
    srcPort: number,
    dst: IpAddress,
    dstPort: number,
    seq: number,
    ack: number,
    flags: number,
    size: number,
  ) {
    this.#ip(src, dst, IPPROTO_TCP, size);
    const L4 = this.#l4;
    this.#clear(20);
    this.#ports(srcPort, dstPort);
    this.#word(L4 + 4, seq);
    this.#word(L4 + 8, (flags & TCP_ACK) !== 0 ? ack : 0);
    this.#half(L4 + 12, (5 << 12) | flags);
    this.#half(L4 + 14, WINDOW);
    this.#word(L4 + 16, 0);
    this.#half(L4 + 16, this.#transportSum(IPPROTO_TCP, 20));
  }

  udp(src: IpAddress, srcPort: number, dst: IpAddress, dstPort: number, size: number): void {
    this.#ip(src, dst, IPPROTO_UDP, size);
    const L4 = this.#l4;
    this.#clear(8);
    this.#ports(srcPort, dstPort);
    this.#half(L4 + 4, this.#l4Length);
    this.#half(L4 + 6, 0);
    // A sum of 0 would say that there is none.
    this.#half(L4 + 6, this.#transportSum(IPPROTO_UDP, 8) || 0xffff);
  }

  icmpEcho(src: IpAddress, dst: IpAddress, isReply: boolean, id: number, sequence: number, size: number): void {
    const isV6 = isIpv6(src);
    this.#ip(src, dst, isV6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, size);
    const L4 = this.#l4;
    this.#clear(8);
    const request = isV6 ? ICMPV6_ECHO_REQUEST : ICMP_ECHO;
    const reply = isV6 ? ICMPV6_ECHO_REPLY : ICMP_ECHOREPLY;
    this.#half(L4, (isReply ? reply : request) << 8);
    this.#half(L4 + 2, 0);
    this.#ports2(L4 + 4, id, sequence);
    this.#half(L4 + 2, isV6 ? this.#transportSum(IPPROTO_ICMPV6, 8) : ~this.#fold(this.#sum(L4, 8)) & 0xffff);
  }

  /** One chunk behind the common header: type, flags, length, and 12 bytes that begin with `tsn`. */
  sctp(
    src: IpAddress,
    srcPort: number,
    dst: IpAddress,
    dstPort: number,
    tag: number,
    chunk: number,
    tsn: number,
    size: number,
  ) {
    this.#ip(src, dst, IPPROTO_SCTP, size);
    const L4 = this.#l4;
    this.#clear(20);
    this.#ports(srcPort, dstPort);
    this.#word(L4 + 4, tag);
    this.#word(L4 + 8, 0);
    this.#half(L4 + 12, (chunk << 8) | (chunk === 0 ? 3 : 0));
    this.#half(L4 + 14, this.#l4Length - 12);
    this.#word(L4 + 16, tsn);
    const crc = crc32c(this.bytes, L4, 14 + size);
    for (let i = 0; i < 4; i++) this.bytes[L4 + 8 + i] = (crc >>> (8 * i)) & 0xff; // little-endian, RFC 9260
  }

  /** 6 bytes each. */
  setMacs(source: Uint8Array, destination: Uint8Array): void {
    this.bytes.set(destination, 0);
    this.bytes.set(source, 6);
  }

  #ip(src: IpAddress, dst: IpAddress, protocol: number, size: number): void {
    this.length = IP + size;
    const headers = isIpv6(src) ? IPV6.size : IPV4.size;
    this.#l4 = IP + headers;
    this.#l4Length = size - headers;
    if (isIpv6(src) || isIpv6(dst)) this.#ipv6(BigInt(src), BigInt(dst), protocol);
    else this.#ipv4(src, dst, protocol, size);
  }

  #ipv6(src: bigint, dst: bigint, protocol: number): void {
    const { bytes } = this;
    this.#half(12, ETH_P_IPV6);
    this.#word(IP, 6 << 28);
    this.#half(IP + IPV6.payloadLength, this.#l4Length);
    bytes[IP + IPV6.nextHeader] = protocol;
    bytes[IP + IPV6.hopLimit] = TTL;
    setIpv6Src(bytes, IP, src);
    setIpv6Dst(bytes, IP, dst);
  }

  #ipv4(src: number, dst: number, protocol: number, size: number): void {
    const { bytes } = this;
    this.#half(12, ETH_P_IP);
    bytes[IP] = 0x45;
    bytes[IP + 1] = 0;
    this.#half(IP + 2, size);
    this.#half(IP + 4, ++this.#id & 0xffff);
    bytes[IP + 6] = DONT_FRAGMENT;
    bytes[IP + 7] = 0;
    bytes[IP + 8] = TTL;
    bytes[IP + 9] = protocol;
    this.#half(IP + 10, 0);
    this.#word(IP + 12, src);
    this.#word(IP + 16, dst);
    this.#half(IP + 10, ~this.#fold(this.#sum(IP, 20)) & 0xffff);
  }

  /** A longer header of the frame before may lie where the payload is now. */
  #clear(from: number): void {
    this.bytes.fill(0, this.#l4 + from, IP + IPV6.size + MAX_HEADER);
  }

  #ports(source: number, destination: number): void {
    this.#ports2(this.#l4, source, destination);
  }

  #ports2(at: number, a: number, b: number): void {
    this.#half(at, a);
    this.#half(at + 2, b);
  }

  #half(at: number, value: number): void {
    this.bytes[at] = value >>> 8;
    this.bytes[at + 1] = value & 0xff;
  }

  #word(at: number, value: number): void {
    this.#half(at, value >>> 16);
    this.#half(at + 2, value & 0xffff);
  }

  #sum(at: number, length: number): number {
    const { bytes } = this;
    let sum = 0;
    for (let i = at; i < at + length; i += 2) sum += (bytes[i]! << 8) | bytes[i + 1]!;
    return sum;
  }

  #fold(sum: number): number {
    const once = (sum & 0xffff) + (sum >>> 16);
    return (once & 0xffff) + (once >>> 16);
  }

  /** With the pseudo header: both addresses lie in front of the transport header. */
  #transportSum(protocol: number, headers: number): number {
    const addressBytes = this.#l4 === IP + IPV6.size ? 32 : 8;
    const addresses = this.#sum(this.#l4 - addressBytes, addressBytes);
    return ~this.#fold(addresses + protocol + this.#l4Length + this.#sum(this.#l4, headers)) & 0xffff;
  }
}

const CRC32C = Uint32Array.from({ length: 256 }, (_, n) => {
  let crc = n;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

function crc32c(bytes: Uint8Array, from: number, end: number): number {
  let crc = 0xffff_ffff;
  for (let i = from; i < end; i++) crc = CRC32C[(crc ^ bytes[i]!) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}
