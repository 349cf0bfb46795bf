import type { WatchBatch } from '../backend.ts';
import { KvstoreError } from '../errors.ts';
import { FROM_KEY, fromArray } from '../keys.ts';
import type { Watcher } from '../mvcc/watchers.ts';
import { FILTERS, writeEvent } from './codec.ts';
import {
  codec,
  type EventMessage,
  fromBigint,
  toBigint,
  toNumber,
  type WatchCreateRequest,
  type WatchRequest,
} from './schema.ts';
import type { Handlers, ServiceContext, StreamCall, StreamListener } from './service.ts';
import { writeError } from './status.ts';

/** A watch that asks for it is told of the revision when nothing else was told for so long. Source: etcd, watch.go. */
const PROGRESS_INTERVAL_MS = 10 * 60 * 1000;
/** Larger answers are cut into fragments for those who ask for it: etcd's request limit. */
const FRAGMENT_BYTES = 1.5 * 1024 * 1024;
/** The id in answers that are about no watch, or about all of them. */
const NO_WATCH = -1n;

export const watchService = (context: ServiceContext): Handlers => ({
  Watch: (call: StreamCall) => new WatchStream(context, call),
});

interface Entry {
  watcher: Watcher;
  fragment: boolean;
  progressNotify: boolean;
  /** A batch is on its way to the client. */
  isBusy: boolean;
  toldSinceProgress: boolean;
}

/** One client's stream: any number of watches. Each reads the history as fast as the client takes it. */
class WatchStream implements StreamListener {
  readonly #context: ServiceContext;
  readonly #call: StreamCall;
  readonly #entries = new Map<bigint, Entry>();
  readonly #stopProgress: () => void;
  #nextId = 0n;
  #isProgressWanted = false;
  #isOpen = true;

  constructor(context: ServiceContext, call: StreamCall) {
    this.#context = context;
    this.#call = call;
    this.#stopProgress = context.every(PROGRESS_INTERVAL_MS, () => this.#tellQuiet());
  }

  finished(): void {
    this.closed();
    this.#call.end();
  }

  receive({ create_request, cancel_request, progress_request }: WatchRequest): void {
    if (create_request) this.#create(create_request);
    else if (cancel_request) this.#cancel(toBigint(cancel_request.watch_id));
    else if (progress_request) {
      this.#isProgressWanted = true;
      this.#tellProgress();
    }
  }

  #create(request: WatchCreateRequest): void {
    const { store } = this.#context;
    const end = fromArray(request.range_end);
    const key = fromArray(request.key) || '\0';
    const wantedId = toBigint(request.watch_id);
    const refuse = (cancel_reason: string): void =>
      this.#write(NO_WATCH, { created: true, canceled: true, cancel_reason });
    const isTaken = wantedId !== 0n && this.#entries.has(wantedId);
    const isEmpty = end !== '' && end !== FROM_KEY && end <= key;
    if (isTaken || isEmpty) {
      refuse(isTaken ? 'mvcc: duplicate watch ID provided on the WatchStream' : 'mvcc: watcher range is empty');
      return;
    }
    let id = wantedId;
    if (id === 0n) {
      while (this.#entries.has(this.#nextId)) this.#nextId++;
      id = this.#nextId++;
    }
    const without = FILTERS.filter((_, filter) => request.filters.includes(filter));
    const watcher = store.watch({
      key,
      end,
      fromRevision: toNumber(request.start_revision),
      prevKv: request.prev_kv,
      without,
    });
    const { fragment, progress_notify: progressNotify } = request;
    const entry: Entry = { watcher, fragment, progressNotify, isBusy: false, toldSinceProgress: false };
    this.#entries.set(id, entry);
    this.#write(id, { created: true });
    this.#tell(id, entry).catch((error) => this.#call.end(writeError(error)));
  }

  #cancel(id: bigint): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    entry.watcher.close();
    this.#entries.delete(id);
    this.#write(id, { canceled: true });
  }

  async #tell(id: bigint, entry: Entry): Promise<void> {
    try {
      for (let batch = await entry.watcher.next(); batch !== undefined; batch = await entry.watcher.next()) {
        entry.isBusy = true;
        await this.#tellBatch(id, entry, batch);
        entry.isBusy = false;
        entry.toldSinceProgress = true;
        this.#tellProgress();
      }
    } catch (error) {
      if (!(error instanceof KvstoreError) || error.code !== 'COMPACTED') throw error;
      entry.watcher.close();
      this.#entries.delete(id);
      this.#write(id, { canceled: true, compact_revision: this.#context.store.compactRevision });
    }
  }

  async #tellBatch(id: bigint, entry: Entry, { events, revision }: WatchBatch): Promise<void> {
    const messages = events.map(writeEvent);
    const parts = entry.fragment ? fragments(messages) : [messages];
    for (const [index, part] of parts.entries()) {
      if (!this.#isOpen) return;
      const fragment = index < parts.length - 1;
      this.#write(id, { events: part, fragment }, revision);
      if (this.#call.isFull) await this.#call.drained();
    }
  }

  /** An answer to a progress request says that everything up to its revision was told, so it waits until that is so. */
  #tellProgress(): void {
    if (!this.#isProgressWanted) return;
    for (const { watcher, isBusy } of this.#entries.values()) if (isBusy || !watcher.isSynced) return;
    this.#isProgressWanted = false;
    this.#write(NO_WATCH, {});
  }

  #tellQuiet(): void {
    for (const [id, entry] of this.#entries) {
      const isQuiet = !entry.toldSinceProgress && !entry.isBusy && entry.watcher.isSynced;
      if (entry.progressNotify && isQuiet) this.#write(id, {});
      entry.toldSinceProgress = false;
    }
  }

  #write(id: bigint, response: object, revision = this.#context.store.revision): void {
    if (!this.#isOpen) return;
    this.#call.write({ header: this.#context.header(revision), watch_id: fromBigint(id), ...response });
  }

  closed(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#stopProgress();
    for (const { watcher } of this.#entries.values()) watcher.close();
    this.#entries.clear();
  }
}

/** Runs of events that stay under the limit; an event above it is alone. */
function fragments(events: readonly EventMessage[]): EventMessage[][] {
  const parts: EventMessage[][] = [[]];
  let bytes = 0;
  for (const event of events) {
    const size = codec('Event').encode(event).length;
    if (bytes > 0 && bytes + size > FRAGMENT_BYTES) {
      parts.push([]);
      bytes = 0;
    }
    parts.at(-1)!.push(event);
    bytes += size;
  }
  return parts;
}
