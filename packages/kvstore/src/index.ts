export {
  type Compare,
  type KeyValue,
  type KvstoreClient,
  type LeaseId,
  type LeaseInfo,
  NO_LEASE,
  type Operation,
  type OperationResult,
  type PutOptions,
  type RangeResponse,
  type ReadOptions,
  type SortTarget,
  type Span,
  type TxnRequest,
  type TxnResponse,
  type Value,
  valueText,
  type Watch,
  type WatchEvent,
  type WatchRequest,
} from './client.ts';
export type { Disk, DiskFile } from './disk/disk.ts';
export { NodeDisk } from './disk/node_disk.ts';
export { type DurableStoreOptions, EmbeddedStore, type EmbeddedStoreOptions } from './embedded.ts';
export { KvstoreError, type KvstoreErrorCode } from './errors.ts';
export { type Lock, Locks } from './lock.ts';
