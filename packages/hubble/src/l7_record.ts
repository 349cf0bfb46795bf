import { formatIp, type IpAddress, isIpv6 } from '@ciliate/packet';
import { EVENT_ACCESS_LOG, type Flow, type Resolver, resolveEndpoint, type ServiceName } from './flow.ts';

/** What every proxy logs of a request, of its denial, or of the answer to it; `source` is always the client. */
export interface L7Record {
  readonly timestampNs: bigint;
  readonly entryType: 'Request' | 'Response' | 'Denied';
  readonly sourceIdentity: number;
  readonly destinationIdentity: number;
  /** undefined where the proxy knew none, as of a request that it answered before it asked policy. */
  readonly source: { readonly ip: IpAddress; readonly port: number } | undefined;
  readonly destination: { readonly ip: IpAddress; readonly port: number } | undefined;
}

/** What the protocol adds. */
type L7Part = Pick<Flow, 'l7' | 'summary' | 'trafficDirection'> & { readonly transport: 'TCP' | 'UDP' };

/**
 * The flow of a proxy's record. A response flows from server to client, so its ends are exchanged; what answers a denied
 * request is a response like any other. Source: pkg/hubble/parser/seven.
 */
export function flowFromRecord(
  record: L7Record,
  { transport, l7, summary, trafficDirection }: L7Part,
  resolver: Resolver,
): Flow {
  const client: End = { port: 0, ...record.source, identity: record.sourceIdentity };
  const server: End = { port: 0, ...record.destination, identity: record.destinationIdentity };
  const isReply = record.entryType === 'Response';
  const [from, to] = isReply ? [server, client] : [client, server];
  return {
    timeNs: record.timestampNs,
    type: 'L7',
    verdict: record.entryType === 'Denied' ? 'DROPPED' : 'FORWARDED',
    dropReason: 0,
    authType: 'DISABLED',
    ethernet: undefined,
    ip: {
      version: from.ip !== undefined && isIpv6(from.ip) ? 'IPv6' : 'IPv4',
      source: textOf(from),
      destination: textOf(to),
      sourceXlated: undefined,
    },
    l4: { protocol: transport, sourcePort: from.port, destinationPort: to.port },
    source: resolveEndpoint(from.ip, from.identity, resolver),
    destination: resolveEndpoint(to.ip, to.identity, resolver),
    sourceService: serviceOf(from, resolver),
    destinationService: serviceOf(to, resolver),
    l7,
    eventType: { type: EVENT_ACCESS_LOG, subType: 0 },
    trafficDirection,
    policyMatchType: 0,
    isReply,
    summary,
  };
}

interface End {
  readonly ip?: IpAddress;
  readonly port: number;
  readonly identity: number;
}

const textOf = ({ ip }: End): string => (ip === undefined ? '' : formatIp(ip));

const serviceOf = ({ ip, port }: End, resolver: Resolver): ServiceName | undefined =>
  ip === undefined ? undefined : resolver.serviceOf(ip, port);
