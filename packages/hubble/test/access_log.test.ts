import { expect, test } from 'vitest';
import { type BareRecord, flowFromAccessLog, formatCompact, type HttpRecord, type KafkaRecord } from '../src/index.ts';
import { nameless, TIME_NS } from './support.ts';

const ends = {
  ...{ isIngress: true, sourceIdentity: 1001, destinationIdentity: 1002 },
  source: { ip: 0x0a000001, port: 40_000 },
  destination: { ip: 0x0a000002, port: 80 },
};
const kafka: KafkaRecord = {
  ...{ ...ends, timestampNs: TIME_NS, entryType: 'Request' },
  ...{ apiKey: 'produce', apiVersion: 2, correlationId: 7, topic: 't1' },
};
const bare: BareRecord = { ...ends, timestampNs: TIME_NS, entryType: 'Denied' };
const nobody = { source: undefined, destination: undefined, sourceIdentity: 0, destinationIdentity: 0 };
const answered: HttpRecord = {
  ...{ ...ends, ...nobody, isIngress: false, timestampNs: TIME_NS, entryType: 'Response' },
  ...{ method: '', path: '', host: '', protocol: 'HTTP/1', status: 400, latencyNs: 0n },
};

// Of Kafka requests as Hubble's own printer wrote them.
const who = '10.0.0.1:40000 (ID:1001) -> 10.0.0.2:80 (ID:1002)';
const lines: [what: string, record: HttpRecord | KafkaRecord | BareRecord, line: string][] = [
  ['a Kafka request', kafka, `${who} kafka-request FORWARDED (Kafka request produce correlation id 7 topic 't1')`],
  [
    'a Kafka request that no rule allows',
    { ...kafka, entryType: 'Denied' },
    `${who} kafka-request DROPPED (Kafka request produce correlation id 7 topic 't1')`,
  ],
  [
    'an answer of a broker',
    { ...kafka, entryType: 'Response', topic: '' },
    `${who.replace('->', '<-')} kafka-response FORWARDED (Kafka response produce correlation id 7 topic '' return code 0)`,
  ],
  ['a connection that was reset', bare, `${who} l7-request DROPPED ()`],
  [
    'an answer before policy was asked',
    answered,
    ' (unknown) <-  (unknown) http-response FORWARDED (HTTP/1 400 0ms ( ))',
  ],
];
test.each(lines)('%s', (_what, record, line) => {
  expect(formatCompact(flowFromAccessLog(record, nameless))).toBe(`May  6 07:08:09.123: ${line}`);
});
