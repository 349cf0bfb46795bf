import type { Socket } from 'node:net';

/** Bytes of a client that waits beyond which no more are taken. */
const MAX_EARLY = 64 * 1024;

/** A client that has asked for a connection and has no answer yet: it may talk already, and it may leave. */
export class WaitingClient {
  hasLeft = false;
  onLeft: () => void = () => {};
  readonly #socket: Socket;
  readonly #early: Uint8Array[] = [];
  #length = 0;

  /** @param first what it said behind its request */
  constructor(socket: Socket, first: Uint8Array) {
    this.#socket = socket;
    if (first.length > 0) this.#keep(first);
    socket.on('data', this.#keep);
    socket.once('end', this.#leave);
    socket.once('close', this.#leave);
  }

  /** The wait is over. @returns what it said meanwhile */
  done(): readonly Uint8Array[] {
    this.#socket.off('data', this.#keep).off('end', this.#leave).off('close', this.#leave);
    this.#socket.resume();
    return this.#early;
  }

  readonly #keep = (bytes: Uint8Array): void => {
    this.#early.push(bytes);
    this.#length += bytes.length;
    if (this.#length > MAX_EARLY) this.#socket.pause();
  };

  readonly #leave = (): void => {
    if (this.hasLeft) return;
    this.hasLeft = true;
    this.#socket.destroy();
    this.onLeft();
  };
}
