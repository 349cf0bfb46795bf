export { type BareRecord, flowFromAccessLog, type HttpRecord, type KafkaRecord } from './access_log.ts';
export { type DebugEvent, isDebugEvent, parseDebug } from './debug.ts';
export { type DnsRecord, flowFromDnsLog } from './dns_log.ts';
export { HubbleError, type HubbleErrorCode } from './errors.ts';
export {
  type AuthType,
  type EventType,
  type Flow,
  type FlowDns,
  type FlowEndpoint,
  type FlowHttp,
  type FlowIp,
  type FlowKafka,
  type FlowL4,
  type FlowL7,
  hasPorts,
  type Resolver,
  type ServiceName,
} from './flow.ts';
export { formatLost, type LostEvents } from './lost.ts';
export { parseEvent } from './parser.ts';
export { formatCompact } from './printer.ts';
