export {
  type Compare,
  type KeyValue,
  type KvstoreClient,
  type LeaseId,
  NO_LEASE,
  type Operation,
  type OperationResult,
  type PutOptions,
  type RangeResponse,
  type ReadOptions,
  type TxnRequest,
  type TxnResponse,
  type Value,
  valueText,
  type Watch,
  type WatchEvent,
  type WatchRequest,
} from './client.ts';
export { EmbeddedStore, type EmbeddedStoreOptions } from './embedded.ts';
export { KvstoreError, type KvstoreErrorCode } from './errors.ts';
export { type Lock, Locks } from './lock.ts';
