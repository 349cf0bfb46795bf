import type { Socket } from 'node:net';

/** Pieces up to so many bytes together are copied into one buffer: one system call, one write request. */
const COPY_BYTES = 16 * 1024;

/** What goes to one socket, gathered while a session speaks, written at once. */
export class Outlet {
  readonly #parts: Uint8Array[] = [];
  #bytes = 0;

  add(bytes: Uint8Array): void {
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
    if (parts.length === 1) socket.write(parts[0]!);
    else if (this.#bytes <= COPY_BYTES) socket.write(joined(parts, this.#bytes));
    else {
      socket.cork();
      for (const part of parts) socket.write(part);
      socket.uncork();
    }
    this.drop();
  }

  /** Nobody takes it any more. */
  drop(): void {
    this.#parts.length = 0;
    this.#bytes = 0;
  }
}

function joined(parts: readonly Uint8Array[], length: number): Uint8Array {
  const out = Buffer.allocUnsafe(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
