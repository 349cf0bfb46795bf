import { crc32 } from 'node:zlib';
import type {
  Backend,
  DeleteArgs,
  DeleteResult,
  LeaseStatus,
  PutArgs,
  PutResult,
  RangeArgs,
  RangeResult,
  TxnArgs,
  TxnResult,
  WatchArgs,
} from './backend.ts';
import { type KvstoreClient, type LeaseId, NO_LEASE } from './client.ts';
import { CommandLog } from './disk/command_log.ts';
import type { Disk } from './disk/disk.ts';
import type { StoreRecord } from './disk/records.ts';
import { recover } from './disk/recover.ts';
import { writeSnapshot } from './disk/snapshot.ts';
import { etcdError, KvstoreError } from './errors.ts';
import { readRange } from './mvcc/read_range.ts';
import { StoreState } from './mvcc/state.ts';
import { Txn } from './mvcc/txn.ts';
import { checkOperation, checkTxn } from './mvcc/txn_rules.ts';
import { isDeletion, type Version } from './mvcc/version.ts';
import { type Watcher, Watchers } from './mvcc/watchers.ts';
import { StoreClient } from './store_client.ts';

export interface EmbeddedStoreOptions {
  /** Nanoseconds of a clock that never goes back; leases live by it. */
  nowNs: () => bigint;
  /** Compact by itself so that about this many events stay; Infinity: only when asked. */
  heldEvents?: number;
  /** Where the ids of leases start that the store chooses. */
  firstLeaseId?: LeaseId;
}

export interface DurableStoreOptions extends EmbeddedStoreOptions {
  disk: Disk;
  /** A random u32 for each new file. */
  salt: () => number;
  /** Write a snapshot when the log since the last one has grown to this. */
  snapshotBytes?: number;
  /** What went wrong that refuses no call: a snapshot that could not be written. */
  warn?: (message: string) => void;
}

const DEFAULT_HELD_EVENTS = 65_536;
const DEFAULT_SNAPSHOT_BYTES = 64 << 20;

/**
 * An etcd-like store: in memory, or durable in a directory.
 *
 * Every call is atomic: it runs in one go before its promise resolves. A write raises the store's revision by one,
 * whatever it touches; a write that changes nothing (a delete of nothing) does not. A new store is at revision 1, as
 * etcd is. An expired lease is seen by the next call of any client, or by `expireLeases`.
 *
 * A durable store answers a write when it is on the disk. Until then reads and watches do not see it: they look at the
 * newest revision that is durable, so they never wait, and never tell what a crash could undo.
 */
export class EmbeddedStore implements Backend {
  readonly #state: StoreState;
  readonly #watchers: Watchers;
  readonly #heldEvents: number;
  #durable: DurableStoreOptions | undefined;
  #log: CommandLog | undefined;
  #snapshot: Promise<void> | undefined;
  #isClosed = false;

  /** A store in memory. @param state what it holds from the start */
  constructor(options: EmbeddedStoreOptions, state = new StoreState(options.nowNs, options.firstLeaseId ?? 1n)) {
    this.#state = state;
    this.#heldEvents = options.heldEvents ?? DEFAULT_HELD_EVENTS;
    this.#watchers = new Watchers(this.#state.history);
  }

  /**
   * A durable store, with what its directory holds. Close it, so that another can have the directory.
   * @throws KvstoreError LOCKED, CORRUPT
   */
  static async open(options: DurableStoreOptions): Promise<EmbeddedStore> {
    const { disk, salt } = options;
    disk.lock();
    try {
      const state = new StoreState(options.nowNs, options.firstLeaseId ?? 1n);
      let store: EmbeddedStore | undefined;
      const logOptions = {
        disk,
        salt,
        nowNs: options.nowNs,
        onDurable: (revision: number) => store!.#publish(revision),
        onFailure: (error: KvstoreError) => store!.#watchers.fail(error),
      };
      const place = await recover(logOptions, state);
      store = new EmbeddedStore(options, state);
      store.#durable = options;
      store.#log = new CommandLog(logOptions, place, state.history.revision);
      return store;
    } catch (error) {
      disk.close();
      throw error;
    }
  }

  /** A client of this store; any number of them share it. */
  client(): KvstoreClient {
    return new StoreClient(this);
  }

  /** The newest revision that may be told of. */
  get revision(): number {
    return this.#watchers.revision;
  }

  get compactRevision(): number {
    return this.#state.history.compactRevision;
  }

  /** Why no more writes are taken, if so. */
  get failure(): KvstoreError | undefined {
    return this.#log?.failure;
  }

  /** Bytes of the keys and values of all versions held. */
  get size(): number {
    return this.#state.history.bytes;
  }

  /** CRC-32 over the keys and values at a revision, 0 = the newest: equal stores have equal ones. @throws COMPACTED, FUTURE_REVISION */
  hash(revision: number): number {
    const { history } = this.#state;
    if (revision !== 0) history.checkRevision(revision, this.revision);
    let sum = 0;
    for (const { key, value, modRevision } of history.read({ key: '', end: '\0' }, revision || this.revision))
      sum = crc32(`${modRevision} ${key.length} ${key} ${value}`, sum);
    return sum;
  }

