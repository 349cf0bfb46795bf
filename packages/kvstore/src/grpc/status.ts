import { ETCD_ERRORS, type EtcdErrorCode, KvstoreError, type KvstoreErrorCode, STATUS } from '../errors.ts';

/** What a gRPC call is answered with instead of a message. */
export interface StatusError {
  code: number;
  details: string;
}

/** For etcd's own errors etcd's own words, without our context. */
export function writeError(error: unknown): StatusError {
  if (!(error instanceof KvstoreError)) return { code: STATUS.internal, details: String(error) };
  if (error.code in ETCD_ERRORS) {
    const [code, details] = ETCD_ERRORS[error.code as EtcdErrorCode];
    return { code, details };
  }
  return { code: CODES[error.code] ?? STATUS.unavailable, details: error.message };
}

const CODES: Partial<Record<KvstoreErrorCode, number>> = {
  MESSAGE_TOO_LARGE: STATUS.resourceExhausted,
  UNIMPLEMENTED: STATUS.unimplemented,
};

const byText = new Map<string, EtcdErrorCode>(
  Object.entries(ETCD_ERRORS).map(([code, [, text]]) => [text, code as EtcdErrorCode]),
);

/** @param endpoint for the message */
export function readError(error: { code: number; details: string }, endpoint: string): KvstoreError {
  const known = byText.get(error.details);
  if (known !== undefined) return new KvstoreError(known, error.details, { endpoint }, { cause: error });
  const isDown = error.code === STATUS.unavailable;
  const text = isDown ? `the store cannot be reached: ${error.details}` : error.details;
  return new KvstoreError(isDown ? 'UNAVAILABLE' : 'REFUSED', text, { endpoint }, { cause: error });
}
