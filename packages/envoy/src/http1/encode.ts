import { STATUS_CODES } from 'node:http';
import type { Framing, Headers } from './message.ts';
import type { BodyEvent } from './parser.ts';

/** Of a message on its way out: bytes, or text that has one char a byte. */
export type Piece = Uint8Array | string;

function headText(startLine: string, headers: Headers): string {
  let text = `${startLine}\r\n`;
  for (let at = 0; at < headers.length; at++) text += `${headers[at]![0]}: ${headers[at]![1]}\r\n`;
  return `${text}\r\n`;
}

export const encodeRequestHead = (method: string, path: string, headers: Headers): string =>
  headText(`${method} ${path} HTTP/1.1`, headers);

/** The reason phrase is the status's own, whatever the server wrote. */
export const encodeResponseHead = (status: number, headers: Headers): string =>
  headText(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Unknown'}`, headers);

const CRLF = Buffer.from('\r\n');
const LAST_CHUNK = '0\r\n\r\n';

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

  write(event: BodyEvent): Piece {
    switch (event.type) {
      case 'chunk':
        return this.#startChunk(event.size);
      case 'data':
        if (this.#framing === 'chunked') return this.#chunkData(event.bytes);
        if (this.#framing !== 'untilClose') return event.bytes;
        return Buffer.concat([Buffer.from(this.#startChunk(event.bytes.length)), this.#chunkData(event.bytes)]);
      case 'end':
        return this.#framing === 'chunked' || this.#framing === 'untilClose' ? LAST_CHUNK : '';
    }
  }

  #startChunk(size: number): string {
    this.#left = size;
    return `${size.toString(16)}\r\n`;
  }

  /** The last bytes of a chunk close it. */
  #chunkData(bytes: Uint8Array): Uint8Array {
    this.#left -= bytes.length;
    return this.#left > 0 ? bytes : Buffer.concat([bytes, CRLF]);
  }
}
