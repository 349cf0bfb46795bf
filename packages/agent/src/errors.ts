export type AgentErrorCode = 'BAD_INPUT' | 'NACK';

/** A refused call of the agent. `BAD_INPUT`: the cluster cannot be run as described; `NACK`: the proxy refused a policy. */
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
