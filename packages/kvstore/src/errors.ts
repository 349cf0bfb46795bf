export type KvstoreErrorCode =
  | 'CLOSED' // the client was closed
  | 'COMPACTED' // the revision asked for is no longer held
  | 'DUPLICATE_KEY' // a transaction writes one key twice
  | 'EMPTY_KEY'
  | 'LEASE_NOT_FOUND' // never granted, revoked or expired
  | 'LOCK_LOST' // the lock's lease ran out before its holder was done
  | 'UNSUPPORTED'; // not modelled yet; the message names it

/** A refused call on the store. Where etcd has an error for it, the message uses etcd's words. */
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

export const unsupported = (what: string): KvstoreError =>
  new KvstoreError('UNSUPPORTED', `${what}: not supported by the embedded store yet`);
