import type { IpAddress } from '@ciliate/packet';

/**
 * What happened to one packet or one request, as Hubble tells it. Fields and their values have the names and meaning of
 * Hubble's flow.proto; those that only other output formats need come with them.
 */
export interface Flow {
  /** Since the Unix epoch. */
  timeNs: bigint;
  type: 'L3_L4' | 'L7';
  verdict: 'FORWARDED' | 'DROPPED' | 'AUDIT' | 'REDIRECTED';
  /** 130..255 if a packet was dropped, else 0; denied requests have none. */
  dropReason: number;
  authType: AuthType;
  /** Colon form. Undefined for requests and for events without packet bytes. */
  ethernet: { source: string; destination: string } | undefined;
  /** Undefined if the packet is neither IPv4 nor IPv6. */
  ip: FlowIp | undefined;
  l4: FlowL4 | undefined;
  source: FlowEndpoint;
  destination: FlowEndpoint;
  sourceService: ServiceName | undefined;
  destinationService: ServiceName | undefined;
  l7: FlowHttp | FlowDns | FlowKafka | FlowL7 | undefined;
  /** `subType`: drop code, or observation point of a trace, else 0. */
  eventType: { type: EventType; subType: number };
  trafficDirection: 'TRAFFIC_DIRECTION_UNKNOWN' | 'INGRESS' | 'EGRESS';
  /** Valid only for policy verdicts: what kind of entry matched. */
  policyMatchType: number;
  /** Undefined where the datapath does not know, as in drops. */
  isReply: boolean | undefined;
  summary: string;
}

export type AuthType = 'DISABLED' | 'SPIRE' | 'TEST_ALWAYS_FAIL';

/** First byte of an event from the datapath; access log records are 129. Source: pkg/monitor/api/types.go. */
export const EVENT_DROP = 1;
export const EVENT_TRACE = 4;
export const EVENT_POLICY_VERDICT = 5;
export const EVENT_ACCESS_LOG = 129;
export type EventType = typeof EVENT_DROP | typeof EVENT_TRACE | typeof EVENT_POLICY_VERDICT | typeof EVENT_ACCESS_LOG;

export interface FlowIp {
  version: 'IPv4' | 'IPv6';
  source: string;
  destination: string;
  /** The packet's own source, if `source` is what it was before translation. */
  sourceXlated: string | undefined;
}

export type FlowL4 =
  | { protocol: 'TCP'; sourcePort: number; destinationPort: number }
  | { protocol: 'UDP'; sourcePort: number; destinationPort: number }
  | { protocol: 'ICMPv4' | 'ICMPv6'; type: number; code: number };

export interface FlowEndpoint {
  /** 0 if it is not on this node. */
  id: number;
  identity: number;
  /** `world`, `host`, ...; undefined if the identity is not a reserved one. */
  identityName: string | undefined;
  /** '' if it is no pod, as is `podName`. */
  namespace: string;
  podName: string;
}

export interface ServiceName {
  namespace: string;
  name: string;
}

export interface FlowHttp {
  type: 'REQUEST' | 'RESPONSE';
  method: string;
  url: string;
  protocol: string;
  /** 0 in requests, as is `latencyNs`. */
  code: number;
  latencyNs: bigint;
}

export interface FlowDns {
  readonly type: 'REQUEST' | 'RESPONSE';
  /** Absolute. */
  readonly query: string;
  readonly qtypes: readonly string[];
  /** Only in responses, as all that follows. */
  readonly ips: readonly string[];
  readonly cnames: readonly string[];
  readonly ttlS: number;
  readonly rcode: number;
  readonly rrTypes: readonly string[];
}

export interface FlowKafka {
  readonly type: 'REQUEST' | 'RESPONSE';
  /** 0 in requests. */
  readonly errorCode: number;
  readonly apiVersion: number;
  readonly apiKey: string;
  readonly correlationId: number;
  readonly topic: string;
}

/** A proxy's record that says nothing of a protocol, as of a connection that it reset. */
export interface FlowL7 {
  readonly type: 'REQUEST' | 'RESPONSE';
}

/** What the agent knows of addresses and identities. */
export interface Resolver {
  /** `id` 0 for a pod on another node; undefined for an address that nobody has. */
  endpointOf(address: IpAddress): { id: number; identity: number; namespace: string; podName: string } | undefined;
  /** The Service with this frontend. */
  serviceOf(address: IpAddress, port: number): ServiceName | undefined;
  /** The name of a reserved identity (`unknown` is one); undefined for all others. */
  identityName(identity: number): string | undefined;
}

/** Ports of a flow's ends; of ICMP there are none. */
export const hasPorts = (l4: FlowL4 | undefined): l4 is Extract<FlowL4, { sourcePort: number }> =>
  l4 !== undefined && 'sourcePort' in l4;

/**
 * An end of a flow. The identity that the datapath saw counts, since it decided by it; where it saw none (0), what is
 * known of the address. Source: pkg/hubble/parser/common/endpoint.go.
 */
export function resolveEndpoint(
  address: IpAddress | undefined,
  datapathIdentity: number,
  resolver: Resolver,
): FlowEndpoint {
  const known = address === undefined ? undefined : resolver.endpointOf(address);
  const identity = datapathIdentity !== 0 ? datapathIdentity : (known?.identity ?? 0);
  return {
    id: known?.id ?? 0,
    identity,
    identityName: resolver.identityName(identity),
    namespace: known?.namespace ?? '',
    podName: known?.podName ?? '',
  };
}
