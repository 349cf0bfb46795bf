import { type K8sObject, positionOf } from '@ciliate/k8s';

export type AgentErrorCode = 'BAD_INPUT';

/** The cluster cannot be run as described: a fault of the objects, or a policy that the proxy refused. */
export class AgentError extends Error {
  override readonly name: string = 'AgentError';
  readonly code: AgentErrorCode;
  readonly context: Readonly<Record<string, string | number>>;

  constructor(
    code: AgentErrorCode,
    message: string,
    context: Readonly<Record<string, string | number>> = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.code = code;
    this.context = context;
  }

  /** Something is wrong with a field of an object. @param path as in `spec.egress[0].toPorts[1].rules` */
  static ofField(object: K8sObject, path: string, problem: string, options?: ErrorOptions): AgentError {
    const { file, line, column } = positionOf(object, path);
    const message = `${file}:${line}:${column}: ${path}: ${problem}`;
    return new AgentError('BAD_INPUT', message, { file, line, column, path }, options);
  }
}

/** A policy that Cilium takes in, and that asks for what is not emulated yet. Policy itself can still be asked about it. */
export class NotEmulatedError extends AgentError {
  override readonly name = 'NotEmulatedError';

  /** @param what it asks for */
  constructor(object: K8sObject, path: string, what: string) {
    const { message, context } = AgentError.ofField(object, path, `${what} cannot be emulated yet`);
    super('BAD_INPUT', message, context);
  }
}
