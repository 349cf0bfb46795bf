export { flowFromAccessLog, type HttpRecord } from './access_log.ts';
export { type DebugEvent, isDebugEvent, parseDebug } from './debug.ts';
export { HubbleError, type HubbleErrorCode } from './errors.ts';
export type {
  AuthType,
  EventType,
  Flow,
  FlowEndpoint,
  FlowHttp,
  FlowIp,
  FlowL4,
  Resolver,
  ServiceName,
} from './flow.ts';
export { formatLost, type LostEvents } from './lost.ts';
export { parseEvent } from './parser.ts';
export { formatCompact } from './printer.ts';
