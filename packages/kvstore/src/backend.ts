import type { LeaseId } from './client.ts';
import type { Bytes, KeyRange } from './keys.ts';
import type { Version } from './mvcc/version.ts';

/**
 * What a store must do for a client: etcd's requests and answers, with keys and values as bytes. The embedded store and
 * a connection to etcd are the two that do. Names follow etcd, api/etcdserverpb/rpc.proto.
 */
export interface Backend {
  range(request: RangeArgs): Promise<RangeResult>;
  put(request: PutArgs): Promise<PutResult>;
  deleteRange(request: DeleteArgs): Promise<DeleteResult>;
  txn(request: TxnArgs): Promise<TxnResult>;
  /** Forget what is older than the revision. @returns the store's revision */
  compact(revision: number): Promise<number>;
  /** `id` 0: the store chooses. @returns the lease as granted; a short time is raised to the store's least */
  leaseGrant(ttlSeconds: number, id: LeaseId): Promise<{ id: LeaseId; ttlSeconds: number }>;
  /** @returns the time to live in seconds */
  leaseKeepAlive(id: LeaseId): Promise<number>;
  leaseRevoke(id: LeaseId): Promise<void>;
  leaseTimeToLive(id: LeaseId, withKeys: boolean): Promise<LeaseStatus>;
  leases(): Promise<LeaseId[]>;
  watch(request: WatchArgs): BackendWatch;
  close(): Promise<void>;
}

export type SortTarget = 'key' | 'version' | 'createRevision' | 'modRevision' | 'value';

export interface RangeArgs extends KeyRange {
  /** 0: all. */
  limit?: number;
  /** 0: the newest. */
  revision?: number;
  sortBy?: SortTarget;
  /** Without it and without `sortBy`: by key. */
  order?: 'ascending' | 'descending';
  keysOnly?: boolean;
  countOnly?: boolean;
  /** Bounds, inclusive; 0: none. */
  minModRevision?: number;
  maxModRevision?: number;
  minCreateRevision?: number;
  maxCreateRevision?: number;
}

export interface RangeResult {
  entries: readonly Version[];
  /** Keys in the range, whatever limit and bounds say. */
  count: number;
  /** Whether the limit cut something off. */
  more: boolean;
  revision: number;
}

export interface PutArgs {
  key: Bytes;
  value: Bytes;
  leaseId: LeaseId;
  prevKv?: boolean;
  ignoreValue?: boolean;
  ignoreLease?: boolean;
}

export interface PutResult {
  prev: Version | undefined;
  revision: number;
}

export interface DeleteArgs extends KeyRange {
  prevKv?: boolean;
}

export interface DeleteResult {
  deleted: number;
  /** Filled if they were asked for. */
  prev: readonly Version[];
  revision: number;
}

/** A condition on each key of the range. */
export interface CompareArgs extends KeyRange {
  operator: '=' | '!=' | '<' | '>';
  target: CompareTarget;
}

export type CompareTarget =
  | { type: 'createRevision' | 'modRevision' | 'version'; number: number }
  | { type: 'value'; value: Bytes }
  | { type: 'lease'; leaseId: LeaseId };

export type OperationArgs =
  | ({ type: 'range' } & RangeArgs)
  | ({ type: 'put' } & PutArgs)
  | ({ type: 'delete' } & DeleteArgs)
  | ({ type: 'txn' } & TxnArgs);

export interface TxnArgs {
  compare: readonly CompareArgs[];
  success: readonly OperationArgs[];
  failure: readonly OperationArgs[];
}

export type OperationAnswer =
  | ({ type: 'range' } & RangeResult)
  | ({ type: 'put' } & PutResult)
  | ({ type: 'delete' } & DeleteResult)
  | ({ type: 'txn' } & TxnResult);

export interface TxnResult {
  succeeded: boolean;
  revision: number;
  answers: OperationAnswer[];
}

export interface LeaseStatus {
  id: LeaseId;
  /** -1: there is no such lease (any more). */
  ttlSeconds: number;
  grantedTtlSeconds: number;
  keys: Bytes[];
}

export interface WatchArgs extends KeyRange {
  /** 0: from the next revision on. */
  fromRevision: number;
  prevKv?: boolean;
  /** Event types that are not wanted. */
  without?: readonly ('put' | 'delete')[];
  /** Tell of the revision now and then while nothing happens. */
  progressNotify?: boolean;
}

/** Whole revisions up to and including `revision`; without events: nothing happened up to there. */
export interface WatchBatch {
  events: readonly WatchedEvent[];
  revision: number;
}

export interface WatchedEvent {
  version: Version;
  /** Only if it was asked for, and is still held. */
  prev: Version | undefined;
}

export interface BackendWatch {
  /** Waits for the next batch. @returns undefined once the watch is closed. @throws COMPACTED and what a store throws */
  next(): Promise<WatchBatch | undefined>;
  close(): void;
}
