import { copyBytes, round8 } from './bytes.ts';
import { MapError } from './errors.ts';
import type { Address, Memory } from './memory.ts';

/**
 * The header, 64 bytes, u32 each; the data follows. `head` and `tail` count bytes ever written and read, modulo 2^32,
 * so that the ring is empty when they are equal; its size is a power of two.
 */
const RING = { size: 64, magic: 0, bytes: 4, head: 8, tail: 12, lost: 16 } as const;
const MAGIC = 0x474e_4952; // 'RING'
/** In front of each record: its length, u32, padded to 8. */
const RECORD_HEADER = 8;
/** A length that says: the rest up to the end of the ring is unused. */
const SKIP = 0xffff_ffff;

/**
 * The events of one worker, as one CPU's ring of a perf-event array: written by that worker only, read by one other
 * thread. A record that finds no room is dropped and counted, as the kernel does.
 */
export class EventRing {
  readonly memory: Memory;
  /** The handle that the other thread attaches to. */
  readonly address: Address;
  private readonly data: Address;
  private readonly bytes: number;

  private constructor(memory: Memory, address: Address) {
    this.memory = memory;
    this.address = address;
    this.data = address + RING.size;
    this.bytes = memory.u32[(address + RING.bytes) >> 2]!;
  }

  /** @param sizeBytes rounded up to a power of two, at least 64. @throws MapError ENOMEM, EINVAL */
  static create(memory: Memory, sizeBytes: number): EventRing {
    if (!(sizeBytes > 0 && sizeBytes <= 2 ** 30)) throw new MapError('EINVAL', 'event ring: bad size', { sizeBytes });
    const bytes = Math.max(64, 2 ** Math.ceil(Math.log2(sizeBytes)));
    const at = memory.alloc(RING.size + bytes);
    memory.u32[(at + RING.bytes) >> 2] = bytes;
    memory.u32[(at + RING.magic) >> 2] = MAGIC;
    return new EventRing(memory, at);
  }

  /** @throws MapError EINVAL */
  static attach(memory: Memory, address: Address): EventRing {
    if (!EventRing.isRing(memory, address)) {
      throw new MapError('EINVAL', 'no event ring at this address', { address });
    }
    return new EventRing(memory, address);
  }

  static isRing(memory: Memory, address: Address): boolean {
    const isInside = address > 0 && address % 8 === 0 && address + RING.size <= memory.u8.length;
    return isInside && memory.u32[(address + RING.magic) >> 2] === MAGIC;
  }

  /** @returns false if there is no room: then the record is counted in `lost`. Allocates nothing. */
  output(at: Address, len: number): boolean {
    return this.outputParts(at, len, 0, 0);
  }

  /** One record of two pieces: the struct of an event and the first bytes of its packet. */
  outputParts(at1: Address, len1: number, at2: Address, len2: number): boolean {
    const m = this.memory;
    const head = m.u32[(this.address + RING.head) >> 2]!;
    const tail = Atomics.load(m.u32, (this.address + RING.tail) >> 2);
    const need = RECORD_HEADER + round8(len1 + len2);
    const offset = head & (this.bytes - 1);
    const untilEnd = this.bytes - offset;
    const skip = need > untilEnd ? untilEnd : 0; // a record lies in one piece
    if (skip + need > this.bytes - ((head - tail) >>> 0)) {
      Atomics.add(m.u32, (this.address + RING.lost) >> 2, 1);
      return false;
    }
    if (skip > 0) m.u32[(this.data + offset) >> 2] = SKIP;
    const record = this.data + (skip > 0 ? 0 : offset);
    m.u32[record >> 2] = len1 + len2;
    copyBytes(m, record + RECORD_HEADER, at1, len1);
    copyBytes(m, record + RECORD_HEADER + len1, at2, len2);
    Atomics.store(m.u32, (this.address + RING.head) >> 2, (head + skip + need) >>> 0); // publishes the bytes
    return true;
  }

  /** Reader's side: hands over a copy of each record, oldest first, and makes room. */
  drain(each: (bytes: Uint8Array) => void): void {
    const m = this.memory;
    const head = Atomics.load(m.u32, (this.address + RING.head) >> 2);
    let tail = m.u32[(this.address + RING.tail) >> 2]!;
    while (tail !== head) {
      const offset = tail & (this.bytes - 1);
      const record = this.data + offset;
      const len = m.u32[record >> 2]!;
      if (len === SKIP) {
        tail = (tail + this.bytes - offset) >>> 0;
        continue;
      }
      const from = record + RECORD_HEADER;
      const copy = new Uint8Array(len);
      copy.set(m.u8.subarray(from, from + len));
      tail = (tail + RECORD_HEADER + round8(len)) >>> 0;
      Atomics.store(m.u32, (this.address + RING.tail) >> 2, tail);
      each(copy);
    }
    Atomics.store(m.u32, (this.address + RING.tail) >> 2, tail);
  }

  /** Records dropped for want of room, so far. */
  get lost(): number {
    return Atomics.load(this.memory.u32, (this.address + RING.lost) >> 2);
  }

  /** Gives the memory back; neither side may use the ring afterwards. */
  destroy(): void {
    this.memory.u32[(this.address + RING.magic) >> 2] = 0;
    this.memory.free(this.address, RING.size + this.bytes);
  }
}
