import type { BackendWatch, WatchArgs, WatchBatch, WatchedEvent } from '../backend.ts';
import { type Bytes, contains } from '../keys.ts';
import type { History } from './history.ts';
import { isDeletion, type Version } from './version.ts';

/** The most events in one batch, but for a revision that has more. */
const BATCH_EVENTS = 1000;

/**
 * Who waits for what. A watcher has a place in the history and no queue of its own: a slow one costs no memory, and
 * falls off when the history is compacted under it. A write wakes only those whose keys it touched.
 */
export class Watchers {
  readonly #history: History;
  readonly #ofKey = new Map<Bytes, Set<Watcher>>();
  readonly #ofRange = new Set<Watcher>();
  #revision: number;
  #failure: Error | undefined;

  constructor(history: History) {
    this.#history = history;
    this.#revision = history.revision;
  }

  /** The newest revision that watchers may be told of. */
  get revision(): number {
    return this.#revision;
  }

  add(request: WatchArgs): Watcher {
    const watcher = new Watcher(this, this.#history, request);
    if (request.end !== '') this.#ofRange.add(watcher);
    else {
      const sharing = this.#ofKey.get(request.key);
      if (sharing === undefined) this.#ofKey.set(request.key, new Set([watcher]));
      else sharing.add(watcher);
    }
    if (this.#failure !== undefined) watcher.fail(this.#failure);
    return watcher;
  }

  remove(watcher: Watcher): void {
    this.#ofRange.delete(watcher);
    const sharing = this.#ofKey.get(watcher.request.key);
    sharing?.delete(watcher);
    if (sharing?.size === 0) this.#ofKey.delete(watcher.request.key);
  }

  /** Everything up to a revision may be told: these events are new. */
  publish(events: readonly Version[], revision: number): void {
    this.#revision = revision;
    for (const { key, modRevision } of events) {
      const sharing = this.#ofKey.get(key);
      if (sharing !== undefined) for (const watcher of sharing) watcher.wake(modRevision);
      for (const watcher of this.#ofRange) if (contains(watcher.request, key)) watcher.wake(modRevision);
    }
  }

  /** Nothing more will be told. */
  fail(error: Error): void {
    this.#failure = error;
    for (const watcher of this.#ofRange) watcher.fail(error);
    for (const sharing of this.#ofKey.values()) for (const watcher of sharing) watcher.fail(error);
  }
}

export class Watcher implements BackendWatch {
  readonly request: WatchArgs;
  readonly #watchers: Watchers;
  readonly #history: History;
  /** The first revision that this watcher has not been told of. */
  #next: number;
  /** Of the published revisions, none from #next up to here concerns this watcher. */
  #woken: number;
  #isOpen = true;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(watchers: Watchers, history: History, request: WatchArgs) {
    this.request = request;
    this.#watchers = watchers;
    this.#history = history;
    this.#next = request.fromRevision || watchers.revision + 1;
    this.#woken = this.#next;
  }

  wake(revision: number): void {
    if (revision < this.#next) return;
    if (this.#woken > revision) this.#woken = revision;
    this.#wake?.();
  }

  fail(error: Error): void {
    this.#failure = error;
    this.#wake?.();
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#watchers.remove(this);
    this.#wake?.();
  }

  async next(): Promise<WatchBatch | undefined> {
    for (;;) {
      if (!this.#isOpen) return undefined;
      const batch = this.poll();
      if (batch !== undefined) return batch;
      if (this.#failure !== undefined) throw this.#failure;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
      this.#wake = undefined;
    }
  }

  /** The next batch if there is one by now. @throws COMPACTED */
  poll(): WatchBatch | undefined {
    const last = this.#watchers.revision;
    for (;;) {
      if (this.#woken > last) return undefined;
      if (this.#woken < this.#history.compactRevision) throw this.#history.compacted(this.#woken);
      const { events, next } = this.#history.eventsFrom(this.#woken, last, BATCH_EVENTS);
      this.#next = next;
      this.#woken = next > last ? Number.POSITIVE_INFINITY : next;
      const wanted = this.#select(events);
      if (wanted.length > 0) return { events: wanted, revision: next - 1 };
    }
  }

  #select(events: readonly Version[]): WatchedEvent[] {
    const { without, prevKv } = this.request;
    const wanted: WatchedEvent[] = [];
    for (const version of events) {
      if (!contains(this.request, version.key)) continue;
      if (without?.includes(isDeletion(version) ? 'delete' : 'put')) continue;
      const { prev } = version;
      wanted.push({ version, prev: prevKv && prev !== undefined && !isDeletion(prev) ? prev : undefined });
    }
    return wanted;
  }
}
