/**
 * BAD_INPUT: the file or the command cannot be used; the message names place and cause.
 * FAULT: the program was stopped because it did what no program may; `context` says where.
 * UNSUPPORTED: what was asked for is not modelled.
 */
export type VmErrorCode = 'BAD_INPUT' | 'FAULT' | 'UNSUPPORTED';

export class VmError extends Error {
  override readonly name = 'VmError';
  readonly code: VmErrorCode;
  readonly context: Readonly<Record<string, string | number>>;

  constructor(
    code: VmErrorCode,
    message: string,
    context: Readonly<Record<string, string | number>> = {},
    cause?: unknown,
  ) {
    const where = Object.entries(context)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ');
    super(where === '' ? message : `${message} (${where})`, cause === undefined ? undefined : { cause });
    this.code = code;
    this.context = context;
  }
}

export const badInput = (message: string, context: Readonly<Record<string, string | number>> = {}): VmError =>
  new VmError('BAD_INPUT', message, context);
export const fault = (message: string, context: Readonly<Record<string, string | number>> = {}): VmError =>
  new VmError('FAULT', message, context);