  async range(request: RangeArgs): Promise<RangeResult> {
    this.expireLeases();
    checkOperation({ type: 'range', ...request });
    return readRange(this.#state.history, request, this.revision);
  }

  async put(request: PutArgs): Promise<PutResult> {
    const operation = { type: 'put' as const, ...request };
    const { answers } = await this.txn({ compare: [], success: [operation], failure: [] });
    return answers[0] as PutResult;
  }

  async deleteRange(request: DeleteArgs): Promise<DeleteResult> {
    const operation = { type: 'delete' as const, ...request };
    const { answers } = await this.txn({ compare: [], success: [operation], failure: [] });
    return answers[0] as DeleteResult;
  }

  async txn(request: TxnArgs): Promise<TxnResult> {
    this.#checkOpen();
    checkTxn(request);
    this.expireLeases();
    const result = new Txn(this.#state.history, this.#state.leases).run(request);
    this.#commit([]);
    await this.#log?.settled();
    return result;
  }

  async compact(revision: number): Promise<number> {
    this.#checkOpen();
    const { history } = this.#state;
    const check = (): void => {
      if (revision > this.revision) throw etcdError('FUTURE_REVISION', { revision, newest: this.revision });
      if (revision <= history.compactRevision) throw history.compacted(revision);
    };
    check();
    while (this.#snapshot !== undefined) await this.#snapshot; // it reads the history
    check();
    this.#compact(revision);
    await this.#log?.settled();
    return this.revision;
  }

  async leaseGrant(ttlSeconds: number, id: LeaseId = NO_LEASE): Promise<{ id: LeaseId; ttlSeconds: number }> {
    this.#checkOpen();
    this.expireLeases();
    const { leases } = this.#state;
    leases.checkGrant(ttlSeconds, id);
    const lease = leases.grant(id === NO_LEASE ? leases.freeId() : id, ttlSeconds);
    this.#append([{ type: 'grant', leaseId: lease.id, ttlSeconds: lease.ttlSeconds }], []);
    await this.#log?.settled();
    return { id: lease.id, ttlSeconds: lease.ttlSeconds };
  }

  async leaseKeepAlive(id: LeaseId): Promise<number> {
    this.expireLeases();
    return this.#state.leases.keepAlive(id);
  }

  async leaseRevoke(id: LeaseId): Promise<void> {
    this.#checkOpen();
    this.expireLeases();
    this.#end(id);
    await this.#log?.settled();
  }

  async leaseTimeToLive(id: LeaseId, withKeys: boolean): Promise<LeaseStatus> {
    this.expireLeases();
    const lease = this.#state.leases.find(id);
    if (lease === undefined) return { id, ttlSeconds: -1, grantedTtlSeconds: 0, keys: [] };
    const keys = withKeys ? [...lease.keys].sort() : [];
    return { id, ttlSeconds: this.#state.leases.remaining(lease), grantedTtlSeconds: lease.ttlSeconds, keys };
  }

  async leases(): Promise<LeaseId[]> {
    this.expireLeases();
    return [...this.#state.leases.all()].map((lease) => lease.id);
  }

  watch(request: WatchArgs): Watcher {
    return this.#watchers.add(request);
  }

  /** End the leases whose time is up, in the order of their deadlines, each in a revision of its own. */
  expireLeases(): void {
    if (this.failure !== undefined) return;
    for (;;) {
      const lease = this.#state.leases.expired();
      if (lease === undefined) return;
      this.#end(lease.id);
    }
  }

  /** Ends the watches; a durable store's directory is free then. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#snapshot;
    await this.#log?.close();
    this.#watchers.fail(new KvstoreError('CLOSED', 'the store is closed'));
    this.#durable?.disk.close();
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new KvstoreError('CLOSED', 'the store is closed');
    if (this.failure !== undefined) throw this.failure;
  }

  #end(id: LeaseId): void {
    const { leases, history } = this.#state;
    const { keys } = leases.get(id);
    leases.remove(id);
    for (const key of [...keys].sort()) history.delete(key);
    this.#commit([{ type: 'revoke', leaseId: id }]);
  }

  /** What was written since the last commit becomes a revision. */
  #commit(records: readonly StoreRecord[]): void {
    const { history } = this.#state;
    const events = history.commit();
    if (events.length > 0 || records.length > 0) this.#append(records, events);
    if (events.length > 0) this.#holdLess();
  }

  #append(records: readonly StoreRecord[], events: readonly Version[]): void {
    const { revision } = this.#state.history;
    if (this.#log === undefined) {
      if (events.length > 0) this.#watchers.publish(events, revision);
      return;
    }
    this.#log.append((writer) => {
      for (const record of records) writer.write(record);
      for (const version of events) {
        const { key, value, leaseId } = version;
        writer.write(isDeletion(version) ? { type: 'delete', key } : { type: 'put', key, value, leaseId });
      }
      if (events.length > 0) writer.write({ type: 'commit', revision });
    }, revision);
  }

  #holdLess(): void {
    if (this.#snapshot !== undefined) return;
    const revision = Math.min(this.#state.history.compactionFor(this.#heldEvents), this.revision);
    if (revision > this.compactRevision) this.#compact(revision);
  }

  #compact(revision: number): void {
    this.#state.history.compact(revision);
    this.#append([{ type: 'compact', revision }], []);
  }

  #publish(revision: number): void {
    const { events } = this.#state.history.eventsFrom(this.revision + 1, revision, Number.POSITIVE_INFINITY);
    if (events.length > 0) this.#watchers.publish(events, revision);
    const { snapshotBytes = DEFAULT_SNAPSHOT_BYTES } = this.#durable!;
    if (this.#log!.bytesSinceRotation < snapshotBytes || this.#snapshot !== undefined || this.#isClosed) return;
    this.#snapshot = this.#writeSnapshot().finally(() => {
      this.#snapshot = undefined;
    });
  }

  async #writeSnapshot(): Promise<void> {
    const { disk, salt, warn } = this.#durable!;
    try {
      const place = await this.#log!.rotate();
      await writeSnapshot(disk, this.#state, place, salt());
    } catch (error) {
      warn?.(`the snapshot could not be written, the log goes on: ${error instanceof Error ? error.message : error}`);
    }
  }
}
