import type { Backend, BackendWatch } from './backend.ts';
import type {
  KeyValue,
  KvstoreClient,
  LeaseId,
  LeaseInfo,
  PutOptions,
  RangeResponse,
  ReadOptions,
  Span,
  TxnRequest,
  TxnResponse,
  Value,
  Watch,
  WatchEvent,
  WatchRequest,
} from './client.ts';
import { KvstoreError } from './errors.ts';
import { fromText, toText } from './keys.ts';
import { isDeletion, type Version } from './mvcc/version.ts';
import { keyValue, putArgs, rangeResponse, spanRange, txnArgs, txnResponse } from './translate.ts';

/** The client interface on any backend. */
export class StoreClient implements KvstoreClient {
  readonly #backend: Backend;
  readonly #watches = new Set<ClientWatch>();
  readonly #onClose: () => Promise<void>;
  #isClosed = false;

  /** @param onClose what else ends with the client */
  constructor(backend: Backend, onClose: () => Promise<void> = async () => {}) {
    this.#backend = backend;
    this.#onClose = onClose;
  }

  async get(key: string, options?: ReadOptions): Promise<KeyValue | undefined> {
    return (await this.range({ ...options, key })).entries[0];
  }

  async getPrefix(prefix: string, options?: ReadOptions): Promise<RangeResponse> {
    return this.range({ ...options, prefix });
  }

  async range(request: Span & ReadOptions): Promise<RangeResponse> {
    return rangeResponse(await this.#open().range({ ...request, ...spanRange(request) }));
  }

  async put(key: string, value: Value, options?: PutOptions): Promise<number> {
    return (await this.#open().put(putArgs(key, value, options))).revision;
  }

  async createOnly(key: string, value: Value, options?: PutOptions): Promise<boolean> {
    const { succeeded } = await this.txn({
      compare: [{ key, target: 'createRevision', operator: '=', number: 0 }],
      success: [{ type: 'put', key, value, ...options }],
    });
    return succeeded;
  }

  async delete(key: string): Promise<boolean> {
    return (await this.#open().deleteRange({ key: fromText(key), end: '' })).deleted > 0;
  }

  async deletePrefix(prefix: string): Promise<number> {
    return (await this.#open().deleteRange(spanRange({ prefix }))).deleted;
  }

  async txn(request: TxnRequest): Promise<TxnResponse> {
    return txnResponse(await this.#open().txn(txnArgs(request)));
  }

  async leaseGrant(ttlSeconds: number): Promise<LeaseId> {
    return (await this.#open().leaseGrant(ttlSeconds, 0n)).id;
  }

  async leaseKeepAlive(leaseId: LeaseId): Promise<number> {
    return this.#open().leaseKeepAlive(leaseId);
  }

  async leaseRevoke(leaseId: LeaseId): Promise<void> {
    return this.#open().leaseRevoke(leaseId);
  }

  async leaseInfo(leaseId: LeaseId): Promise<LeaseInfo | undefined> {
    const { ttlSeconds, grantedTtlSeconds, keys } = await this.#open().leaseTimeToLive(leaseId, true);
    return ttlSeconds < 0 ? undefined : { leaseId, ttlSeconds, grantedTtlSeconds, keys: keys.map(toText) };
  }

  async leases(): Promise<LeaseId[]> {
    return this.#open().leases();
  }

  watch(request: WatchRequest): Watch {
    const { fromRevision, prevKv = false, without = [] } = request;
    // From 0 on is from the beginning on; the backend's 0 means: from now on.
    const from = fromRevision === undefined ? 0 : Math.max(fromRevision, 1);
    const range = spanRange(request);
    const backendWatch = this.#open().watch({ ...range, fromRevision: from, prevKv, without });
    const watch = new ClientWatch(backendWatch, () => this.#watches.delete(watch));
    this.#watches.add(watch);
    return watch;
  }

  async compact(revision: number): Promise<void> {
    await this.#open().compact(revision);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const watch of this.#watches) watch.close();
    await this.#onClose();
  }

  #open(): Backend {
    if (this.#isClosed) throw new KvstoreError('CLOSED', 'the client is closed');
    return this.#backend;
  }
}

class ClientWatch implements Watch {
  readonly #watch: BackendWatch;
  readonly #onClose: () => void;

  constructor(watch: BackendWatch, onClose: () => void) {
    this.#watch = watch;
    this.#onClose = onClose;
  }

  close(): void {
    this.#watch.close();
    this.#onClose();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<WatchEvent[], void, undefined> {
    for (;;) {
      const batch = await this.#watch.next();
      if (batch === undefined) return;
      if (batch.events.length > 0) yield batch.events.map(watchEvent);
    }
  }
}

function watchEvent({ version, prev }: { version: Version; prev: Version | undefined }): WatchEvent {
  const event: WatchEvent = { type: isDeletion(version) ? 'delete' : 'put', entry: keyValue(version) };
  return prev === undefined ? event : { ...event, prev: keyValue(prev) };
}
