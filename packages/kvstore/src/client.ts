/**
 * The client interface: etcd v3's data model with the calls that Cilium's pkg/kvstore makes of it.
 * The embedded store is the one backend so far; a real etcd cluster fits behind the same interface.
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
}

export interface ReadOptions {
  /** Read at a past revision: refused by name until the store keeps history. */
  revision?: number;
}

/**
 * A condition on one key. A key that does not exist has revisions and version 0; comparing its value never holds.
 */
export type Compare =
  | {
      key: string;
      target: 'createRevision' | 'modRevision' | 'version';
      operator: '=' | '!=' | '<' | '>';
      number: number;
    }
  | { key: string; target: 'value'; operator: '=' | '!=' | '<' | '>'; value: Value };

export type Operation =
  | { type: 'put'; key: string; value: Value; leaseId?: LeaseId }
  | { type: 'delete'; key: string }
  | { type: 'deletePrefix'; prefix: string }
  | { type: 'get'; key: string }
  | { type: 'getPrefix'; prefix: string };

/** With the names of etcd's own message. */
export interface TxnRequest {
  /** All must hold for `success` to run; otherwise `failure` runs. */
  compare: readonly Compare[];
  success: readonly Operation[];
  failure?: readonly Operation[];
}

/** What one operation of a transaction found: `entries` of a get, in key order; `deleted` of a delete. */
export interface OperationResult {
  entries: KeyValue[];
  deleted: number;
}

export interface TxnResponse {
  succeeded: boolean;
  /** The store's revision after the transaction; all its writes share it. */
  revision: number;
  results: OperationResult[];
}

export interface RangeResponse {
  /** In the order of the keys' bytes. */
  entries: KeyValue[];
  /** The store's revision at the read: a watch from `revision + 1` misses nothing and repeats nothing. */
  revision: number;
}

/** `entry` of a delete has the key and, as `modRevision`, the revision that deleted it; the rest is empty. */
export interface WatchEvent {
  readonly type: 'put' | 'delete';
  readonly entry: KeyValue;
}

export type WatchRequest = ({ key: string } | { prefix: string }) & {
  /** The first revision to tell of; without it, the next one. May lie in the past, as long as it is held. */
  fromRevision?: number;
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
  /** @throws COMPACTED (from the iteration) if `fromRevision` is no longer held */
  watch(request: WatchRequest): Watch;
  /** Forget history before a revision: refused by name until the store keeps history. */
  compact(revision: number): Promise<void>;
  /** Ends this client's watches; calls made later are refused as CLOSED. Leases and keys stay. */
  close(): Promise<void>;
}

/** The value as text. */
export const valueText = (entry: KeyValue): string => new TextDecoder().decode(entry.value);
