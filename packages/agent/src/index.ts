export { Agent, type AgentOptions, CT_SHARDS, PROXY_PORT_HTTP } from './agent.ts';
export { type Endpoint, podName } from './endpoint.ts';
export { AgentError, type AgentErrorCode } from './errors.ts';
export {
  ownLabels,
  type PolicyReason,
  whyAllowed,
  whyDropped,
  whyRequestDenied,
  whyRequestPassed,
} from './explain.ts';
