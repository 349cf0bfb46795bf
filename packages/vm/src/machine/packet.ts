import type { Address, Memory } from '@ciliate/maps';

/** Room in front of a packet: for XDP as many bytes as the kernel's test runs give, for tc more than any program pushes. */
const XDP_HEADROOM = 256;
const TC_HEADROOM = 2048;
/** What of XDP's headroom `struct xdp_frame` takes. */
const XDP_FRAME = 40;
const PAGE = 4096;
/** `struct skb_shared_info`, rounded up: behind every packet in its page. */
const SHARED_INFO = 320;
/** SKB_MAX_ALLOC: what bpf_skb_change_tail and its like grow a packet to at most. */
export const SKB_MAX_LEN = 16_384 - SHARED_INFO;
const BUFFER = TC_HEADROOM + 65_536;
export const ETH_HLEN = 14;

export type PacketKind = 'tc' | 'xdp';

/** Where the context has its words. Source: include/uapi/linux/bpf.h. */
export const SKB = {
  size: 192,
  len: 0,
  pktType: 4,
  mark: 8,
  queueMapping: 12,
  protocol: 16,
  priority: 32,
  ingressIfindex: 36,
  ifindex: 40,
  tcIndex: 44,
  cb: 48,
  hash: 68,
  tcClassid: 72,
  data: 76,
  dataEnd: 80,
  dataMeta: 140,
  tstamp: 152,
  wireLen: 160,
  gsoSegs: 164,
  gsoSize: 176,
  hwtstamp: 184,
} as const;
export const XDP_MD = { size: 24, data: 0, dataEnd: 4, dataMeta: 8, ingressIfindex: 12, rxQueueIndex: 16 } as const;

/** What skb_set_tunnel_key and skb_set_tunnel_opt note about the packet. */
export interface TunnelInfo {
  /** `struct bpf_tunnel_key` in full. */
  key: Uint8Array;
  isIpv6: boolean;
  options: Uint8Array;
}

/** The packet of one run and its context, in the shared memory. Whatever moves it tells the context and the regions. */
export class Packet {
  kind: PacketKind = 'tc';
  /** First byte, and behind the last. */
  data: Address = 0;
  end: Address = 0;
  /** Metadata in front of the first byte; `data` if there is none. */
  meta: Address = 0;
  /** Where the network header starts: 14 bytes behind the first byte, until a program pushes something in front. */
  network: Address = 0;
  tunnel: TunnelInfo | undefined;
  isEncapsulated = false;
  readonly context: Address;
  private readonly memory: Memory;
  private readonly buffer: Address;
  private readonly moved: (from: Address, to: Address) => void;

  /** @param moved is told the range that programs may access directly */
  constructor(memory: Memory, moved: (from: Address, to: Address) => void) {
    this.memory = memory;
    this.buffer = memory.alloc(BUFFER);
    this.context = memory.alloc(SKB.size);
    this.moved = moved;
  }

  get length(): number {
    return this.end - this.data;
  }

  /** A new packet, the context all zero. */
  load(kind: PacketKind, bytes: Uint8Array): void {
    const { u8 } = this.memory;
    this.kind = kind;
    this.data = this.buffer + (kind === 'tc' ? TC_HEADROOM : XDP_HEADROOM);
    this.end = this.data + bytes.length;
    this.meta = this.data;
    this.network = this.data + ETH_HLEN;
    this.tunnel = undefined;
    this.isEncapsulated = false;
    u8.fill(0, this.buffer, this.end + PAGE);
    u8.set(bytes, this.data);
    u8.fill(0, this.context, this.context + SKB.size);
    this.sync();
  }

  /** A copy: from the metadata on for XDP, as the kernel's test runs answer. */
  bytes(): Uint8Array {
    return this.memory.u8.slice(this.kind === 'xdp' ? this.meta : this.data, this.end);
  }

  /** Bytes that may be pushed in front. */
  get headroom(): number {
    return this.meta - this.buffer - (this.kind === 'xdp' ? XDP_FRAME : 0);
  }

  /** Bytes that the packet may get at its end. */
  get tailroom(): number {
    const limit = this.kind === 'xdp' ? this.buffer + PAGE - SHARED_INFO : this.buffer + BUFFER;
    return limit - this.end;
  }

  get protocol(): number {
    return this.memory.u32[(this.context + SKB.protocol) >> 2]!;
  }
  set protocol(be16: number) {
    this.memory.u32[(this.context + SKB.protocol) >> 2] = be16;
  }

  /** Makes `size` bytes of room `offset` bytes behind the first: what is in front of it moves forward; zeros. */
  push(offset: number, size: number): void {
    const { u8 } = this.memory;
    this.data -= size;
    this.meta -= size;
    u8.copyWithin(this.data, this.data + size, this.data + size + offset);
    u8.fill(0, this.data + offset, this.data + offset + size);
    this.sync();
  }

  /** Takes `size` bytes out, `offset` bytes behind the first. */
  pop(offset: number, size: number): void {
    this.memory.u8.copyWithin(this.data + size, this.data, this.data + offset);
    this.data += size;
    this.meta += size;
    this.sync();
  }

  /** After a change of `data`, `end` or `meta`. */
  sync(): void {
    const { u32 } = this.memory;
    const at = this.context >> 2;
    if (this.kind === 'xdp') {
      u32[at + (XDP_MD.data >> 2)] = this.data;
      u32[at + (XDP_MD.dataEnd >> 2)] = this.end;
      u32[at + (XDP_MD.dataMeta >> 2)] = this.meta;
    } else {
      u32[at + (SKB.len >> 2)] = this.length;
      u32[at + (SKB.data >> 2)] = this.data;
      u32[at + (SKB.dataEnd >> 2)] = this.end;
      u32[at + (SKB.dataMeta >> 2)] = this.meta;
    }
    this.moved(this.meta, this.end);
  }

  destroy(): void {
    this.memory.free(this.buffer, BUFFER);
    this.memory.free(this.context, SKB.size);
  }
}
