import type { Position } from '@ciliate/k8s';

export type LoadBalancerErrorCode = 'BAD_INPUT' | 'EXHAUSTED';

/** What was asked cannot be done: a setting is wrong, or a number cannot be given out. */
export class LoadBalancerError extends Error {
  override readonly name: string = 'LoadBalancerError';
  readonly code: LoadBalancerErrorCode;
  readonly context: Readonly<Record<string, string | number>>;

  constructor(code: LoadBalancerErrorCode, message: string, context: Readonly<Record<string, string | number>>) {
    super(message);
    this.code = code;
    this.context = context;
  }
}

/** The user's Services cannot be served as they stand; the message begins with the place. */
export class ServiceError extends LoadBalancerError {
  override readonly name = 'ServiceError';

  constructor({ file, line, column }: Position, message: string) {
    super('BAD_INPUT', `${file}:${line}:${column}: ${message}`, { file, line, column });
  }
}
