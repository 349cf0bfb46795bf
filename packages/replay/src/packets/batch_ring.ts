import type { Address, Memory } from '@ciliate/maps';
import { BATCH_BYTES, BATCH_PACKETS, BATCHES, ENTRY, GROWTH_BYTES, type RingLayout } from './protocol.ts';

/**
 * Batches in the shared memory. A batch holds a piece of the trace as it stands in the file, an entry for each packet in it,
 * and for each worker a list of the entries that it is to work on. There is no thread that only reads: a worker that finds
 * no batch to work on fills the next one itself, one worker at a time since packets are found in order, and steers it, while
 * the others already work or fill on. Each works through all batches in order; a batch is filled again when all have.
 */

/** Words that threads wait on; one cache line each. */
const LINE = 64;
const CONTROL = {
  signal: 0,
  filling: LINE,
  published: 2 * LINE,
  ended: 3 * LINE,
  told: 4 * LINE,
  done: 5 * LINE,
} as const;
/** In front of a batch's entries. Offsets of the file are f64, the others words: `grown` says how much of the growth is taken. */
const HEAD = { size: LINE, count: 0, grown: 4, steered: 8, pass: 12, declares: 16, from: 24, to: 32 } as const;
/** What a list of entries takes: a count and the indices, u16 each. */
const LIST_BYTES = (2 * (1 + BATCH_PACKETS) + 7) & ~7;
/** A worker that waits looks again after this, whatever it was told. */
const WAIT_MS = 20;

/** What a worker is to do now: work on the batch it asked for, fill the next one, or go home. */
export type Turn = 'work' | 'fill' | 'end';

/** The piece of the trace that a batch holds. */
export interface Piece {
  /** 0-based pass of a loop. */
  readonly pass: number;
  /** Byte offsets in the file. */
  readonly from: number;
  readonly to: number;
  /** Sections or interfaces are declared in it. */
  readonly declares: boolean;
}

export class BatchRing {
  readonly layout: RingLayout;
  readonly #memory: Memory;
  readonly #blocks: readonly [at: Address, bytes: number][];

  private constructor(memory: Memory, layout: RingLayout, blocks: readonly [at: Address, bytes: number][] = []) {
    this.#memory = memory;
    this.layout = layout;
    this.#blocks = blocks;
  }

  /**
   * @param keepsFrames room for frames that grow
   * @param isTold another thread reads each batch after the workers, and says so by `tell`
   * @throws MapError ENOMEM
   */
  static create(memory: Memory, workers: number, keepsFrames: boolean, isTold: boolean): BatchRing {
    const growth = keepsFrames ? BATCH_BYTES + BATCH_PACKETS * GROWTH_BYTES : 0;
    const bytes = HEAD.size + BATCH_PACKETS * ENTRY.words * 4 + workers * LIST_BYTES + BATCH_BYTES + growth;
    const batchBytes = Math.ceil(bytes / LINE) * LINE;
    const controlBytes = CONTROL.done + (workers + 1) * LINE;
    const control = memory.alloc(controlBytes);
    const batches = memory.alloc(BATCHES * batchBytes + LINE);
    const [controlAt, batchesAt] = [control, batches].map((at) => Math.ceil(at / LINE) * LINE) as [Address, Address];
    const layout = { control: controlAt, batches: batchesAt, batchBytes, workers, growth, isTold };
    return new BatchRing(memory, layout, [
      [control, controlBytes],
      [batches, BATCHES * batchBytes + LINE],
    ]);
  }

  /** In another thread. */
  static attach(memory: Memory, layout: RingLayout): BatchRing {
    return new BatchRing(memory, layout);
  }

