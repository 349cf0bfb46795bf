import type { BackendWatch, WatchArgs, WatchBatch } from '../backend.ts';
import { etcdError, KvstoreError } from '../errors.ts';
import { FILTERS, readEvent } from '../grpc/codec.ts';
import { toNumber, type WatchResponse } from '../grpc/schema.ts';
import { readError } from '../grpc/status.ts';
import { type ClientStream, type Connection, isLost } from './connection.ts';

/** Batches that wait for the reader; with more, the stream is paused and etcd keeps them. */
const MOST_WAITING = 64;

/** A watch that outlives its stream: a new one goes on after the last revision that was told of. */
export class EtcdWatch implements BackendWatch {
  readonly #connection: Connection;
  readonly #request: WatchArgs;
  /** 0 until etcd said where "from now on" begins. */
  #next: number;
  readonly #waiting: WatchBatch[] = [];
  /** Events of a revision of which more fragments come. */
  #fragments: WatchBatch['events'][number][] = [];
  #stream: ClientStream | undefined;
  #failure: KvstoreError | undefined;
  #isOpen = true;
  #wake = () => {};

  constructor(connection: Connection, request: WatchArgs) {
    this.#connection = connection;
    this.#request = request;
    this.#next = request.fromRevision;
    this.#run().catch((error) => this.#fail(error));
  }

  async next(): Promise<WatchBatch | undefined> {
    for (;;) {
      if (!this.#isOpen) return undefined;
      const batch = this.#waiting.shift();
      if (batch !== undefined) {
        if (this.#waiting.length < MOST_WAITING / 2) this.#stream?.resume();
        return batch;
      }
      if (this.#failure !== undefined) throw this.#failure;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
  }

  close(): void {
    this.#isOpen = false;
    this.#stream?.cancel();
    this.#wake();
  }

  /** One stream after the other, until the watch is closed or etcd refuses it. */
  async #run(): Promise<void> {
    while (this.#isOpen && this.#failure === undefined) {
      try {
        await this.#follow();
      } catch (error) {
        if (!isLost(error)) throw error;
      }
      if (this.#isOpen && this.#failure === undefined) await this.#connection.pause();
    }
  }

  async #follow(): Promise<void> {
    const { stream, endpoint, leave } = await this.#connection.stream('Watch', 'Watch');
    this.#stream = stream;
    this.#fragments = [];
    const { key, end, prevKv = false, without = [], progressNotify = false } = this.#request;
    const ended = new Promise<void>((resolve, reject) => {
      stream.on('data', (response: WatchResponse) => {
        try {
          this.#take(response, endpoint);
        } catch (error) {
          reject(error);
          stream.cancel();
        }
      });
      stream.on('end', resolve);
      stream.on('error', (error) => {
        leave();
        reject(isLost(error) ? error : readError(error as never, endpoint));
      });
    });
    if (!this.#isOpen) stream.cancel(); // closed while it waited for the member
    stream.write({
      create_request: {
        key: Buffer.from(key, 'latin1'),
        range_end: Buffer.from(end, 'latin1'),
        start_revision: this.#next,
        progress_notify: progressNotify,
        filters: without.map((type) => FILTERS.indexOf(type)),
        prev_kv: prevKv,
        fragment: true,
      },
    });
    await ended;
  }

  /** @throws COMPACTED, REFUSED */
  #take(response: WatchResponse, endpoint: string): void {
    const revision = toNumber(response.header.revision);
    const compactRevision = toNumber(response.compact_revision);
    if (compactRevision > 0) throw etcdError('COMPACTED', { revision: this.#next, compactRevision });
    if (response.canceled)
      throw new KvstoreError('REFUSED', response.cancel_reason || 'etcd ended the watch', { endpoint });
    if (response.created) {
      if (this.#next === 0) this.#next = revision + 1;
      return;
    }
    const events = [...this.#fragments, ...response.events.map(readEvent)];
    if (response.fragment) {
      this.#fragments = events;
      return;
    }
    this.#fragments = [];
    const last = events.at(-1)?.version.modRevision ?? revision;
    this.#next = Math.max(this.#next, last + 1);
    this.#waiting.push({ events, revision: last });
    if (this.#waiting.length >= MOST_WAITING) this.#stream?.pause();
    this.#wake();
  }

  #fail(error: unknown): void {
    this.#failure =
      error instanceof KvstoreError
        ? error
        : new KvstoreError('REFUSED', error instanceof Error ? error.message : String(error), {}, { cause: error });
    this.#wake();
  }
}
