import { type LeaseId, NO_LEASE } from '../client.ts';
import { etcdError } from '../errors.ts';
import type { Bytes } from '../keys.ts';

/** etcd's own bound. Source: etcd, server/lease/lessor.go, MaxLeaseTTL. */
const MAX_TTL_SECONDS = 9_000_000_000;
/** What etcd raises shorter ones to with its default election timeout: 3/2 of 1 s, in whole seconds. */
export const MIN_TTL_SECONDS = 2;
const MAX_ID = (1n << 63n) - 1n;
const NS_PER_SECOND = 1_000_000_000n;

export interface Lease {
  readonly id: LeaseId;
  readonly ttlSeconds: number;
  deadlineNs: bigint;
  readonly keys: Set<Bytes>;
}

/** The leases that stand, and which is due first. A lease's time is never stored: it starts anew with the store. */
export class Leases {
  readonly #nowNs: () => bigint;
  readonly #leases = new Map<LeaseId, Lease>();
  /** A heap by (deadline, id). A lease kept alive moves down only when its old deadline comes up. */
  readonly #due: { at: bigint; id: LeaseId }[] = [];
  #nextId: LeaseId;

  /** @param firstId the ids that the store chooses count up from it */
  constructor(nowNs: () => bigint, firstId: LeaseId) {
    this.#nowNs = nowNs;
    this.#nextId = firstId;
  }

  get nextId(): LeaseId {
    return this.#nextId;
  }

  /** @throws LEASE_TTL_TOO_LARGE, LEASE_EXISTS */
  checkGrant(ttlSeconds: number, id: LeaseId): void {
    if (ttlSeconds > MAX_TTL_SECONDS) throw etcdError('LEASE_TTL_TOO_LARGE', { ttl: ttlSeconds });
    if (this.#leases.has(id)) throw etcdError('LEASE_EXISTS', { lease: `${id}` });
  }

  freeId(): LeaseId {
    while (this.#leases.has(this.#nextId)) this.#advance();
    return this.#nextId;
  }

  grant(id: LeaseId, ttlSeconds: number): Lease {
    const whole = Math.max(MIN_TTL_SECONDS, Math.ceil(ttlSeconds));
    const lease: Lease = { id, ttlSeconds: whole, deadlineNs: this.#deadline(whole), keys: new Set() };
    this.#leases.set(id, lease);
    this.#push({ at: lease.deadlineNs, id });
    if (id === this.#nextId) this.#advance();
    return lease;
  }

  /** Where counting goes on after a restart. */
  restoreNextId(id: LeaseId): void {
    this.#nextId = id;
  }

  find(id: LeaseId): Lease | undefined {
    return this.#leases.get(id);
  }

  /** @throws LEASE_NOT_FOUND */
  get(id: LeaseId): Lease {
    const lease = this.#leases.get(id);
    if (lease === undefined) throw etcdError('LEASE_NOT_FOUND', { lease: `${id}` });
    return lease;
  }

  keepAlive(id: LeaseId): number {
    const lease = this.get(id);
    lease.deadlineNs = this.#deadline(lease.ttlSeconds);
    return lease.ttlSeconds;
  }

  /** Whole seconds left, rounded down, never below 0. */
  remaining(lease: Lease): number {
    const left = (lease.deadlineNs - this.#nowNs()) / NS_PER_SECOND;
    return left > 0n ? Number(left) : 0;
  }

  remove(id: LeaseId): void {
    this.#leases.delete(id);
  }

  all(): IterableIterator<Lease> {
    return this.#leases.values();
  }

  move(key: Bytes, from: LeaseId, to: LeaseId): void {
    if (from === to) return;
    if (from !== NO_LEASE) this.#leases.get(from)?.keys.delete(key);
    if (to !== NO_LEASE) this.#leases.get(to)?.keys.add(key);
  }

  /** All times start anew, as after a restart. */
  renewAll(): void {
    this.#due.length = 0;
    for (const lease of this.#leases.values()) {
      lease.deadlineNs = this.#deadline(lease.ttlSeconds);
      this.#push({ at: lease.deadlineNs, id: lease.id });
    }
  }

  /** The lease whose time is up and was up first. */
  expired(): Lease | undefined {
    for (;;) {
      const first = this.#due[0];
      if (first === undefined || first.at > this.#nowNs()) return undefined;
      const lease = this.#leases.get(first.id);
      if (lease?.deadlineNs === first.at) return lease;
      this.#pop();
      if (lease !== undefined && lease.deadlineNs > first.at) this.#push({ at: lease.deadlineNs, id: lease.id });
    }
  }

  #advance(): void {
    this.#nextId = this.#nextId === MAX_ID ? 1n : this.#nextId + 1n;
  }

  #deadline(ttlSeconds: number): bigint {
    return this.#nowNs() + BigInt(ttlSeconds) * NS_PER_SECOND;
  }

  #push(entry: { at: bigint; id: LeaseId }): void {
    const heap = this.#due;
    let i = heap.length;
    heap.push(entry);
    while (i > 0) {
      const parent = (i - 1) >>> 1;
      if (!before(entry, heap[parent]!)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = entry;
  }

  #pop(): void {
    const heap = this.#due;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
  }
}

const before = (a: { at: bigint; id: LeaseId }, b: { at: bigint; id: LeaseId }): boolean =>
  a.at < b.at || (a.at === b.at && a.id < b.id);
