import {
  type Compare,
  type KeyValue,
  type KvstoreClient,
  type LeaseId,
  NO_LEASE,
  type Operation,
  type OperationResult,
  type TxnRequest,
  type TxnResponse,
  type Value,
  type WatchEvent,
} from './client.ts';
import { EmbeddedClient } from './embedded_client.ts';
import { KvstoreError, unsupported } from './errors.ts';

export interface EmbeddedStoreOptions {
  /** Nanoseconds of a clock that never goes back; leases live by it. */
  nowNs: () => bigint;
  /** How many past events are held for watches that resume. */
  heldEvents?: number;
}

interface Lease {
  readonly id: LeaseId;
  readonly ttlSeconds: number;
  deadlineNs: bigint;
  readonly keys: Set<string>;
}

const DEFAULT_HELD_EVENTS = 65_536;
const NS_PER_SECOND = 1_000_000_000n;
const EMPTY = new Uint8Array(0);
const encoder = new TextEncoder();

/**
 * An etcd-like store in memory: the present state of every key and the events of the recent past.
 *
 * Every call is atomic: it runs in one go before its promise resolves. A write raises the store's revision by one,
 * whatever it touches; a write that changes nothing (a delete of nothing) does not. A new store is at revision 1, as
 * etcd is. An expired lease is seen by the next call of any client, or by `expireLeases`.
 */
export class EmbeddedStore {
  readonly #nowNs: () => bigint;
  readonly #heldEvents: number;
  readonly #entries = new Map<string, KeyValue>();
  /** The keys of #entries in byte order. */
  readonly #keys: string[] = [];
  readonly #leases = new Map<LeaseId, Lease>();
  #nextLeaseId: LeaseId = 1n;
  /** No lease ends before this: a bound that saves looking at all of them on every call. */
  #noneDueBeforeNs = 0n;
  #revision = 1;
  /** Events in revision order; those up to #forgotten are gone. */
  #events: WatchEvent[] = [];
  #forgotten = 1;
  #onWrite: (() => void)[] = [];

  constructor(options: EmbeddedStoreOptions) {
    this.#nowNs = options.nowNs;
    this.#heldEvents = options.heldEvents ?? DEFAULT_HELD_EVENTS;
  }

  /** A client of this store; any number of them share it. */
  client(): KvstoreClient {
    return new EmbeddedClient(this);
  }

  get revision(): number {
    return this.#revision;
  }

  getPrefix(prefix: string): KeyValue[] {
    this.expireLeases();
    return this.#range(prefix);
  }

  get(key: string): KeyValue | undefined {
    this.expireLeases();
    return this.#entries.get(key);
  }

