import { formatIp, type IpAddress, isIpv6 } from '@ciliate/packet';
import { EVENT_ACCESS_LOG, type Flow, type FlowHttp, type Resolver, resolveEndpoint } from './flow.ts';

/**
 * What the proxy logs of an HTTP request, of its denial, or of the answer to it. `source` is always the client, also in
 * the record of a response.
 */
export interface HttpRecord {
  timestampNs: bigint;
  entryType: 'Request' | 'Response' | 'Denied';
  isIngress: boolean;
  sourceIdentity: number;
  destinationIdentity: number;
  source: { ip: IpAddress; port: number };
  destination: { ip: IpAddress; port: number };
  method: string;
  /** Query included. */
  path: string;
  host: string;
  protocol: string;
  /** Only in a response, as `latencyNs`. */
  status: number | undefined;
  latencyNs: bigint | undefined;
}

const NS_PER_MS = 1_000_000n;

/**
 * The flow of a record of the HTTP proxy. A response flows from server to client, so its ends are exchanged; the 403 that
 * answers a denied request is a response like any other.
 * Source: pkg/envoy/accesslog_server.go, pkg/hubble/parser/seven.
 */
export function flowFromAccessLog(record: HttpRecord, resolver: Resolver): Flow {
  const client = { ...record.source, identity: record.sourceIdentity };
  const server = { ...record.destination, identity: record.destinationIdentity };
  const isReply = record.entryType === 'Response';
  const [from, to] = isReply ? [server, client] : [client, server];
  const l7 = http(record);
  return {
    timeNs: record.timestampNs,
    type: 'L7',
    verdict: record.entryType === 'Denied' ? 'DROPPED' : 'FORWARDED',
    dropReason: 0,
    authType: 'DISABLED',
    ethernet: undefined,
    ip: {
      version: isIpv6(from.ip) ? 'IPv6' : 'IPv4',
      source: formatIp(from.ip),
      destination: formatIp(to.ip),
      sourceXlated: undefined,
    },
    l4: { protocol: 'TCP', sourcePort: from.port, destinationPort: to.port },
    source: resolveEndpoint(from.ip, from.identity, resolver),
    destination: resolveEndpoint(to.ip, to.identity, resolver),
    sourceService: resolver.serviceOf(from.ip, from.port),
    destinationService: resolver.serviceOf(to.ip, to.port),
    l7,
    eventType: { type: EVENT_ACCESS_LOG, subType: 0 },
    trafficDirection: record.isIngress ? 'INGRESS' : 'EGRESS',
    policyMatchType: 0,
    isReply,
    summary: summary(l7),
  };
}

function http(record: HttpRecord): FlowHttp {
  const { method, protocol, status = 0, latencyNs = 0n } = record;
  const url = `http://${record.host}/${record.path.replace(/^\//, '')}`;
  return record.entryType === 'Response'
    ? { type: 'RESPONSE', method, url, protocol, code: status, latencyNs }
    : { type: 'REQUEST', method, url, protocol, code: 0, latencyNs: 0n };
}

function summary({ type, method, url, protocol, code, latencyNs }: FlowHttp): string {
  const request = `${method} ${url}`;
  return type === 'REQUEST' ? `${protocol} ${request}` : `${protocol} ${code} ${latencyNs / NS_PER_MS}ms (${request})`;
}
