import {
  type Compare,
  type KeyValue,
  type KvstoreClient,
  type LeaseId,
  NO_LEASE,
  type Operation,
  type RangeResponse,
  type TxnRequest,
  type TxnResponse,
} from './client.ts';
import { KvstoreError } from './errors.ts';

/** Cilium's time to live of a lock whose holder is silent. Source: pkg/kvstore/etcd.go. */
export const LOCK_LEASE_TTL_SECONDS = 25;

/** A fifth of the lease's time. */
const RENEW_AFTER_MS = (LOCK_LEASE_TTL_SECONDS * 1000) / 5;

/** A place in the queue for a lock. */
interface Entered {
  key: string;
  createRevision: number;
  /** All that wait, this one among them, at this revision of the store. */
  waiters: KeyValue[];
  revision: number;
}

/** A held lock. */
export interface Lock {
  /** Run a transaction if the lock is still held. @throws KvstoreError LOCK_LOST; nothing is written then */
  txn(request: TxnRequest): Promise<TxnResponse>;
  unlock(): Promise<void>;
}

/**
 * Locks that any number of clients of one store agree on. The key of a waiter is `<path>/<lease in hex>`; of all keys
 * under the path the one created first holds the lock, and each waits for the one created before it. Inside one
 * `Locks` the callers for a path queue up before they go to the store.
 * Source: etcd's client/v3/concurrency/mutex.go, Cilium's pkg/kvstore/lock.go.
 */
export class Locks {
  readonly #client: KvstoreClient;
  readonly #queues = new Map<string, Promise<void>>();
  readonly #nowMs: () => number;
  #leaseId: LeaseId = NO_LEASE;
  /** When the lease had all of its time. */
  #renewedMs = 0;

  /** @param nowMs of a clock that never goes back; by default that of the process */
  constructor(client: KvstoreClient, nowMs: () => number = () => performance.now()) {
    this.#client = client;
    this.#nowMs = nowMs;
  }

  /** Resolves when the lock is held. @throws KvstoreError LOCK_LOST if its lease ran out while waiting */
  async lock(path: string): Promise<Lock> {
    const before = this.#queues.get(path) ?? Promise.resolve();
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    this.#queues.set(path, released);
    const leave = () => {
      if (this.#queues.get(path) === released) this.#queues.delete(path);
      release();
    };
    await before;
    try {
      const { key, createRevision, waiters, revision } = await this.#enter(path);
      await this.#awaitTurn(path, key, createRevision, { entries: waiters, revision });
      return new HeldLock(this.#client, key, createRevision, leave);
    } catch (error) {
      leave();
      throw error;
    }
  }

  /** One lease serves all locks; its time starts anew so often that who gets a lock has most of it. */
  async #enter(path: string): Promise<Entered> {
    const now = this.#nowMs();
    const isFresh = now - this.#renewedMs < RENEW_AFTER_MS;
    if (this.#leaseId !== NO_LEASE) {
      try {
        const renewed = isFresh ? undefined : this.#client.leaseKeepAlive(this.#leaseId);
        const [entered] = await Promise.all([this.#queueUp(path, this.#leaseId), renewed]);
        if (!isFresh) this.#renewedMs = now;
        return entered;
      } catch (error) {
        if (!(error instanceof KvstoreError && error.code === 'LEASE_NOT_FOUND')) throw error;
      }
    }
    this.#leaseId = await this.#client.leaseGrant(LOCK_LEASE_TTL_SECONDS);
    this.#renewedMs = now;
    return this.#queueUp(path, this.#leaseId);
  }

  async #queueUp(path: string, leaseId: LeaseId): Promise<Entered> {
    const key = `${path}/${leaseId.toString(16)}`;
    const list: Operation = { type: 'get', prefix: `${path}/` };
    const { results, revision } = await this.#client.txn({
      compare: [{ key, target: 'createRevision', operator: '=', number: 0 }],
      success: [{ type: 'put', key, value: '', leaseId }, list],
      failure: [list],
    });
    const waiters = results.at(-1)!.entries;
    const createRevision = waiters.find((entry) => entry.key === key)!.createRevision;
    return { key, createRevision, waiters, revision };
  }

  async #awaitTurn(
    path: string,
    key: string,
    createRevision: number,
    listed: Pick<RangeResponse, 'entries' | 'revision'>,
  ): Promise<void> {
    for (let now = listed; ; now = await this.#client.getPrefix(`${path}/`)) {
      const { entries, revision } = now;
      // A longer path that starts with this one holds other locks: only keys one step below it are waiters here.
      const waiters = entries.filter((entry) => entry.key.lastIndexOf('/') === path.length);
      if (!waiters.some((entry) => entry.key === key && entry.createRevision === createRevision)) throw lost(key);
      const ahead = waiters.filter((entry) => entry.createRevision < createRevision);
      if (ahead.length === 0) return;
      const last = ahead.reduce((a, b) => (a.createRevision > b.createRevision ? a : b));
      const watch = this.#client.watch({ key: last.key, fromRevision: revision + 1 });
      for await (const events of watch) if (events.some((event) => event.type === 'delete')) break;
      watch.close();
    }
  }
}

class HeldLock implements Lock {
  readonly #client: KvstoreClient;
  readonly #key: string;
  readonly #createRevision: number;
  readonly #leave: () => void;

  constructor(client: KvstoreClient, key: string, createRevision: number, leave: () => void) {
    this.#client = client;
    this.#key = key;
    this.#createRevision = createRevision;
    this.#leave = leave;
  }

  async txn(request: TxnRequest): Promise<TxnResponse> {
    const response = await this.#client.txn({
      compare: [this.#held(), ...request.compare],
      success: request.success,
      failure: [{ type: 'get', key: this.#key }, ...(request.failure ?? [])],
    });
    if (response.succeeded) return response;
    const [mine, ...results] = response.results;
    if (mine!.entries[0]?.createRevision !== this.#createRevision) throw lost(this.#key);
    return { ...response, results };
  }

  async unlock(): Promise<void> {
    try {
      await this.#client.txn({ compare: [this.#held()], success: [{ type: 'delete', key: this.#key }] });
    } finally {
      this.#leave();
    }
  }

  #held(): Compare {
    return { key: this.#key, target: 'createRevision', operator: '=', number: this.#createRevision };
  }
}

const lost = (key: string): KvstoreError => new KvstoreError('LOCK_LOST', 'the lock is no longer held', { key });
