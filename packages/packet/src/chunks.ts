import { closeSync, openSync, readSync } from 'node:fs';
import { CaptureError } from './errors.ts';

const CHUNK_BYTES = 64 * 1024;

/**
 * A file read forwards in chunks: `fill` brings bytes into `view`, the caller reads them there at `at` and moves `at`
 * past them. What is before `at` is forgotten at the next `fill`. Memory: one chunk, or the largest `fill` the file had
 * bytes for.
 */
export class ChunkReader {
  readonly file: string;
  bytes: Uint8Array;
  view: DataView;
  /** Index in `bytes` and `view` of the next byte not yet read. */
  at = 0;
  #end = 0;
  #forgotten = 0;
  readonly #fd: number;

  /** @throws CaptureError if the file cannot be opened */
  constructor(file: string, chunkBytes: number = CHUNK_BYTES) {
    this.file = file;
    this.bytes = new Uint8Array(chunkBytes);
    this.view = new DataView(this.bytes.buffer);
    this.#fd = this.#orFail(() => openSync(file, 'r'));
  }

  /** Byte offset in the file of the next byte not yet read. */
  get position(): number {
    return this.#forgotten + this.at;
  }

  /** Goes on at this offset of the file, which it reads into `bytes` from now on. */
  seek(position: number, bytes: Uint8Array): void {
    this.#use(bytes);
    this.at = 0;
    this.#end = 0;
    this.#forgotten = position;
  }

  /** How many bytes are there at `at` without reading the file. */
  get left(): number {
    return this.#end - this.at;
  }

  /** @returns how many bytes are there at `at`: at least `length`, unless the file ends before. */
  fill(length: number): number {
    if (this.#end - this.at >= length) return this.#end - this.at;
    this.bytes.copyWithin(0, this.at, this.#end);
    this.#forgotten += this.at;
    this.#end -= this.at;
    this.at = 0;
    while (this.#end < length) {
      if (this.#end === this.bytes.length) this.#grow();
      const position = this.#forgotten + this.#end;
      const got = this.#orFail(() =>
        readSync(this.#fd, this.bytes, this.#end, this.bytes.length - this.#end, position),
      );
      if (got === 0) break;
      this.#end += got;
    }
    return this.#end - this.at;
  }

  /**
   * `fill`, where fewer bytes than `length` are an error.
   * @param what names them in the message, e.g. "packet 17"
   * @param from offset in the file where the message says it begins
   */
  need(length: number, what: string, from: number): void {
    const left = this.fill(length);
    if (left >= length) return;
    this.fail(`truncated ${what} at byte ${from}: wants ${length} bytes, ${left} left`, from);
  }

  fail(problem: string, offset: number): never {
    throw new CaptureError(this.file, problem, { offset });
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** Doubled only when the file has filled it: a length field that lies costs no memory. */
  #grow(): void {
    const larger = new Uint8Array(this.bytes.length * 2);
    larger.set(this.bytes);
    this.#use(larger);
  }

  #use(bytes: Uint8Array): void {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  #orFail(call: () => number): number {
    try {
      return call();
    } catch (cause) {
      throw new CaptureError(this.file, `cannot be read: ${(cause as Error).message}`, {}, cause);
    }
  }
}