  /** Index in `u32` of a batch's first entry. */
  entries(batch: number): number {
    return (this.#head(batch) + HEAD.size) >> 2;
  }

  /** Index in `u16` of the list of those entries that `worker` works on: first the count. */
  list(batch: number, worker: number): number {
    return (this.#head(batch) + HEAD.size + BATCH_PACKETS * ENTRY.words * 4 + worker * LIST_BYTES) >> 1;
  }

  count(batch: number): number {
    return this.#memory.u32[(this.#head(batch) + HEAD.count) >> 2]!;
  }

  /** Address of the batch's BATCH_BYTES. */
  room(batch: number): Address {
    return this.#head(batch) + HEAD.size + BATCH_PACKETS * ENTRY.words * 4 + this.layout.workers * LIST_BYTES;
  }

  piece(batch: number): Piece {
    const { u32, view } = this.#memory;
    const head = this.#head(batch);
    const [from, to] = [view.getFloat64(head + HEAD.from, true), view.getFloat64(head + HEAD.to, true)];
    return { pass: u32[(head + HEAD.pass) >> 2]!, from, to, declares: u32[(head + HEAD.declares) >> 2] !== 0 };
  }

  /** How many batches were published; number of the one to fill now. */
  get next(): number {
    return Atomics.load(this.#memory.i32, this.#word(CONTROL.published));
  }

  /** How many batches all workers have done. */
  get finished(): number {
    let least = this.next;
    for (let worker = 0; worker < this.layout.workers; worker++)
      least = Math.min(least, Atomics.load(this.#memory.i32, this.#done(worker)));
    return least;
  }

  /** Blocks the thread until there is something to do for a worker that has done all before `batch`. With 'fill' nobody else fills until `publish` or `giveUp`. */
  turn(batch: number): Turn {
    const { i32 } = this.#memory;
    const signal = this.#word(CONTROL.signal);
    const filling = this.#word(CONTROL.filling);
    for (;;) {
      const seen = Atomics.load(i32, signal);
      if (this.next > batch && Atomics.load(i32, (this.#head(batch) + HEAD.steered) >> 2) === batch + 1) return 'work';
      if (Atomics.compareExchange(i32, filling, 0, 1) === 0) {
        const isOver = this.isEnded;
        if (!isOver && this.#hasRoom()) return 'fill';
        const isLast = isOver && this.next <= batch;
        Atomics.store(i32, filling, 0);
        if (isLast) return 'end';
      }
      Atomics.wait(i32, signal, seen, WAIT_MS);
    }
  }

  /** Empties the batch to fill now. */
  begin(): void {
    this.#memory.u32[(this.#head(this.next) + HEAD.grown) >> 2] = 0;
  }

  /** The batch has `count` entries; another may be filled now. It is worked on when it is steered. */
  publish(count: number, { pass, from, to, declares }: Piece): void {
    const { u32, i32, view } = this.#memory;
    const head = this.#head(this.next);
    u32[(head + HEAD.count) >> 2] = count;
    u32[(head + HEAD.pass) >> 2] = pass;
    u32[(head + HEAD.declares) >> 2] = declares ? 1 : 0;
    view.setFloat64(head + HEAD.from, from, true);
    view.setFloat64(head + HEAD.to, to, true);
    Atomics.add(i32, this.#word(CONTROL.published), 1);
    this.giveUp();
  }

  /** Nothing was filled; another may. */
  giveUp(): void {
    Atomics.store(this.#memory.i32, this.#word(CONTROL.filling), 0);
    this.#notify();
  }

  /** No batch is filled any more. */
  end(): void {
    Atomics.store(this.#memory.i32, this.#word(CONTROL.ended), 1);
    this.#notify();
  }

  get isEnded(): boolean {
    return Atomics.load(this.#memory.i32, this.#word(CONTROL.ended)) !== 0;
  }

  /** The lists of a published batch are complete. */
  steered(batch: number): void {
    Atomics.store(this.#memory.i32, (this.#head(batch) + HEAD.steered) >> 2, batch + 1);
    this.#notify();
  }

  /** This worker has done all up to and with this batch. */
  finish(worker: number, batch: number): void {
    Atomics.store(this.#memory.i32, this.#done(worker), batch + 1);
    this.#notify();
  }

  /** All up to and with this batch was read, and may be forgotten. */
  tell(batch: number): void {
    Atomics.store(this.#memory.i32, this.#word(CONTROL.told), batch + 1);
    this.#notify();
  }

  /** Resolves when anything has happened since `seen`, or after `timeoutMs`. */
  async change(seen: number, timeoutMs: number): Promise<void> {
    await Atomics.waitAsync(this.#memory.i32, this.#word(CONTROL.signal), seen, timeoutMs).value;
  }

  /** A word that is another one after everything that happens here. */
  get signal(): number {
    return Atomics.load(this.#memory.i32, this.#word(CONTROL.signal));
  }

  /** Room for a frame that grew by at most GROWTH_BYTES. @returns its address */
  grow(batch: number, length: number): Address {
    const rounded = (length + 7) & ~7;
    const offset = Atomics.add(this.#memory.u32, (this.#head(batch) + HEAD.grown) >> 2, rounded);
    if (offset + rounded > this.layout.growth)
      throw new Error(`a frame of ${length} bytes grew by more than was planned`);
    return this.room(batch) + BATCH_BYTES + offset;
  }

  /** Gives the memory back. No worker may run. */
  destroy(): void {
    for (const [at, bytes] of this.#blocks) this.#memory.free(at, bytes);
  }

  #hasRoom(): boolean {
    const told = this.layout.isTold ? Atomics.load(this.#memory.i32, this.#word(CONTROL.told)) : this.next;
    return Math.min(this.finished, told) > this.next - BATCHES;
  }

  #notify(): void {
    const { i32 } = this.#memory;
    const signal = this.#word(CONTROL.signal);
    Atomics.add(i32, signal, 1);
    Atomics.notify(i32, signal);
  }

  #head(batch: number): Address {
    return this.layout.batches + (batch % BATCHES) * this.layout.batchBytes;
  }

  #word(offset: number): number {
    return (this.layout.control + offset) >> 2;
  }

  #done(worker: number): number {
    return this.#word(CONTROL.done + worker * LINE);
  }
}
