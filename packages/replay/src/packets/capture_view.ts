import { type CaptureInterface, type OpenCursor, openCursor, type PacketCursor } from '@ciliate/packet';
import type { BatchRing } from './batch_ring.ts';

/** For what is read twice: pieces in which something is declared. */
const BUFFER_BYTES = 64 * 1024;

/**
 * The capture as one thread sees it. What packets mean depends on the sections and interfaces that were declared before,
 * which may stand in a piece that another thread has read: `see` reads those again.
 */
export class CaptureView {
  readonly #ring: BatchRing;
  readonly #path: string;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  #capture: OpenCursor;
  #pass = 0;
  /** Batches whose declarations the cursor knows. */
  #seen = 0;

  /** @throws CaptureError */
  constructor(ring: BatchRing, path: string) {
    this.#ring = ring;
    this.#path = path;
    this.#capture = openCursor(path, BUFFER_BYTES);
    this.start = this.#capture.cursor.position;
  }

  /** Where in the file the first packet or block is. */
  readonly start: number;

  get cursor(): PacketCursor {
    return this.#capture.cursor;
  }

  /** Those that the first `see`n batches declare. */
  get interfaces(): readonly CaptureInterface[] {
    return this.#capture.interfaces;
  }

  /** Learns what batches declare up to this one, which must all be published and not be filled again yet. */
  see(batch: number): void {
    for (; this.#seen <= batch; this.#seen++) {
      const { pass, from, to, declares } = this.#ring.piece(this.#seen);
      this.begin(pass);
      if (!declares) continue;
      this.cursor.seek(from, 0, this.#buffer);
      this.cursor.skipTo(to);
    }
  }

  /** The cursor itself has read this batch. */
  saw(batch: number): void {
    this.#seen = batch + 1;
  }

  /** Opens the capture again for another pass. @throws CaptureError */
  begin(pass: number): void {
    if (pass === this.#pass) return;
    this.#pass = pass;
    this.close();
    this.#capture = openCursor(this.#path, BUFFER_BYTES);
  }

  close(): void {
    this.cursor.close();
  }
}
