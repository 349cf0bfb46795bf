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
export type { EtcdOptions, EtcdTls } from './etcd/connection.ts';
export { etcdClient } from './etcd/etcd_backend.ts';
export { etcdOptions } from './etcd/options.ts';
export { KvstoreServer, type KvstoreServerOptions, type ServerTls } from './grpc/server.ts';
export { LEASE_TTL_SECONDS, LeasedKeys } from './leased_keys.ts';
export { type Lock, Locks } from './lock.ts';
export { KeyedMutex } from './mutex.ts';
export { WatchStore, type WatchStoreObserver } from './watch_store.ts';
