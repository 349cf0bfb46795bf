import { KvstoreError } from '../errors.ts';
import type { Disk, DiskFile } from './disk.ts';
import { encodeFrame, encodeHeader } from './frames.ts';
import { segmentName } from './names.ts';
import { RecordWriter } from './records.ts';

export interface LogOptions {
  disk: Disk;
  /** A random u32 for each new file. */
  salt: () => number;
  /** Nanoseconds of a clock that never goes back. */
  nowNs: () => bigint;
  /** Everything up to this revision is on the disk. Called before those who wait for it go on. */
  onDurable: (revision: number) => void;
  /** A write or sync failed: nothing later will be on the disk. */
  onFailure: (error: KvstoreError) => void;
}

export interface LogPlace {
  file: DiskFile;
  salt: number;
  /** Where the next frame goes. */
  at: number;
  /** The file's length. Zeros follow the frames: a sync then stores bytes alone, and waits for no file system's journal. */
  size: number;
  /** The next frame's sequence. */
  sequence: number;
}

export interface Rotation {
  /** The new segment's first. */
  sequence: number;
  /** The store's when the segments before it had been written. */
  revision: number;
}

/** What a segment grows by. */
const ZEROS = new Uint8Array(256 << 10);
/** A disk that took longer for its last sync is given to another thread. */
const QUICK_SYNC_NS = 1_000_000n;

/**
 * The write-ahead log: commands go into frames, frames into segments. While one frame is being synced the commands that
 * arrive gather for the next: one sync serves them all, and their answers wait for it.
 *
 * A command that is alone, as those before it were, is synced on the spot where the disk is quick: the way to another
 * thread and back would take as long again, and there is nobody who could use the time.
 */
export class CommandLog {
  readonly #options: LogOptions;
  #place: LogPlace;
  #bytesSinceRotation = 0;
  readonly #gathering = new RecordWriter();
  /** That gather, and that went into the last frame. */
  #commands = 0;
  #lastCommands = 0;
  #lastSyncNs = 0n;
  /** A command of this turn of the event loop was taken to be alone. */
  #inTurn = false;
  #revision: number;
  /** For those whose commands gather; and for those whose commands are being written. */
  #waiting: PromiseWithResolvers<void> | undefined;
  #writing: PromiseWithResolvers<void> | undefined;
  /** The newest revision that is on the disk. */
  #durable: number;
  #rotation: PromiseWithResolvers<Rotation> | undefined;
  #running: Promise<void> | undefined;
  #failure: KvstoreError | undefined;

  /** @param revision the store's, after what the log holds already */
  constructor(options: LogOptions, place: LogPlace, revision: number) {
    this.#options = options;
    this.#place = place;
    this.#revision = revision;
    this.#durable = revision;
  }

  get failure(): KvstoreError | undefined {
    return this.#failure;
  }

  get bytesSinceRotation(): number {
    return this.#bytesSinceRotation;
  }

  /** Take one command's records in. @param revision the store's, after the command */
  append(write: (writer: RecordWriter) => void, revision: number): void {
    if (this.#failure !== undefined) throw this.#failure;
    write(this.#gathering);
    this.#commands++;
    this.#revision = revision;
    this.#waiting ??= Promise.withResolvers();
    this.#waiting.promise.catch(() => {}); // some commands, such as a lease's end, have nobody who waits
    this.#running ??= this.#run();
  }

  /** Resolves when all that was appended so far is on the disk. @throws DISK_FAILED, NO_SPACE */
  async settled(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    await (this.#waiting?.promise ?? this.#writing?.promise);
  }

  /** Begin a new segment; what older ones hold is on the disk. */
  rotate(): Promise<Rotation> {
    this.#rotation ??= Promise.withResolvers();
    this.#running ??= this.#run();
    return this.#rotation.promise;
  }

  async close(): Promise<void> {
    await this.#running;
    this.#place.file.close();
    this.#failure ??= new KvstoreError('CLOSED', 'the store is closed');
  }

  async #run(): Promise<void> {
    // The requests that this turn of the event loop brings go into one frame; but its first does not wait for others where
    // there were none before.
    if (!this.#mayBeAlone()) await new Promise((resolve) => setImmediate(resolve));
    else await undefined; // whoever appends has not finished yet
    while (this.#failure === undefined && (this.#waiting !== undefined || this.#rotation !== undefined)) {
      try {
        if (this.#waiting !== undefined) await this.#writeFrame();
        if (this.#rotation !== undefined) await this.#rotate();
      } catch (cause) {
        this.#fail(cause);
      }
    }
    this.#running = undefined;
  }

  /** At most once a turn. */
  #mayBeAlone(): boolean {
    if (this.#inTurn || this.#lastCommands > 1 || this.#lastSyncNs >= QUICK_SYNC_NS) return false;
    this.#inTurn = true;
    setImmediate(() => {
      this.#inTurn = false;
    });
    return true;
  }

  async #writeFrame(): Promise<void> {
    const { file, salt, at, size, sequence } = this.#place;
    this.#writing = this.#waiting!;
    this.#waiting = undefined;
    const revision = this.#revision;
    const isAlone = this.#commands === 1 && this.#lastCommands <= 1;
    this.#lastCommands = this.#commands;
    this.#commands = 0;
    const frame = encodeFrame(salt, sequence, this.#gathering.take());
    const end = at + frame.length;
    // The zeros go first: where the disk has no room for them, nothing of a frame that is refused is found later.
    if (end > size) {
      file.write(ZEROS, size);
      this.#place.size = Math.max(size + ZEROS.length, end);
    }
    file.write(frame, at);
    const { nowNs } = this.#options;
    const start = nowNs();
    if (isAlone && this.#lastSyncNs < QUICK_SYNC_NS) file.syncNow();
    else await file.sync();
    this.#lastSyncNs = nowNs() - start;
    this.#place.at = end;
    this.#place.sequence = sequence + 1;
    this.#bytesSinceRotation += frame.length;
    this.#durable = revision;
    this.#options.onDurable(revision);
    this.#writing.resolve();
    this.#writing = undefined;
  }

  async #rotate(): Promise<void> {
    const { sequence } = this.#place;
    const place = await createSegment(this.#options, sequence);
    this.#place.file.close();
    this.#place = place;
    this.#bytesSinceRotation = 0;
    this.#rotation!.resolve({ sequence, revision: this.#durable });
    this.#rotation = undefined;
  }

  #fail(cause: unknown): void {
    const isFull = cause instanceof Error && 'code' in cause && (cause.code === 'ENOSPC' || cause.code === 'EDQUOT');
    const context = { directory: this.#options.disk.name };
    this.#failure = isFull
      ? new KvstoreError('NO_SPACE', 'etcdserver: mvcc: database space exceeded', context, { cause })
      : new KvstoreError('DISK_FAILED', 'the log cannot be written; no more writes are taken', context, { cause });
    this.#writing?.reject(this.#failure);
    this.#waiting?.reject(this.#failure);
    this.#rotation?.reject(this.#failure);
    this.#options.onFailure(this.#failure);
  }
}

/** A new segment, synced, its name too. */
export async function createSegment({ disk, salt: nextSalt }: LogOptions, sequence: number): Promise<LogPlace> {
  const file = disk.create(segmentName(sequence));
  const salt = nextSalt();
  const header = encodeHeader('ciliwal1', salt);
  file.write(header, 0);
  await file.sync();
  await disk.syncNames();
  return { file, salt, at: header.length, size: header.length, sequence };
}
