/**
 * The client interface: etcd v3's data model with the calls that Cilium's pkg/kvstore makes of it.
 * The embedded store and an etcd cluster are behind it alike.
 */

/** Identifies a lease; 64 bits in etcd, hence a bigint. */
export type LeaseId = bigint;
export const NO_LEASE: LeaseId = 0n;

/** A pair as stored. `value` belongs to the store: read it, do not write to it. */
export interface KeyValue {
  readonly key: string;
  readonly value: Uint8Array;
  /** The store's revision when the key was created; deleting and putting it again creates it anew. */
  readonly createRevision: number;
  /** The store's revision at the last put. */
  readonly modRevision: number;
  /** 1 when created, one more with each put. */
  readonly version: number;
  readonly leaseId: LeaseId;
}

/** Text is stored as UTF-8. */
export type Value = string | Uint8Array;

export interface PutOptions {
  /** The pair is deleted with this lease. Without it, a put takes the key off the lease it had. */
  leaseId?: LeaseId;
  /** Keep the value, or the lease, that the key has. @throws KEY_NOT_FOUND */
  ignoreValue?: boolean;
  ignoreLease?: boolean;
}

/** A lease, as asked about. */
export interface LeaseInfo {
  leaseId: LeaseId;
  /** Whole seconds left. */
  ttlSeconds: number;
  grantedTtlSeconds: number;
  keys: string[];
}

/** Which keys: one, all with a prefix (the empty one: all), or from one (inclusive) to another (exclusive, or the end). */
export type Span = { key: string } | { prefix: string } | { from: string; to?: string };

export interface ReadOptions {
  /** Read the past. @throws COMPACTED, FUTURE_REVISION */
  revision?: number;
  /** At most so many entries. */
  limit?: number;
  /** What to order by; ties in any order. Default: the key. */
  sortBy?: SortTarget;
  order?: 'ascending' | 'descending';
  /** Leave the values out. */
  keysOnly?: boolean;
  /** Leave the entries out. */
  countOnly?: boolean;
  /** Bounds, inclusive, on what is found: */
  minModRevision?: number;
  maxModRevision?: number;
  minCreateRevision?: number;
  maxCreateRevision?: number;
}

export type SortTarget = 'key' | 'version' | 'createRevision' | 'modRevision' | 'value';

/** A condition on every key of a span. A key that does not exist has 0 for all but its value, which matches nothing. */
export type Compare = Span & { operator: '=' | '!=' | '<' | '>' } & (
    | { target: 'createRevision' | 'modRevision' | 'version'; number: number }
    | { target: 'value'; value: Value }
    | { target: 'lease'; leaseId: LeaseId }
  );

export type Operation =
  | ({ type: 'put'; key: string; value: Value } & PutOptions)
  | ({ type: 'delete' } & Span)
  | ({ type: 'get' } & Span & ReadOptions)
  | { type: 'txn'; request: TxnRequest };

/** With the names of etcd's own message. */
export interface TxnRequest {
  /** All must hold for `success` to run; otherwise `failure` runs. */
  compare: readonly Compare[];
  success: readonly Operation[];
  failure?: readonly Operation[];
}

/** What one operation of a transaction found or did. */
export interface OperationResult {
  /** Of a get. */
  entries: KeyValue[];
  /** Of a get: as in RangeResponse. */
  count: number;
  /** Of a delete. */
  deleted: number;
  /** Of a nested transaction. */
  txn?: TxnResponse;
}

export interface TxnResponse {
  succeeded: boolean;
  /** The store's revision after the transaction; all its writes share it. */
  revision: number;
  results: OperationResult[];
}

export interface RangeResponse {
  /** In the order of the keys' bytes, if no other was asked for. */
  entries: KeyValue[];
  /** Keys in the span, whatever the limit and the bounds. */
  count: number;
  /** Whether the limit cut something off. */
  more: boolean;
  /** The store's revision at the read: a watch from `revision + 1` misses nothing and repeats nothing. */
  revision: number;
}

/** `entry` of a delete has the key and, as `modRevision`, the revision that deleted it; the rest is empty. */
export interface WatchEvent {
  readonly type: 'put' | 'delete';
  readonly entry: KeyValue;
  /** What the key was before; only if it was asked for, was there and is still held. */
  readonly prev?: KeyValue;
}

export type WatchRequest = Span & {
  /** The first revision to tell of; without it, the next one. May lie in the past, as long as it is held. */
  fromRevision?: number;
  prevKv?: boolean;
  /** Event types that are not wanted. */
  without?: readonly ('put' | 'delete')[];
};

/**
 * Batches of events in revision order; the events of one revision come in one batch. Iterate it once. The iteration
 * ends with `close` of the watch or of its client, and throws COMPACTED when the reader falls behind what is held.
 */
export interface Watch extends AsyncIterable<WatchEvent[]> {
  close(): void;
}

export interface KvstoreClient {
  get(key: string, options?: ReadOptions): Promise<KeyValue | undefined>;
  getPrefix(prefix: string, options?: ReadOptions): Promise<RangeResponse>;
  range(request: Span & ReadOptions): Promise<RangeResponse>;
  /** @returns the revision of the write. @throws LEASE_NOT_FOUND */
  put(key: string, value: Value, options?: PutOptions): Promise<number>;
  /** Put if the key does not exist. @returns false if it does; nothing is written then */
  createOnly(key: string, value: Value, options?: PutOptions): Promise<boolean>;
  /** @returns whether there was something to delete */
  delete(key: string): Promise<boolean>;
  /** @returns how many keys were deleted, all in one revision */
  deletePrefix(prefix: string): Promise<number>;
  /** @throws DUPLICATE_KEY, LEASE_NOT_FOUND; nothing is written then */
  txn(request: TxnRequest): Promise<TxnResponse>;
  leaseGrant(ttlSeconds: number): Promise<LeaseId>;
  /** Start the lease's time anew. @returns its time to live in seconds. @throws LEASE_NOT_FOUND */
  leaseKeepAlive(leaseId: LeaseId): Promise<number>;
  /** End the lease and delete its keys, in one revision. @throws LEASE_NOT_FOUND */
  leaseRevoke(leaseId: LeaseId): Promise<void>;
  /** @returns undefined: there is no such lease */
  leaseInfo(leaseId: LeaseId): Promise<LeaseInfo | undefined>;
  leases(): Promise<LeaseId[]>;
  /** @throws COMPACTED (from the iteration) if `fromRevision` is no longer held */
  watch(request: WatchRequest): Watch;
  /** Forget history before a revision. @throws COMPACTED (it is forgotten already), FUTURE_REVISION */
  compact(revision: number): Promise<void>;
  /** Ends this client's watches; calls made later are refused as CLOSED. Leases and keys stay. */
  close(): Promise<void>;
}

/** The value as text. */
export const valueText = (entry: KeyValue): string => new TextDecoder().decode(entry.value);
