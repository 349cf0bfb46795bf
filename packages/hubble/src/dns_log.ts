import { formatIp, type IpAddress, isIpv6 } from '@ciliate/packet';
import { EVENT_ACCESS_LOG, type Flow, type FlowDns, type Resolver, resolveEndpoint } from './flow.ts';

/** What the DNS proxy logs of a question, of its denial, or of the answer to it; `source` is always the client. */
export interface DnsRecord {
  readonly timestampNs: bigint;
  readonly entryType: 'Request' | 'Response' | 'Denied';
  readonly protocol: 'UDP' | 'TCP';
  readonly sourceIdentity: number;
  readonly destinationIdentity: number;
  readonly source: { readonly ip: IpAddress; readonly port: number };
  readonly destination: { readonly ip: IpAddress; readonly port: number };
  /** Absolute. */
  readonly query: string;
  readonly qtype: string;
  /** Only in responses. */
  readonly answer:
    | {
        readonly ips: readonly string[];
        readonly cnames: readonly string[];
        readonly ttlS: number;
        readonly rcode: number;
        readonly rrTypes: readonly string[];
      }
    | undefined;
}

/** RFC 1035 and later, as Go's DNS library words them for Hubble. */
const RCODES: Readonly<Record<number, string>> = {
  1: 'Format Error',
  2: 'Server Failure',
  3: 'Non-Existent Domain',
  4: 'Not Implemented',
  5: 'Query Refused',
};

/** The flow of a record of the DNS proxy. Source: pkg/hubble/parser/seven/dns.go. */
export function flowFromDnsLog(record: DnsRecord, resolver: Resolver): Flow {
  const client = { ...record.source, identity: record.sourceIdentity };
  const server = { ...record.destination, identity: record.destinationIdentity };
  const isReply = record.entryType === 'Response';
  const [from, to] = isReply ? [server, client] : [client, server];
  const l7 = dns(record);
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
    l4: { protocol: record.protocol, sourcePort: from.port, destinationPort: to.port },
    source: resolveEndpoint(from.ip, from.identity, resolver),
    destination: resolveEndpoint(to.ip, to.identity, resolver),
    sourceService: resolver.serviceOf(from.ip, from.port),
    destinationService: resolver.serviceOf(to.ip, to.port),
    l7,
    eventType: { type: EVENT_ACCESS_LOG, subType: 0 },
    trafficDirection: 'EGRESS',
    policyMatchType: 0,
    isReply,
    summary: summary(l7),
  };
}

function dns({ entryType, query, qtype, answer }: DnsRecord): FlowDns {
  const { ips = [], cnames = [], ttlS = 0, rcode = 0, rrTypes = [] } = answer ?? {};
  const type = entryType === 'Response' ? 'RESPONSE' : 'REQUEST';
  return { type, query, qtypes: [qtype], ips, cnames, ttlS, rcode, rrTypes };
}

function summary({ type, query, qtypes, ips, cnames, ttlS, rcode }: FlowDns): string {
  const types = qtypes.join(',');
  if (type === 'REQUEST') return `DNS Query ${query} ${types}`;
  const parts = rcode === 0 ? [] : [`RCode: ${RCODES[rcode] ?? rcode}`];
  if (rcode === 0 && ips.length > 0) parts.push(`"${ips.join(',')}"`);
  if (rcode === 0 && cnames.length > 0) parts.push(`CNAMEs: "${cnames.join(',')}"`);
  return `DNS Answer ${parts.map((part) => `${part} `).join('')}TTL: ${ttlS} (Proxy ${query} ${types})`;
}
