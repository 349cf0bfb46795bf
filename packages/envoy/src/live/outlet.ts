import type { Socket } from 'node:net';
import type { Piece } from '../http1/encode.ts';

/** Pieces up to so many bytes together are written as one: one system call, one write request. As a text, if they are few. */
const COPY_BYTES = 16 * 1024;
const TEXT_BYTES = 1024;

/** What goes to one socket, gathered while a session speaks, written at once. */
export class Outlet {
  readonly #parts: Piece[] = [];
  #bytes = 0;

  add(bytes: Piece): void {
    if (bytes.length === 0) return;
    this.#parts.push(bytes);
    this.#bytes += bytes.length;
  }

  /** Not written yet. */
  get bytes(): number {
    return this.#bytes;
  }

  flush(socket: Socket): void {
    const parts = this.#parts;
    if (parts.length === 0) return;
    if (parts.length === 1) write(socket, parts[0]!);
    else if (this.#bytes <= COPY_BYTES)
      write(socket, this.#bytes <= TEXT_BYTES ? text(parts) : joined(parts, this.#bytes));
    else {
      socket.cork();
      for (const part of parts) write(socket, part);
      socket.uncork();
    }
    this.drop();
  }

  /** Nobody takes it any more. */
  drop(): void {
    while (this.#parts.length > 0) this.#parts.pop(); // faster than to set the length
    this.#bytes = 0;
  }
}

/** Node writes a text to the socket without making a buffer of it. */
function write(socket: Socket, piece: Piece): void {
  if (typeof piece === 'string') socket.write(piece, 'latin1');
  else socket.write(piece);
}

function text(parts: readonly Piece[]): string {
  let out = '';
  for (const part of parts) out += typeof part === 'string' ? part : asBuffer(part).toString('latin1');
  return out;
}

function joined(parts: readonly Piece[], length: number): Buffer {
  const out = Buffer.allocUnsafe(length);
  let at = 0;
  for (const part of parts) {
    if (typeof part === 'string') out.write(part, at, 'latin1');
    else out.set(part, at);
    at += part.length;
  }
  return out;
}

const asBuffer = (bytes: Uint8Array): Buffer =>
  bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
