import { expect, test } from 'vitest';
import type { HttpAccessLog } from '../src/index.ts';
import { logLine, readLogLines } from '../src/live/log_lines.ts';
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
  const lines = logLine(1, 0, request) + logLine(2 ** 40, 9, response);
  expect(readLogLines(lines)).toEqual([
    { connection: 1, request: 0, record: request },
    { connection: 2 ** 40, request: 9, record: response },
  ]);
});
