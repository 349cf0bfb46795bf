export type AgentErrorCode = 'BAD_INPUT';

/** The cluster cannot be run as described: a fault of the objects, or a policy that the proxy refused. */
export class AgentError extends Error {
  override readonly name = 'AgentError';
  readonly code: AgentErrorCode;
  readonly context: Readonly<Record<string, string | number>>;

  constructor(code: AgentErrorCode, message: string, context: Readonly<Record<string, string | number>> = {}) {
    super(message);
    this.code = code;
    this.context = context;
  }
}
