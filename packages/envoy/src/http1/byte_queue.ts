const LF = 0x0a;

/** Bytes of a stream that came but were not read yet. Reading takes copies: the room is used again. */
export class ByteQueue {
  /** Place in the stream of the next byte to read. */
  offset = 0;
  #room = new Uint8Array(256);
  #from = 0;
  #to = 0;
  /** No LF between `#from` and here, so that a line coming byte by byte is searched once. */
  #searched = 0;

  get length(): number {
    return this.#to - this.#from;
  }

  push(bytes: Uint8Array): void {
    if (this.#to + bytes.length > this.#room.length) this.#makeRoom(bytes.length);
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
    const bytes = this.#room.slice(this.#from, this.#from + Math.min(max, this.length));
    this.skip(bytes.length);
    return bytes;
  }

  /** Everything up to the next LF, which is read too but not returned; undefined if none has come. One char a byte. */
  line(): string | undefined {
    const at = this.#room.subarray(0, this.#to).indexOf(LF, this.#searched);
    this.#searched = this.#to;
    if (at === -1) return undefined;
    const text = Buffer.from(this.#room.buffer, this.#from, at - this.#from).toString('latin1');
    this.#searched = this.#from;
    this.skip(at + 1 - this.#from);
    return text;
  }

  #makeRoom(more: number): void {
    const { length } = this;
    const room = (length + more) * 2 > this.#room.length ? new Uint8Array((length + more) * 2) : this.#room;
    room.set(this.#room.subarray(this.#from, this.#to));
    this.#searched -= this.#from;
    this.#room = room;
    this.#from = 0;
    this.#to = length;
  }
}
