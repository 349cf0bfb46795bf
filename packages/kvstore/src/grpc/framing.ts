import { KvstoreError } from '../errors.ts';

/** gRPC puts before each message whether it is compressed (one byte, always 0 here) and its length, u32 big-endian. */
export const FRAME_HEADER_SIZE = 5;

export function frame(message: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(FRAME_HEADER_SIZE + message.length);
  framed[0] = 0;
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, FRAME_HEADER_SIZE);
  return framed;
}

/** Cuts what arrives into messages. */
export class MessageReader {
  readonly #maxBytes: number;
  readonly #take: (message: Uint8Array) => void;
  #pending: Buffer[] = [];
  #length = 0;

  constructor(maxBytes: number, take: (message: Uint8Array) => void) {
    this.#maxBytes = maxBytes;
    this.#take = take;
  }

  /** @throws MESSAGE_TOO_LARGE, UNIMPLEMENTED (compressed), and what `take` throws */
  push(chunk: Buffer): void {
    this.#pending.push(chunk);
    this.#length += chunk.length;
    while (this.#length >= FRAME_HEADER_SIZE) {
      if (this.#pending[0]!.length < FRAME_HEADER_SIZE) this.#join();
      const head = this.#pending[0]!;
      const size = head.readUInt32BE(1);
      if (head[0] !== 0) throw new KvstoreError('UNIMPLEMENTED', 'compressed messages are not understood');
      if (size > this.#maxBytes) {
        const problem = `the message has ${size} bytes, more than ${this.#maxBytes}`;
        throw new KvstoreError('MESSAGE_TOO_LARGE', problem);
      }
      const end = FRAME_HEADER_SIZE + size;
      if (this.#length < end) return;
      if (this.#pending[0]!.length < end) this.#join();
      const bytes = this.#pending[0]!;
      this.#length -= end;
      if (bytes.length === end) this.#pending.shift();
      else this.#pending[0] = bytes.subarray(end);
      this.#take(bytes.subarray(FRAME_HEADER_SIZE, end));
    }
  }

  #join(): void {
    this.#pending = [Buffer.concat(this.#pending)];
  }
}
