import type { Address, Memory } from '@ciliate/maps';

/**
 * Events on their way from a worker to the thread that tells of them, each with the number of its packet. Unlike the
 * rings that programs write to, it loses none: a worker that finds no room waits until the reader has made some.
 */

/** u32 words, one cache line each: bytes ever written and read, modulo 2^32. The data follows. */
const HEAD = { head: 0, tail: 64, size: 128 } as const;
const RECORD = { number: 0, length: 4, size: 8 } as const;
const STREAM_BYTES = 1 << 20;
const SKIP = 0xffff_ffff;
const WAIT_MS = 20;

export class EventStream {
  readonly address: Address;
  readonly #memory: Memory;

  private constructor(memory: Memory, address: Address) {
    this.#memory = memory;
    this.address = address;
  }

  /** @throws MapError ENOMEM */
  static create(memory: Memory): EventStream {
    return new EventStream(memory, memory.alloc(HEAD.size + STREAM_BYTES));
  }

  static attach(memory: Memory, address: Address): EventStream {
    return new EventStream(memory, address);
  }

  /** Worker's side; blocks the thread while there is no room. */
  write(number: number, event: Uint8Array): void {
    const { u8, u32, i32 } = this.#memory;
    const head = u32[(this.address + HEAD.head) >> 2]!;
    const need = RECORD.size + ((event.length + 7) & ~7);
    const offset = head % STREAM_BYTES;
    const skip = need > STREAM_BYTES - offset ? STREAM_BYTES - offset : 0; // a record lies in one piece
    for (;;) {
      const tail = Atomics.load(i32, (this.address + HEAD.tail) >> 2);
      if (skip + need <= STREAM_BYTES - ((head - tail) >>> 0)) break;
      Atomics.wait(i32, (this.address + HEAD.tail) >> 2, tail, WAIT_MS);
    }
    const data = this.address + HEAD.size;
    if (skip > 0) u32[(data + offset + RECORD.number) >> 2] = SKIP;
    const at = data + (skip > 0 ? 0 : offset);
    u32[(at + RECORD.number) >> 2] = number;
    u32[(at + RECORD.length) >> 2] = event.length;
    u8.set(event, at + RECORD.size);
    Atomics.store(u32, (this.address + HEAD.head) >> 2, (head + skip + need) >>> 0);
  }

  /** Reader's side: hands over each event, oldest first, and makes room. */
  drain(each: (number: number, event: Uint8Array) => void): void {
    const { u8, u32, i32 } = this.#memory;
    const head = Atomics.load(u32, (this.address + HEAD.head) >> 2);
    let tail = u32[(this.address + HEAD.tail) >> 2]!;
    if (tail === head) return;
    while (tail !== head) {
      const offset = tail % STREAM_BYTES;
      const at = this.address + HEAD.size + offset;
      const number = u32[(at + RECORD.number) >> 2]!;
      if (number === SKIP) {
        tail = (tail + STREAM_BYTES - offset) >>> 0;
        continue;
      }
      const length = u32[(at + RECORD.length) >> 2]!;
      each(number, new Uint8Array(u8.subarray(at + RECORD.size, at + RECORD.size + length)));
      tail = (tail + RECORD.size + ((length + 7) & ~7)) >>> 0;
    }
    Atomics.store(u32, (this.address + HEAD.tail) >> 2, tail);
    Atomics.notify(i32, (this.address + HEAD.tail) >> 2);
  }

  destroy(): void {
    this.#memory.free(this.address, HEAD.size + STREAM_BYTES);
  }
}
