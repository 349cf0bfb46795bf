import type { Address, Memory } from '@ciliate/maps';
import { BATCH_BYTES, BATCH_PACKETS, BATCHES, ENTRY, GROWTH_BYTES, type RingLayout } from './protocol.ts';

/**
 * Batches in the shared memory, filled by one thread and worked off by all workers, in order. A batch holds a piece of
 * the trace as it stood in the file, and an entry for each packet in it. First each worker steers one part of the entries,
 * and lists them by who is to work on them: the thread that reads would be too slow for all. Then each works on what is
 * its own in all parts. The batch is filled again when every worker has done that.
 */

/** Words that threads wait on; one cache line each. */
const LINE = 64;
const CONTROL = { published: 0, ended: LINE, workers: 2 * LINE } as const;
/** Of each worker: how many batches it has done, and steered its part of. */
const WORKER = { size: 2 * LINE, done: 0, steered: LINE } as const;
/** In front of a batch's entries: how many there are, and how much of the growth is taken. */
const HEAD = { size: LINE, count: 0, grown: 4 } as const;
const NEVER = -1;

/** Entries that one of so many workers steers at most. */
const partOf = (workers: number): number => Math.ceil(BATCH_PACKETS / workers);
/** Bytes of a list of such entries: a count and the indices, u16 each. */
const listBytes = (workers: number): number => (2 * (1 + partOf(workers)) + 7) & ~7;

/** A piece of the trace, and up to 7 bytes in front of it: see `room`. */
const ROOM_BYTES = BATCH_BYTES + 8;

abstract class BatchRing {
  protected readonly memory: Memory;
  readonly layout: RingLayout;
  protected readonly published: number;
  protected readonly ended: number;

  constructor(memory: Memory, layout: RingLayout) {
    this.memory = memory;
    this.layout = layout;
    this.published = (layout.control + CONTROL.published) >> 2;
    this.ended = (layout.control + CONTROL.ended) >> 2;
  }

  protected done(worker: number): number {
    return (this.layout.control + CONTROL.workers + worker * WORKER.size + WORKER.done) >> 2;
  }

  protected steered(worker: number): number {
    return (this.layout.control + CONTROL.workers + worker * WORKER.size + WORKER.steered) >> 2;
  }

  protected head(batch: number): Address {
    return this.layout.batches + (batch % BATCHES) * this.layout.batchBytes;
  }

  /** Index in `u32` of a batch's first entry. */
  entries(batch: number): number {
    return (this.head(batch) + HEAD.size) >> 2;
  }

  /** Index in `u16` of the list of those entries, among what worker `part` steered, that `worker` works on: first the count. */
  list(batch: number, part: number, worker: number): number {
    const { workers } = this.layout;
    const lists = this.head(batch) + HEAD.size + BATCH_PACKETS * ENTRY.words * 4;
    return (lists + (part * workers + worker) * listBytes(workers)) >> 1;
  }

  protected bytes(batch: number): Address {
    const { workers } = this.layout;
    const lists = workers * workers * listBytes(workers);
    return this.head(batch) + HEAD.size + BATCH_PACKETS * ENTRY.words * 4 + lists;
  }

  count(batch: number): number {
    return this.memory.u32[(this.head(batch) + HEAD.count) >> 2]!;
  }

  protected grownAt(batch: number): number {
    return (this.head(batch) + HEAD.grown) >> 2;
  }
}

/** The side that fills batches. */
export class BatchFiller extends BatchRing {
  #next = 0;

  /** @param keepsFrames room for frames that grow. @throws MapError ENOMEM */
  static create(memory: Memory, workers: number, keepsFrames: boolean): BatchFiller {
    const growth = keepsFrames ? BATCH_BYTES + BATCH_PACKETS * GROWTH_BYTES : 0;
    const batchBytes =
      HEAD.size + BATCH_PACKETS * ENTRY.words * 4 + workers ** 2 * listBytes(workers) + ROOM_BYTES + growth;
    const rounded = Math.ceil(batchBytes / LINE) * LINE;
    const controlBytes = CONTROL.workers + workers * WORKER.size + LINE;
    const control = memory.alloc(controlBytes);
    const batches = memory.alloc(BATCHES * rounded + LINE);
    const layout = {
      control: Math.ceil(control / LINE) * LINE,
      batches: Math.ceil(batches / LINE) * LINE,
      batchBytes: rounded,
      workers,
      growth,
    };
    const ring = new BatchFiller(memory, layout);
    ring.#blocks.push([control, controlBytes], [batches, BATCHES * rounded + LINE]);
    memory.i32[ring.ended] = NEVER;
    return ring;
  }