  txn(request: TxnRequest): TxnResponse {
    this.expireLeases();
    const succeeded = request.compare.every((compare) => holds(compare, this.#entries.get(compare.key)));
    const operations = succeeded ? request.success : (request.failure ?? []);
    this.#check(request.success); // both lists, as etcd does: a request is right or wrong whatever is stored
    this.#check(request.failure ?? []);
    for (const operation of operations) {
      if (operation.type === 'put' && (operation.leaseId ?? NO_LEASE) !== NO_LEASE) this.#lease(operation.leaseId!);
    }
    const events: WatchEvent[] = [];
    const results = operations.map((operation) => this.#apply(operation, events));
    this.#commit(events);
    return { succeeded, revision: this.#revision, results };
  }

  leaseGrant(ttlSeconds: number): LeaseId {
    this.expireLeases();
    const id = this.#nextLeaseId++;
    const deadlineNs = this.#deadline(ttlSeconds);
    this.#leases.set(id, { id, ttlSeconds, deadlineNs, keys: new Set() });
    if (this.#noneDueBeforeNs > deadlineNs) this.#noneDueBeforeNs = deadlineNs;
    return id;
  }

  leaseKeepAlive(id: LeaseId): number {
    this.expireLeases();
    const lease = this.#lease(id);
    lease.deadlineNs = this.#deadline(lease.ttlSeconds);
    return lease.ttlSeconds;
  }

  leaseRevoke(id: LeaseId): void {
    this.expireLeases();
    this.#end(this.#lease(id));
  }

  /** End the leases whose time is up, in the order of their deadlines, each in a revision of its own. */
  expireLeases(): void {
    const now = this.#nowNs();
    if (this.#leases.size === 0 || now < this.#noneDueBeforeNs) return;
    const byDeadline = [...this.#leases.values()].sort(
      (a, b) => Number(a.deadlineNs - b.deadlineNs) || Number(a.id - b.id),
    );
    const due = byDeadline.filter((lease) => lease.deadlineNs <= now);
    this.#noneDueBeforeNs = byDeadline[due.length]?.deadlineNs ?? now;
    for (const lease of due) this.#end(lease);
  }

  /**
   * The events from `fromRevision` on that are held, whole revisions only; empty if there are none yet.
   * @throws KvstoreError COMPACTED
   */
  eventsFrom(fromRevision: number): readonly WatchEvent[] {
    // Revision 1 is the empty store and has no events: while nothing was forgotten, all is held.
    if (this.#forgotten > 1 && fromRevision <= this.#forgotten) {
      const context = { revision: fromRevision, oldestHeld: this.#forgotten + 1 };
      throw new KvstoreError('COMPACTED', 'required revision has been compacted', context);
    }
    let low = 0;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#events[middle]!.entry.modRevision < fromRevision) low = middle + 1;
      else high = middle;
    }
    return this.#events.slice(low);
  }

  /** Call `wake` once, at the next write. */
  onNextWrite(wake: () => void): void {
    this.#onWrite.push(wake);
  }

  #deadline(ttlSeconds: number): bigint {
    return this.#nowNs() + BigInt(Math.ceil(ttlSeconds)) * NS_PER_SECOND;
  }

  #lease(id: LeaseId): Lease {
    const lease = this.#leases.get(id);
    if (lease === undefined) throw new KvstoreError('LEASE_NOT_FOUND', 'requested lease not found', { lease: `${id}` });
    return lease;
  }

  #end(lease: Lease): void {
    this.#leases.delete(lease.id);
    const events: WatchEvent[] = [];
    for (const key of [...lease.keys].sort(compareKeys)) this.#delete(key, events);
    this.#commit(events);
  }

  /** @throws KvstoreError EMPTY_KEY, DUPLICATE_KEY, UNSUPPORTED */
  #check(operations: readonly Operation[]): void {
    const puts = new Set<string>();
    for (const operation of operations) {
      if (!OPERATIONS.has(operation.type)) throw unsupported(`operation "${operation.type}" in a transaction`);
      if ('key' in operation && operation.key === '') throw new KvstoreError('EMPTY_KEY', 'key is not provided');
      if (operation.type !== 'put') continue;
      if (puts.has(operation.key)) throw duplicate(operation.key);
      puts.add(operation.key);
    }
    for (const operation of operations) {
      if (operation.type === 'delete' && puts.has(operation.key)) throw duplicate(operation.key);
      if (operation.type !== 'deletePrefix') continue;
      for (const key of puts) if (key.startsWith(operation.prefix)) throw duplicate(key);
    }
  }

  #apply(operation: Operation, events: WatchEvent[]): OperationResult {
    switch (operation.type) {
      case 'put':
        this.#put(operation.key, operation.value, operation.leaseId ?? NO_LEASE, events);
        return { entries: [], deleted: 0 };
      case 'delete':
        return { entries: [], deleted: this.#delete(operation.key, events) };
      case 'deletePrefix': {
        const keys = this.#range(operation.prefix).map((entry) => entry.key);
        return { entries: [], deleted: keys.reduce((sum, key) => sum + this.#delete(key, events), 0) };
      }
      case 'get': {
        const entry = this.#entries.get(operation.key);
        return { entries: entry === undefined ? [] : [entry], deleted: 0 };
      }
      case 'getPrefix':
        return { entries: this.#range(operation.prefix), deleted: 0 };
    }
  }

  #put(key: string, value: Value, leaseId: LeaseId, events: WatchEvent[]): void {
    const before = this.#entries.get(key);
    const revision = this.#revision + 1;
    const entry: KeyValue = {
      key,
      value: bytes(value),
      createRevision: before?.createRevision ?? revision,
      modRevision: revision,
      version: (before?.version ?? 0) + 1,
      leaseId,
    };
    if (before === undefined) this.#keys.splice(this.#lowerBound(key), 0, key);
    else this.#leases.get(before.leaseId)?.keys.delete(key);
    this.#entries.set(key, entry);
    this.#leases.get(leaseId)?.keys.add(key);
    events.push({ type: 'put', entry });
  }

  #delete(key: string, events: WatchEvent[]): number {
    const before = this.#entries.get(key);
    if (before === undefined) return 0;
    this.#entries.delete(key);
    this.#keys.splice(this.#lowerBound(key), 1);
    this.#leases.get(before.leaseId)?.keys.delete(key);
    const modRevision = this.#revision + 1;
    const entry = { key, value: EMPTY, createRevision: 0, modRevision, version: 0, leaseId: NO_LEASE };
    events.push({ type: 'delete', entry });
    return 1;
  }

  #commit(events: readonly WatchEvent[]): void {
    if (events.length === 0) return;
    this.#revision++;
    this.#events.push(...events);
    // Forget in large steps, so that the cost of moving what stays is spread over many writes.
    if (this.#events.length > 2 * this.#heldEvents) {
      let first = this.#events.length - this.#heldEvents;
      this.#forgotten = this.#events[first - 1]!.entry.modRevision;
      while (first < this.#events.length && this.#events[first]!.entry.modRevision === this.#forgotten) first++;
      this.#events = this.#events.slice(first);
    }
    const waiting = this.#onWrite;
    this.#onWrite = [];
    for (const wake of waiting) wake();
  }

  #range(prefix: string): KeyValue[] {
    const found: KeyValue[] = [];
    for (let i = this.#lowerBound(prefix); i < this.#keys.length && this.#keys[i]!.startsWith(prefix); i++) {
      found.push(this.#entries.get(this.#keys[i]!)!);
    }
    return found;
  }

  /** Index of the first key that is not before `key`. */
  #lowerBound(key: string): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareKeys(this.#keys[middle]!, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

const OPERATIONS: ReadonlySet<string> = new Set(['put', 'delete', 'deletePrefix', 'get', 'getPrefix']);

const duplicate = (key: string): KvstoreError =>
  new KvstoreError('DUPLICATE_KEY', 'duplicate key given in txn request', { key });

/** A copy: what is stored does not change under the caller's hands. */
const bytes = (value: Value): Uint8Array =>
  typeof value === 'string' ? encoder.encode(value) : Uint8Array.from(value);

function holds(compare: Compare, entry: KeyValue | undefined): boolean {
  let order: number;
  if (compare.target === 'value') {
    if (entry === undefined) return false;
    order = Buffer.compare(entry.value, bytes(compare.value));
  } else {
    order = (entry?.[compare.target] ?? 0) - compare.number;
  }
  switch (compare.operator) {
    case '=':
      return order === 0;
    case '!=':
      return order !== 0;
    case '<':
      return order < 0;
    case '>':
      return order > 0;
  }
}

/** The order of the keys' UTF-8 bytes: UTF-16 units in order, but for surrogates, which stand for what comes last. */
function compareKeys(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length);
  for (let i = 0; i < shorter; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

const rank = (unit: number): number => (unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit);
