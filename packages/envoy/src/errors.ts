/**
 * `EXISTS`: a connection with this id is open; `STOPPED`: the proxy was stopped; `DIED`: its thread ended by itself and
 * `cause` says why, if it said so; `REFUSED`: a thread could not do it, as the message says.
 */
export type ProxyErrorCode = 'EXISTS' | 'STOPPED' | 'DIED' | 'REFUSED';

/** A refused call of the proxy. What peers and policies do wrong is never thrown: it is an answer, or a NACK. */
export class ProxyError extends Error {
  override readonly name = 'ProxyError';
  readonly code: ProxyErrorCode;
  readonly context: Readonly<Record<string, string | number>>;

  constructor(
    code: ProxyErrorCode,
    message: string,
    context: Readonly<Record<string, string | number>> = {},
    options?: ErrorOptions,
  ) {
    const where = Object.entries(context).map(([key, value]) => `${key}=${value}`);
    super(where.length === 0 ? message : `${message} (${where.join(' ')})`, options);
    this.code = code;
    this.context = context;
  }
}