  readonly #blocks: [at: Address, bytes: number][] = [];

  /** Number of the batch to fill now. */
  get next(): number {
    return this.#next;
  }

  /**
   * Address for BATCH_BYTES that come from index `from` of another buffer: as far from a multiple of 8 as they are there.
   * Only then V8 copies them to shared memory in words, eight times as fast as byte by byte.
   */
  room(from: number): Address {
    return this.bytes(this.#next) + (from & 7);
  }

  /** Empties the batch to fill now. */
  begin(): void {
    this.memory.u32[this.grownAt(this.#next)] = 0;
  }

  /** Gives the batch of `count` entries to the workers. */
  publish(count: number): void {
    this.memory.u32[(this.head(this.#next) + HEAD.count) >> 2] = count;
    Atomics.store(this.memory.i32, this.published, ++this.#next);
    Atomics.notify(this.memory.i32, this.published);
  }

  /** No batch comes after those that were published. */
  end(): void {
    Atomics.store(this.memory.i32, this.ended, this.#next);
    Atomics.notify(this.memory.i32, this.published);
  }

  /** How many batches all workers have done. */
  get finished(): number {
    let least = this.#next;
    for (let worker = 0; worker < this.layout.workers; worker++)
      least = Math.min(least, Atomics.load(this.memory.i32, this.done(worker)));
    return least;
  }

  /** Resolves when a worker that is behind `batch` has done one more, or after `timeoutMs`. */
  async progress(batch: number, timeoutMs: number): Promise<void> {
    const { i32 } = this.memory;
    for (let worker = 0; worker < this.layout.workers; worker++) {
      const seen = Atomics.load(i32, this.done(worker));
      if (seen < batch) return void (await Atomics.waitAsync(i32, this.done(worker), seen, timeoutMs).value);
    }
  }

  /** Gives the memory back. No worker may run. */
  destroy(): void {
    for (const [at, bytes] of this.#blocks) this.memory.free(at, bytes);
  }
}

/** The side of one worker. */
export class BatchTaker extends BatchRing {
  readonly #worker: number;

  constructor(memory: Memory, layout: RingLayout, worker: number) {
    super(memory, layout);
    this.#worker = worker;
  }

  /** Blocks the thread until this batch is there. @returns false if there is none */
  take(batch: number): boolean {
    const { i32 } = this.memory;
    for (;;) {
      const published = Atomics.load(i32, this.published);
      if (published > batch) return true;
      const ended = Atomics.load(i32, this.ended);
      if (ended !== NEVER && ended <= batch) return false;
      Atomics.wait(i32, this.published, published, WAIT_MS);
    }
  }

  /** Whether `take` would not have to wait. */
  isThere(batch: number): boolean {
    return Atomics.load(this.memory.i32, this.published) > batch;
  }

  /** Says that this worker's part is listed. */
  endSteering(batch: number): void {
    const at = this.steered(this.#worker);
    Atomics.store(this.memory.i32, at, batch + 1);
    Atomics.notify(this.memory.i32, at);
  }

  /** Blocks the thread until all parts are listed. */
  awaitSteering(batch: number): void {
    const { i32 } = this.memory;
    for (let worker = 0; worker < this.layout.workers; worker++)
      for (;;) {
        const steered = Atomics.load(i32, this.steered(worker));
        if (steered > batch) break;
        Atomics.wait(i32, this.steered(worker), steered, WAIT_MS);
      }
  }

  finish(batch: number): void {
    Atomics.store(this.memory.i32, this.done(this.#worker), batch + 1);
    Atomics.notify(this.memory.i32, this.done(this.#worker));
  }

  /** Room for a frame that grew by at most GROWTH_BYTES. @returns its address */
  grow(batch: number, length: number): Address {
    const rounded = (length + 7) & ~7;
    const offset = Atomics.add(this.memory.u32, this.grownAt(batch), rounded);
    if (offset + rounded > this.layout.growth)
      throw new Error(`a frame of ${length} bytes grew by more than was planned`);
    return this.bytes(batch) + ROOM_BYTES + offset;
  }
}

/** `end` may come between a worker's two looks: it looks again. */
const WAIT_MS = 20;
