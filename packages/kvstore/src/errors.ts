/** gRPC's status codes that etcd answers with. Source: grpc, doc/statuscodes.md. */
export const STATUS = {
  invalidArgument: 3,
  notFound: 5,
  resourceExhausted: 8,
  failedPrecondition: 9,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
} as const;

/** Errors that etcd has too: its gRPC status and its own words. Source: etcd, api/v3rpc/rpctypes/error.go. */
export const ETCD_ERRORS = {
  AUTH_NOT_ENABLED: [STATUS.failedPrecondition, 'etcdserver: authentication is not enabled'],
  COMPACTED: [STATUS.outOfRange, 'etcdserver: mvcc: required revision has been compacted'],
  DUPLICATE_KEY: [STATUS.invalidArgument, 'etcdserver: duplicate key given in txn request'],
  EMPTY_KEY: [STATUS.invalidArgument, 'etcdserver: key is not provided'],
  FUTURE_REVISION: [STATUS.outOfRange, 'etcdserver: mvcc: required revision is a future revision'],
  INVALID_SORT: [STATUS.invalidArgument, 'etcdserver: invalid sort option'],
  KEY_NOT_FOUND: [STATUS.invalidArgument, 'etcdserver: key not found'],
  LEASE_EXISTS: [STATUS.failedPrecondition, 'etcdserver: lease already exists'],
  LEASE_NOT_FOUND: [STATUS.notFound, 'etcdserver: requested lease not found'],
  LEASE_PROVIDED: [STATUS.invalidArgument, 'etcdserver: lease is provided'],
  LEASE_TTL_TOO_LARGE: [STATUS.outOfRange, 'etcdserver: too large lease TTL'],
  NO_SPACE: [STATUS.resourceExhausted, 'etcdserver: mvcc: database space exceeded'],
  REQUEST_TOO_LARGE: [STATUS.invalidArgument, 'etcdserver: request is too large'],
  TOO_MANY_OPERATIONS: [STATUS.invalidArgument, 'etcdserver: too many operations in txn request'],
  VALUE_PROVIDED: [STATUS.invalidArgument, 'etcdserver: value is provided'],
} as const satisfies Record<string, readonly [status: number, text: string]>;

export type EtcdErrorCode = keyof typeof ETCD_ERRORS;

export type KvstoreErrorCode =
  | EtcdErrorCode
  | 'BAD_INPUT' // an option or a file of the user's
  | 'CLOSED' // the client or the store was closed
  | 'CORRUPT' // the data directory holds what was never written
  | 'DISK_FAILED' // a write or sync failed; what was acknowledged is safe, nothing more is taken
  | 'LOCKED' // another process has the data directory
  | 'LOCK_LOST' // the lock's lease ran out before its holder was done
  | 'MESSAGE_TOO_LARGE' // a gRPC message that is not even read
  | 'REFUSED' // etcd said no in words that this list does not have
  | 'UNAVAILABLE' // no endpoint can be reached
  | 'UNIMPLEMENTED'; // a method or a form of gRPC's that this server has not

/** A refused call on the store. Where etcd has an error for it, the message starts with etcd's words. */
export class KvstoreError extends Error {
  override readonly name = 'KvstoreError';
  readonly code: KvstoreErrorCode;
  readonly context: Readonly<Record<string, string | number>>;

  constructor(
    code: KvstoreErrorCode,
    message: string,
    context: Record<string, string | number> = {},
    options?: ErrorOptions,
  ) {
    const where = Object.entries(context).map(([k, v]) => `${k}=${v}`);
    super(where.length === 0 ? message : `${message} (${where.join(' ')})`, options);
    this.code = code;
    this.context = context;
  }
}

/** An error in etcd's own words. */
export const etcdError = (code: EtcdErrorCode, context: Record<string, string | number> = {}): KvstoreError =>
  new KvstoreError(code, ETCD_ERRORS[code][1], context);
