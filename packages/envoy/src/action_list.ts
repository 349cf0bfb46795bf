import type { SessionSink } from './carrier.ts';
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

  bytes(direction: Side, bytes: Uint8Array): void {
    if (direction !== this.#direction) this.#flush();
    this.#direction = direction;
    this.#parts.push(bytes);
  }

  add(type: 'closeUpstream' | 'closeDownstream' | 'resetDownstream'): void {
    this.#flush();
    this.#actions.push({ type });
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
