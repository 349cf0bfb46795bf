import type { Flow, FlowDns, Resolver } from './flow.ts';
import { flowFromRecord, type L7Record } from './l7_record.ts';

/** What the DNS proxy logs of a question, of its denial, or of the answer to it. */
export interface DnsRecord extends L7Record {
  readonly protocol: 'UDP' | 'TCP';
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
  const l7 = dns(record);
  const part = { transport: record.protocol, l7, summary: summary(l7), trafficDirection: 'EGRESS' } as const;
  return flowFromRecord(record, part, resolver);
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
