export { flowFromAccessLog, type HttpRecord } from './access_log.ts';
export { HubbleError, type HubbleErrorCode } from './errors.ts';
export {
  type AuthType,
  EVENT_ACCESS_LOG,
  EVENT_DROP,
  EVENT_POLICY_VERDICT,
  EVENT_TRACE,
  type EventType,
  type Flow,
  type FlowEndpoint,
  type FlowHttp,
  type FlowIp,
  type FlowL4,
  type Resolver,
  type ServiceName,
} from './flow.ts';
export { parseEvent } from './parser.ts';
export { formatCompact } from './printer.ts';
