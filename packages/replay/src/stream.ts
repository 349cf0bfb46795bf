import { type ParsedTcp, TCP_FIN, TCP_RST, TCP_SYN } from '@ciliate/packet';

/** How far sequence number `a` is ahead of `b`, which may have wrapped: negative when behind. */
export const seqDiff = (a: number, b: number): number => (a - b) | 0;

/**
 * The bytes that one side of a TCP connection sent, put together from its segments. Positions count from the first byte
 * after the SYN; segments may repeat, overlap and come in any order.
 */
export class SegmentStream {
  /** Initial sequence number; undefined before the first segment. */
  isn: number | undefined;
  /** The side closed or reset the connection. */
  ended = false;
  /** Room for more than is there, so that a long stream is copied a few times, not once a segment. */
  #room = new Uint8Array(0);
  #length = 0;
  #early: { at: number; payload: Uint8Array }[] = [];
  #finAt: number | undefined;

  /** @returns the bytes that this segment made known, in order; often empty */
  add(tcp: ParsedTcp, payload: Uint8Array): Uint8Array {
    // A recording may begin in the middle: then the first segment's place is taken as the start.
    const syn = (tcp.flags & TCP_SYN) !== 0;
    this.isn ??= syn ? tcp.seq : (tcp.seq - 1) >>> 0;
    const at = seqDiff(tcp.seq, this.isn) - 1 + (syn ? 1 : 0);
    if ((tcp.flags & TCP_FIN) !== 0) this.#finAt = at + payload.length;
    if ((tcp.flags & (TCP_FIN | TCP_RST)) !== 0) this.ended = true;
    const before = this.#length;
    this.#early.push({ at, payload });
    let grown = true;
    while (grown) {
      grown = false;
      this.#early = this.#early.filter((segment) => {
        const known = this.#length - segment.at;
        if (known < 0) return true;
        if (known < segment.payload.length) {
          this.#append(segment.payload.subarray(known));
          grown = true;
        }
        return false;
      });
    }
    return this.bytes.subarray(before);
  }

  /** All bytes from the start without a gap. */
  get bytes(): Uint8Array {
    return this.#room.subarray(0, this.#length);
  }

  /** The side sent a FIN and nothing before it is missing. */
  get finished(): boolean {
    return this.#finAt !== undefined && this.#length >= this.#finAt;
  }

  /** The sequence number that acknowledges all of it: bytes, SYN, and FIN if there was one. */
  get next(): number {
    return ((this.isn ?? 0) + 1 + this.#length + (this.finished ? 1 : 0)) >>> 0;
  }

  #append(bytes: Uint8Array): void {
    const length = this.#length + bytes.length;
    if (length > this.#room.length) {
      const room = new Uint8Array(Math.max(length, 2 * this.#room.length));
      room.set(this.bytes);
      this.#room = room;
    }
    this.#room.set(bytes, this.#length);
    this.#length = length;
  }
}
