import { expect, test } from 'vitest';
import type { AccessLog, HttpAccessLog, KafkaAccessLog } from '../src/index.ts';
import { LogBatch, readLogMessage } from '../src/live/log_batch.ts';
import { NOW } from './support.ts';

test('log entries come out of a worker as they went in', () => {
  const request: HttpAccessLog = {
    ...{
      timestampNs: NOW,
      entryType: 'Request' as const,
      isIngress: true,
      sourceIdentity: 1001,
      destinationIdentity: 0,
    },
    ...{ source: { ip: 0xffffffff, port: 65535 }, destination: { ip: 0, port: 0 } },
    ...{
      method: 'GET',
      path: '/a b\xff?c',
      host: '',
      protocol: 'HTTP/1.1' as const,
      status: undefined,
      latencyNs: undefined,
    },
    rule: undefined,
  };
  const response: HttpAccessLog = {
    ...{ ...request, entryType: 'Response' as const, isIngress: false, status: 200, latencyNs: 0n },
    rule: 'two lines\nand a NUL \0',
    missingHeaders: [{ name: 'x', value: '"\n' }],
  };
  const ends = { source: { ip: 1n, port: 1 }, destination: { ip: 0xfd00n << 112n, port: 65535 } };
  const { timestampNs, isIngress, sourceIdentity, destinationIdentity } = request;
  const base = {
    timestampNs,
    isIngress,
    sourceIdentity,
    destinationIdentity,
    entryType: 'Denied',
    rule: undefined,
  } as const;
  const kafka: KafkaAccessLog = {
    ...{ ...base, ...ends, rule: 'a\nb' },
    ...{ apiKey: 'fetch', apiVersion: 11, correlationId: -1, topic: 'a\n\0b' },
  };
  const bare: AccessLog = { ...base, source: undefined, destination: undefined };
  const batch = new LogBatch();
  batch.add(1, 0, request);
  batch.add(2 ** 40, 9, response);
  batch.add(3, 1, kafka);
  batch.add(4, 0, bare);
  expect(readLogMessage(structuredClone(batch.take()))).toEqual([
    { connection: 1, request: 0, record: request },
    { connection: 2 ** 40, request: 9, record: response },
    { connection: 3, request: 1, record: kafka },
    { connection: 4, request: 0, record: bare },
  ]);
});
