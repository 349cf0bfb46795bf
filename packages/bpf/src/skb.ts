import { type Address, type Memory, NULL } from '@ciliate/maps';

/** Longest frame an `Skb` holds, in bytes: a 64 KiB IPv4 packet and its Ethernet header. */
export const SKB_MAX_LEN = 65_535 + 14;
/** Where a frame begins in its buffer: the IPv4 header then starts on a multiple of 4 (the kernel's NET_IP_ALIGN). */
const NET_IP_ALIGN = 2;

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
  ifindex = 0;
  /** Where `redirect` sends the packet; valid only after a program returned CTX_ACT_REDIRECT. */
  redirectIfindex = 0;

  constructor(memory: Memory) {
    this.memory = memory;
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
    this.memory.u8.copyWithin(this.data, at, at + this.len);
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
    this.redirectIfindex = 0;
  }

  /** A copy of the frame as it is now. */
  frame(): Uint8Array {
    return this.memory.u8.slice(this.data, this.data + this.len);
  }

  /** Address of `bytes` bytes at `offset`, or NULL if the packet ends before (skb_load_bytes' check). */
  at(offset: number, bytes: number): Address {
    return offset + bytes <= this.len ? this.data + offset : NULL;
  }
}
