import type { HeadBytes } from './head.ts';

const LF = 0x0a;
const EMPTY_LINE_BYTES = 4;
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

  get length(): number {
    return this.#to - this.#from;
  }

  push(bytes: Uint8Array): void {
    if (this.#from === this.#to) {
      this.#room = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
      this.#owned = false;
      this.#from = this.#searched = 0;
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
  take(max: number): Uint8Array {
    const end = Math.min(this.#from + max, this.#to);
    const { buffer, byteOffset } = this.#room;
    const part = new Uint8Array(buffer, byteOffset + this.#from, end - this.#from);
    const bytes = this.#owned ? part.slice() : part; // what was made here is written to again
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
    const at = this.#room.indexOf('\r\n\r\n', this.#from, 'latin1');
    const end = at + EMPTY_LINE_BYTES;
    return at === -1 || end > this.#to || end - this.#from > max ? undefined : end - this.#from;
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
    this.#from = 0;
    this.#to = length;
  }
}
