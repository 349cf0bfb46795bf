import type { SessionDeed, SessionSink } from './carrier.ts';
import { ProxyError } from './errors.ts';
import type { Piece } from './http1/encode.ts';
import type { AccessLog, ProxyAction, Side } from './protocol.ts';

/** Actions in order; bytes for the same side with nothing between them become one action. */
export class ActionList implements SessionSink {
  readonly logs = true;
  #actions: ProxyAction[] = [];
  #direction: Side = 'upstream';
  #parts: Uint8Array[] = [];

  /** Whoever performs the actions has room. */
  isFull(): boolean {
    return false;
  }

  bytes(direction: Side, bytes: Piece): void {
    if (direction !== this.#direction) this.#flush();
    this.#direction = direction;
    this.#parts.push(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  }

  add(type: SessionDeed): void {
    this.#flush();
    this.#actions.push({ type });
  }

  /** @throws ProxyError REFUSED: whoever recorded, or made up, the bytes of a TLS client has not its keys */
  secure(): never {
    throw new ProxyError(
      'REFUSED',
      'speaks TLS that ends at the proxy: recorded bytes cannot be replayed there, live pods can try it',
    );
  }

  log(request: number, record: AccessLog): void {
    this.#flush();
    this.#actions.push({ type: 'log', request, record });
  }

  /** All actions since the last call. */
  take(): ProxyAction[] {
    this.#flush();
    const actions = this.#actions;
    this.#actions = [];
    return actions;
  }

  #flush(): void {
    const length = this.#parts.reduce((sum, part) => sum + part.length, 0);
    if (length > 0) {
      const bytes = new Uint8Array(length);
      let at = 0;
      for (const part of this.#parts) {
        bytes.set(part, at);
        at += part.length;
      }
      this.#actions.push({ type: this.#direction, bytes });
    }
    this.#parts = [];
  }
}
