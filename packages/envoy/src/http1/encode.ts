import { STATUS_CODES } from 'node:http';
import type { Framing, Headers } from './message.ts';
import type { BodyEvent } from './parser.ts';

const bytesOf = (text: string): Uint8Array => Buffer.from(text, 'latin1');

function headBytes(startLine: string, headers: Headers): Uint8Array {
  let text = `${startLine}\r\n`;
  for (const [name, value] of headers) text += `${name}: ${value}\r\n`;
  return bytesOf(`${text}\r\n`);
}

export const encodeRequestHead = (method: string, path: string, headers: Headers): Uint8Array =>
  headBytes(`${method} ${path} HTTP/1.1`, headers);

/** The reason phrase is the status's own, whatever the server wrote. */
export const encodeResponseHead = (status: number, headers: Headers): Uint8Array =>
  headBytes(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Unknown'}`, headers);

const CRLF = bytesOf('\r\n');
const LAST_CHUNK = bytesOf('0\r\n\r\n');
const NOTHING = new Uint8Array(0);

/**
 * Writes a body on, piece by piece as it is read. Chunks stay as they were cut, without extensions and trailers; a body
 * that ended with its connection is written chunked, each piece a chunk.
 */
export class BodyWriter {
  readonly #framing: Framing['kind'];
  #left = 0;

  /** @param framing of the body as it is read */
  constructor({ kind }: Framing) {
    this.#framing = kind;
  }

  write(event: BodyEvent): Uint8Array {
    switch (event.type) {
      case 'chunk':
        return this.#startChunk(event.size);
      case 'data':
        if (this.#framing === 'chunked') return this.#chunkData(event.bytes);
        if (this.#framing !== 'untilClose') return event.bytes;
        return Buffer.concat([this.#startChunk(event.bytes.length), this.#chunkData(event.bytes)]);
      case 'end':
        return this.#framing === 'chunked' || this.#framing === 'untilClose' ? LAST_CHUNK : NOTHING;
    }
  }

  #startChunk(size: number): Uint8Array {
    this.#left = size;
    return bytesOf(`${size.toString(16)}\r\n`);
  }

  /** The last bytes of a chunk close it. */
  #chunkData(bytes: Uint8Array): Uint8Array {
    this.#left -= bytes.length;
    return this.#left > 0 ? bytes : Buffer.concat([bytes, CRLF]);
  }
}
