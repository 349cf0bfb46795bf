export { Agent, type AgentOptions, CT_SHARDS } from './agent.ts';
export { type Endpoint, podName } from './endpoint.ts';
export { AgentError, type AgentErrorCode } from './errors.ts';
export {
  formatOrigin,
  ownLabels,
  type PolicyReason,
  protocolName,
  whyAllowed,
  whyDropped,
  whyRequestDenied,
  whyRequestPassed,
} from './explain.ts';
export { PROXY_PORT_HTTP } from './regeneration.ts';
