import { expect, test } from 'vitest';
import { type DnsRecord, flowFromDnsLog, formatCompact } from '../src/index.ts';
import { nameless, TIME_NS } from './support.ts';

const request: DnsRecord = {
  timestampNs: TIME_NS,
  entryType: 'Request',
  protocol: 'UDP',
  sourceIdentity: 1001,
  destinationIdentity: 1002,
  source: { ip: 0x0a000001, port: 40_000 },
  destination: { ip: 0x0a000002, port: 80 },
  query: 'www.cilium.io.',
  qtype: 'A',
  answer: undefined,
};
const response = (answer: Partial<NonNullable<DnsRecord['answer']>>): DnsRecord => ({
  ...request,
  entryType: 'Response',
  timestampNs: TIME_NS + 5_000_000n,
  answer: { ips: [], cnames: [], ttlS: 30, rcode: 0, rrTypes: ['A'], ...answer },
});
const ends = (arrow: string): string => `10.0.0.1:40000 (ID:1001) ${arrow} 10.0.0.2:80 (ID:1002)`;

// As Hubble's own printer wrote them.
const lines: [what: string, record: DnsRecord, line: string][] = [
  ['a question', request, `123: ${ends('->')} dns-request proxy FORWARDED (DNS Query www.cilium.io. A)`],
  [
    'a question that no rule allows',
    { ...request, entryType: 'Denied' },
    `123: ${ends('->')} dns-request proxy DROPPED (DNS Query www.cilium.io. A)`,
  ],
  [
    'an answer with addresses',
    response({ ips: ['1.1.1.1', '1.0.0.1'] }),
    `128: ${ends('<-')} dns-response proxy FORWARDED (DNS Answer "1.1.1.1,1.0.0.1" TTL: 30 (Proxy www.cilium.io. A))`,
  ],
  [
    'an answer with another name on the way',
    response({ ips: ['1.1.1.1'], cnames: ['a.cilium.io.'] }),
    `128: ${ends('<-')} dns-response proxy FORWARDED (DNS Answer "1.1.1.1" CNAMEs: "a.cilium.io." TTL: 30 (Proxy www.cilium.io. A))`,
  ],
  [
    'an answer that there is no such name',
    response({ rcode: 3 }),
    `128: ${ends('<-')} dns-response proxy FORWARDED (DNS Answer RCode: Non-Existent Domain TTL: 30 (Proxy www.cilium.io. A))`,
  ],
];
test.each(lines)('%s', (_what, record, line) => {
  expect(formatCompact(flowFromDnsLog(record, nameless))).toBe(`May  6 07:08:09.${line}`);
});
