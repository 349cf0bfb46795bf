import { type Address, type Memory, NULL } from '@ciliate/maps';
import { ETH_HLEN } from './lib/common.ts';
import { type CopyFrame, copierOf } from './lib/known.ts';

/** Longest frame an `Skb` holds, in bytes: a 64 KiB packet and its Ethernet header. */
export const SKB_MAX_LEN = 65_535 + 14;
/** Longest frame that skb_change_tail makes: the kernel's SKB_MAX_ALLOC on x86-64. */
const SKB_MAX_ALLOC = 16_064;
/** Where a frame begins in its buffer: the IP header then starts on a multiple of 4 (the kernel's NET_IP_ALIGN). */
const NET_IP_ALIGN = 2;

/** The helper that a program sent the packet on with. */
export type RedirectHelper = 'redirect' | 'redirect_peer' | 'redirect_neigh';

/**
 * One packet on its way through the programs, with the `__sk_buff` fields they use. The bytes lie in the shared memory;
 * a worker owns one, fills it again for each packet and gives its bytes back by `destroy`.
 */
export class Skb {
  readonly memory: Memory;
  /** Address of the Ethernet header. */
  readonly data: Address;
  /** Bytes of the frame. */
  len = 0;
  mark = 0;
  tcIndex = 0;
  /** The device whose program runs, and the one the packet came in by (0: none). */
  ifindex = 0;
  ingressIfindex = 0;
  /** Where `redirect` sends the packet, with BPF_F_*; valid only after a program returned CTX_ACT_REDIRECT. */
  redirectIfindex = 0;
  redirectFlags = 0;
  redirectHelper: RedirectHelper = 'redirect';
  /** The tunnel to leave by, set with bpf_skb_set_tunnel_key: VNI 0..2^24-1; undefined: none. */
  tunnelId: number | undefined = undefined;
  /** The remote node, as `struct bpf_tunnel_key` has it: an IPv4 address in host order, or an IPv6 one as loaded. */
  readonly tunnelRemote = new Uint32Array(4);
  isTunnelIpv6 = false;
  /** What bpf_skb_get_tunnel_key answers for a packet out of a tunnel; undefined: it came by none. */
  tunnelIdIn: number | undefined = undefined;
  /** PACKET_* that the program made of it; undefined: unchanged. */
  packetType: number | undefined = undefined;
  readonly #copy: CopyFrame;

  constructor(memory: Memory) {
    this.memory = memory;
    this.#copy = copierOf(memory);
    this.data = memory.alloc(SKB_MAX_LEN + NET_IP_ALIGN) + NET_IP_ALIGN;
  }

  /** Takes a frame and forgets everything about the one before. Frames longer than SKB_MAX_LEN are cut. */
  load(frame: Uint8Array, ifindex: number, mark = 0): void {
    this.len = Math.min(frame.length, SKB_MAX_LEN);
    this.memory.u8.set(this.len === frame.length ? frame : frame.subarray(0, this.len), this.data);
    this.reset(ifindex, mark);
  }

  /** As `load`, for a frame that already lies in the same memory. */
  loadFrom(at: Address, len: number, ifindex: number): void {
    this.len = Math.min(len, SKB_MAX_LEN);
    this.#copy(this.data, at, this.len);
    this.reset(ifindex, 0);
  }

  /** Gives the bytes back to the memory. Nothing may be loaded after it. */
  destroy(): void {
    this.memory.free(this.data - NET_IP_ALIGN, SKB_MAX_LEN + NET_IP_ALIGN);
  }

  private reset(ifindex: number, mark: number): void {
    this.mark = mark;
    this.tcIndex = 0;
    this.ifindex = ifindex;
    this.ingressIfindex = ifindex;
    this.redirectIfindex = 0;
    this.redirectFlags = 0;
    this.redirectHelper = 'redirect';
    this.tunnelId = undefined;
    this.tunnelIdIn = undefined;
    this.packetType = undefined;
  }

  /** A copy of the frame as it is now. */
  frame(): Uint8Array {
    return this.memory.u8.slice(this.data, this.data + this.len);
  }

  /** Address of `bytes` bytes at `offset`, or NULL if the packet ends before (skb_load_bytes' check). */
  at(offset: number, bytes: number): Address {
    return offset + bytes <= this.len ? this.data + offset : NULL;
  }

  /** skb_change_tail: what is added is 0. @returns false, and changes nothing, if the kernel refuses such a length */
  changeTail(len: number): boolean {
    if (len < ETH_HLEN || len > SKB_MAX_ALLOC) return false;
    if (len > this.len) this.memory.u8.fill(0, this.data + this.len, this.data + len);
    this.len = len;
    return true;
  }

  /** skb_adjust_room with BPF_ADJ_ROOM_MAC: makes room of `bytes` behind the Ethernet header. */
  growAtMac(bytes: number, etherHeader: number): void {
    const from = this.data + etherHeader;
    this.memory.u8.copyWithin(from + bytes, from, this.data + this.len);
    this.len += bytes;
  }
}
