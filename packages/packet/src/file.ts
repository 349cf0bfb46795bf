import { closeSync, openSync, writeSync } from 'node:fs';
import { CaptureError } from './errors.ts';

const BUFFER_BYTES = 64 * 1024;

/** A file written forwards, through a buffer. Disposing it writes what is left and closes it. */
export class CaptureFile {
  readonly #path: string;
  readonly #fd: number;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  readonly #view = new DataView(this.#buffer.buffer);
  #used = 0;

  /** Creates the file or empties it. @throws CaptureError if it cannot be written */
  constructor(path: string) {
    this.#path = path;
    this.#fd = this.#orFail(() => openSync(path, 'w'));
  }

  /** @throws CaptureError if the file cannot be written */
  write(data: ArrayBufferView): void {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    if (this.#used + bytes.length > BUFFER_BYTES) this.#flush();
    if (bytes.length > BUFFER_BYTES) {
      this.#writeAll(bytes);
      return;
    }
    this.#buffer.set(bytes, this.#used);
    this.#used += bytes.length;
  }

  /** Where the next `take` bytes lie, for the caller to fill in; old content. */
  get bytes(): Uint8Array {
    return this.#buffer;
  }
  get view(): DataView {
    return this.#view;
  }

  /**
   * Makes `length` bytes of `bytes` and `view` the next ones of the file.
   * @returns their index; -1 if that is more than the buffer holds: then `write` them. @throws CaptureError as `write`
   */
  take(length: number): number {
    if (length > BUFFER_BYTES) return -1;
    if (this.#used + length > BUFFER_BYTES) this.#flush();
    const at = this.#used;
    this.#used += length;
    return at;
  }

  [Symbol.dispose](): void {
    try {
      this.#flush();
    } finally {
      closeSync(this.#fd);
    }
  }

  #flush(): void {
    const used = this.#used;
    this.#used = 0; // first: after a failed write, disposing must not fail again and hide the reason
    this.#writeAll(this.#buffer.subarray(0, used));
  }

  #writeAll(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      done += this.#orFail(() => writeSync(this.#fd, bytes, done));
    }
  }

  #orFail(call: () => number): number {
    try {
      return call();
    } catch (cause) {
      throw new CaptureError(this.#path, `cannot be written: ${(cause as Error).message}`, {}, cause);
    }
  }
}
