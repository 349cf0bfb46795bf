import { seqDiff } from '@ciliate/replay';

/** What was written and is not acknowledged yet: bytes, and the end behind them. Positions count from the first of them. */
export class SendBuffer {
  #chunks: Uint8Array[] = [];
  #length = 0;
  #start: number;
  #finished = false;
  #finAcknowledged = false;

  /** @param start sequence number of the first byte */
  constructor(start: number) {
    this.#start = start;
  }

  /** Sequence number of the first byte that is not acknowledged. */
  get start(): number {
    return this.#start;
  }

  get length(): number {
    return this.#length;
  }

  /** Will nothing more be written? */
  get finished(): boolean {
    return this.#finished;
  }

  /** Is everything acknowledged, the end included if it was written? */
  get isDone(): boolean {
    return this.#length === 0 && (!this.#finished || this.#finAcknowledged);
  }

  write(bytes: Uint8Array): void {
    if (this.#finished || bytes.length === 0) return;
    this.#chunks.push(bytes);
    this.#length += bytes.length;
  }

  finish(): void {
    this.#finished = true;
  }

  /** @returns at most `most` bytes from a position; fewer where a written piece ends */
  read(at: number, most: number): Uint8Array {
    if (most <= 0) return NOTHING;
    let before = at;
    for (const chunk of this.#chunks) {
      if (before < chunk.length) return chunk.subarray(before, before + most);
      before -= chunk.length;
    }
    return NOTHING;
  }

  /** @returns whether it acknowledges anything new */
  acknowledge(ack: number): boolean {
    let count = seqDiff(ack, this.#start);
    if (count <= 0 || count > this.#length + Number(this.#finished) || this.#finAcknowledged) return false;
    this.#start = ack;
    if (count > this.#length) this.#finAcknowledged = true;
    count = Math.min(count, this.#length);
    this.#length -= count;
    while (count > 0) {
      const [first] = this.#chunks;
      if (first!.length > count) {
        this.#chunks[0] = first!.subarray(count);
        return true;
      }
      count -= first!.length;
      this.#chunks.shift();
    }
    return true;
  }
}

const NOTHING = new Uint8Array(0);
