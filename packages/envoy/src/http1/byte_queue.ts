import type { HeadBytes } from './head.ts';

const LF = 0x0a;
const CR = 0x0d;
const NOTHING = Buffer.alloc(0);

/**
 * Bytes of a stream that came but were not read yet. Bytes that come while nothing waits are not copied: they are kept as they
 * are, and what is taken of them is a part of them.
 */
export class ByteQueue {
  /** Place in the stream of the next byte to read. */
  offset = 0;
  #room: Buffer = NOTHING;
  /** The room was made here, and may be written to. */
  #owned = false;
  #from = 0;
  #to = 0;
  /** No LF between `#from` and here, so that a line coming byte by byte is searched once. */
  #searched = 0;
  /** The same for empty lines. */
  #blockSearched = 0;

  get length(): number {
    return this.#to - this.#from;
  }

  push(bytes: Uint8Array): void {
    if (this.#from === this.#to) {
      this.#room = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
      this.#owned = false;
      this.#from = this.#searched = this.#blockSearched = 0;
      this.#to = bytes.length;
      return;
    }
    if (!this.#owned || this.#to + bytes.length > this.#room.length) this.#makeRoom(bytes.length);
    this.#room.set(bytes, this.#to);
    this.#to += bytes.length;
  }

  /** The byte at `index` from here, or undefined if it has not come yet. */
  peek(index: number): number | undefined {
    return index < this.length ? this.#room[this.#from + index] : undefined;
  }

  skip(count: number): void {
    this.#from += count;
    this.offset += count;
    this.#searched = Math.max(this.#searched, this.#from);
  }

  /** Up to `max` bytes; fewer if no more have come. */
  take(max: number): Buffer {
    const part = this.#room.subarray(this.#from, Math.min(this.#from + max, this.#to));
    const bytes = this.#owned ? Buffer.from(part) : part; // what was made here is written to again
    this.skip(bytes.length);
    return bytes;
  }

  /** Everything up to the next LF, which is read too but not returned; undefined if none has come. One char a byte. */
  line(): string | undefined {
    const at = this.#room.indexOf(LF, this.#searched);
    if (at === -1 || at >= this.#to) {
      this.#searched = this.#to;
      return undefined;
    }
    const text = this.#room.toString('latin1', this.#from, at);
    this.skip(at + 1 - this.#from);
    return text;
  }

  /** Bytes up to and with the first empty line; undefined if it has not come yet, or is beyond `max` bytes. */
  blockLength(max: number): number | undefined {
    const room = this.#room;
    const to = Math.min(this.#to, this.#from + max);
    // Of any four bytes in a row one is looked at.
    let at = Math.max(this.#blockSearched, this.#from + 3);
    for (; at < to; at += 4) {
      if (room[at]! > CR) continue;
      const end = emptyLineAround(room, at, this.#from);
      if (end !== undefined && end <= to) return end - this.#from;
    }
    this.#blockSearched = at - 4; // once more when what is behind it has come
    return undefined;
  }

  /** The next bytes where they lie: they hold until something else is asked of the queue. */
  look(length: number): HeadBytes {
    return { bytes: this.#room, from: this.#from, end: this.#from + length };
  }

  #makeRoom(more: number): void {
    const { length } = this;
    const waiting = this.#room.subarray(this.#from, this.#to);
    this.#room = Buffer.allocUnsafe((length + more) * 2);
    this.#room.set(waiting);
    this.#owned = true;
    this.#searched -= this.#from;
    this.#blockSearched -= this.#from;
    this.#from = 0;
    this.#to = length;
  }
}

/** @returns the end of the CR LF CR LF that has `at` in it and does not begin before `from` */
function emptyLineAround(bytes: Uint8Array, at: number, from: number): number | undefined {
  const first = bytes[at] === LF ? at - 1 : at;
  for (const start of [first - 2, first]) {
    if (start < from) continue;
    if (bytes[start] === CR && bytes[start + 1] === LF && bytes[start + 2] === CR && bytes[start + 3] === LF)
      return start + 4;
  }
  return undefined;
}
