export type IdentityErrorCode =
  | 'CONFLICT' // another agent was faster; allocation tries again by itself and throws this only after many attempts
  | 'EXHAUSTED' // every number of the range has a master key
  | 'INVALID' // what was passed in cannot be right
  | 'NOT_ALLOCATED' // released more often than allocated
  | 'OUT_OF_SYNC' // the watch on the store ended; `cause` says why
  | 'UNSUPPORTED'; // not modelled yet; the message names it

/** A refused call of the identity room. */
export class IdentityError extends Error {
  override readonly name = 'IdentityError';
  readonly code: IdentityErrorCode;
  readonly context: Readonly<Record<string, string | number>>;

  constructor(
    code: IdentityErrorCode,
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
