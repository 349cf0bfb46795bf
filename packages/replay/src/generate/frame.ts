import { ETH_P_IP, IPPROTO_ICMP, IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP, TCP_ACK } from '@ciliate/packet';

const IP = 14;
const L4 = 34;
const HEADERS: Readonly<Record<number, number>> = {
  [IPPROTO_TCP]: 20,
  [IPPROTO_UDP]: 8,
  [IPPROTO_ICMP]: 8,
  [IPPROTO_SCTP]: 28,
};
const MAX_FRAME = 14 + 65_535;
const WINDOW = 64_240;
const DONT_FRAGMENT = 0x40;
const TTL = 64;

/** Bytes of the IP and transport headers of a packet of this protocol. */
export const headerBytes = (protocol: number): number => 20 + HEADERS[protocol]!;

/**
 * One IPv4 frame after the other in the same buffer, all checksums right. The payload is zeros, so that its sum need not be
 * taken. Addresses and ports host order; `size` is the length of the IP packet, at least `headerBytes`.
 */
export class FrameBuilder {
  readonly bytes = new Uint8Array(MAX_FRAME);
  /** Of the frame built last. */
  length = 0;
  #id = 0;

  tcp(
    src: number,
    srcPort: number,
    dst: number,
    dstPort: number,
    seq: number,
    ack: number,
    flags: number,
    size: number,
  ) {
    this.#ip(src, dst, IPPROTO_TCP, size);
    this.#ports(srcPort, dstPort);
    this.#word(L4 + 4, seq);
    this.#word(L4 + 8, (flags & TCP_ACK) !== 0 ? ack : 0);
    this.#half(L4 + 12, (5 << 12) | flags);
    this.#half(L4 + 14, WINDOW);
    this.#word(L4 + 16, 0);
    this.#half(L4 + 16, this.#transportSum(src, dst, IPPROTO_TCP, size - 20, 20));
  }

  udp(src: number, srcPort: number, dst: number, dstPort: number, size: number): void {
    this.#ip(src, dst, IPPROTO_UDP, size);
    this.#clear(L4 + 8);
    this.#ports(srcPort, dstPort);
    this.#half(L4 + 4, size - 20);
    this.#half(L4 + 6, 0);
    // A sum of 0 would say that there is none.
    this.#half(L4 + 6, this.#transportSum(src, dst, IPPROTO_UDP, size - 20, 8) || 0xffff);
  }

  icmpEcho(src: number, dst: number, isReply: boolean, id: number, sequence: number, size: number): void {
    this.#ip(src, dst, IPPROTO_ICMP, size);
    this.#clear(L4 + 8);
    this.#half(L4, isReply ? 0 : 8 << 8);
    this.#half(L4 + 2, 0);
    this.#ports2(L4 + 4, id, sequence);
    this.#half(L4 + 2, ~this.#fold(this.#sum(L4, 8)) & 0xffff);
  }

  /** One chunk behind the common header: type, flags, length, and 12 bytes that begin with `tsn`. */
  sctp(
    src: number,
    srcPort: number,
    dst: number,
    dstPort: number,
    tag: number,
    chunk: number,
    tsn: number,
    size: number,
  ) {
    this.#ip(src, dst, IPPROTO_SCTP, size);
    this.#clear(L4 + 28);
    this.#ports(srcPort, dstPort);
    this.#word(L4 + 4, tag);
    this.#word(L4 + 8, 0);
    this.#half(L4 + 12, (chunk << 8) | (chunk === 0 ? 3 : 0));
    this.#half(L4 + 14, size - 32);
    this.#word(L4 + 16, tsn);
    const crc = crc32c(this.bytes, L4, 14 + size);
    for (let i = 0; i < 4; i++) this.bytes[L4 + 8 + i] = (crc >>> (8 * i)) & 0xff; // little-endian, RFC 9260
  }

  /** 6 bytes each. */
  setMacs(source: Uint8Array, destination: Uint8Array): void {
    this.bytes.set(destination, 0);
    this.bytes.set(source, 6);
  }

  #ip(src: number, dst: number, protocol: number, size: number): void {
    const { bytes } = this;
    this.length = 14 + size;
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
    this.bytes.fill(0, from, L4 + 28);
  }

  #ports(source: number, destination: number): void {
    this.#ports2(L4, source, destination);
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

  #transportSum(src: number, dst: number, protocol: number, length: number, headers: number): number {
    const addresses = (src >>> 16) + (src & 0xffff) + (dst >>> 16) + (dst & 0xffff);
    return ~this.#fold(addresses + protocol + length + this.#sum(L4, headers)) & 0xffff;
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
