export type HubbleErrorCode =
  | 'INVALID' // bytes that no datapath program writes
  | 'UNSUPPORTED'; // not modelled yet; the message names it

/** Bytes that cannot be read as an event. */
export class HubbleError extends Error {
  override readonly name = 'HubbleError';
  readonly code: HubbleErrorCode;
  readonly context: Readonly<Record<string, number>>;

  constructor(code: HubbleErrorCode, message: string, context: Record<string, number>) {
    const where = Object.entries(context).map(([k, v]) => `${k}=${v}`);
    super(`${message} (${where.join(' ')})`);
    this.code = code;
    this.context = context;
  }
}
