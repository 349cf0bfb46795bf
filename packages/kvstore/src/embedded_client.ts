import type {
  KeyValue,
  KvstoreClient,
  LeaseId,
  PutOptions,
  RangeResponse,
  ReadOptions,
  TxnRequest,
  TxnResponse,
  Value,
  Watch,
  WatchEvent,
  WatchRequest,
} from './client.ts';
import type { EmbeddedStore } from './embedded.ts';
import { KvstoreError, unsupported } from './errors.ts';

/** A client of an embedded store in the same thread. Every call runs at once; only its answer comes later. */
export class EmbeddedClient implements KvstoreClient {
  readonly #store: EmbeddedStore;
  readonly #watches = new Set<EmbeddedWatch>();
  #isClosed = false;

  constructor(store: EmbeddedStore) {
    this.#store = store;
  }

  async get(key: string, options?: ReadOptions): Promise<KeyValue | undefined> {
    refuseHistory(options);
    return this.#open().get(key);
  }

  async getPrefix(prefix: string, options?: ReadOptions): Promise<RangeResponse> {
    refuseHistory(options);
    const entries = this.#open().getPrefix(prefix);
    return { entries, revision: this.#store.revision };
  }

  async put(key: string, value: Value, options?: PutOptions): Promise<number> {
    return this.#open().txn({ compare: [], success: [{ type: 'put', key, value, ...options }] }).revision;
  }

  async createOnly(key: string, value: Value, options?: PutOptions): Promise<boolean> {
    return this.#open().txn({
      compare: [{ key, target: 'createRevision', operator: '=', number: 0 }],
      success: [{ type: 'put', key, value, ...options }],
    }).succeeded;
  }

  async delete(key: string): Promise<boolean> {
    return this.#open().txn({ compare: [], success: [{ type: 'delete', key }] }).results[0]!.deleted > 0;
  }

  async deletePrefix(prefix: string): Promise<number> {
    return this.#open().txn({ compare: [], success: [{ type: 'deletePrefix', prefix }] }).results[0]!.deleted;
  }

  async txn(request: TxnRequest): Promise<TxnResponse> {
    return this.#open().txn(request);
  }

  async leaseGrant(ttlSeconds: number): Promise<LeaseId> {
    return this.#open().leaseGrant(ttlSeconds);
  }

  async leaseKeepAlive(leaseId: LeaseId): Promise<number> {
    return this.#open().leaseKeepAlive(leaseId);
  }

  async leaseRevoke(leaseId: LeaseId): Promise<void> {
    this.#open().leaseRevoke(leaseId);
  }

  watch(request: WatchRequest): Watch {
    const store = this.#open();
    const watch = new EmbeddedWatch(store, request, () => this.#watches.delete(watch));
    this.#watches.add(watch);
    return watch;
  }

  async compact(_revision: number): Promise<void> {
    throw unsupported('compaction');
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const watch of this.#watches) watch.close();
  }

  #open(): EmbeddedStore {
    if (this.#isClosed) throw new KvstoreError('CLOSED', 'the client is closed');
    return this.#store;
  }
}

/** A reader has a place in the store's events and no queue of its own: a slow one costs no memory. */
class EmbeddedWatch implements Watch {
  readonly #store: EmbeddedStore;
  readonly #request: WatchRequest;
  readonly #onClose: () => void;
  #nextRevision: number;
  #isOpen = true;
  #wake = () => {};

  constructor(store: EmbeddedStore, request: WatchRequest, onClose: () => void) {
    this.#store = store;
    this.#request = request;
    this.#onClose = onClose;
    this.#nextRevision = request.fromRevision ?? store.revision + 1;
  }

  close(): void {
    this.#isOpen = false;
    this.#onClose();
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<WatchEvent[], void, undefined> {
    while (this.#isOpen) {
      const events = this.#store.eventsFrom(this.#nextRevision);
      if (events.length === 0) {
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#wake = resolve;
        this.#store.onNextWrite(resolve);
        await promise;
        continue;
      }
      this.#nextRevision = events.at(-1)!.entry.modRevision + 1;
      const wanted = events.filter((event) => this.#wants(event.entry.key));
      if (wanted.length > 0) yield wanted;
    }
  }

  #wants(key: string): boolean {
    return 'key' in this.#request ? key === this.#request.key : key.startsWith(this.#request.prefix);
  }
}

function refuseHistory(options: ReadOptions | undefined): void {
  if (options?.revision !== undefined) throw unsupported('reading at a past revision');
}
