import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AccessLog, HttpAccessLog } from '../src/index.ts';
import { LogBatch, readLogMessage } from '../src/live/log_batch.ts';
import type { LoggedRequest } from '../src/live/protocol.ts';
import { seed } from './support.ts';

console.log(`seed ${seed}`);

/** Of a connection all entries name the same ends. */
const endsOf = (connection: number) =>
  ({
    ...{ isIngress: connection % 2 === 0, sourceIdentity: 2 ** 32 - 1 - connection, destinationIdentity: connection },
    source: { ip: connection === 0 ? 1n << 127n : connection, port: 40_000 + connection },
    destination: { ip: 0xffffffff, port: 80 },
  }) satisfies Partial<AccessLog>;

const word = fc.constantFrom('', 'a', 'b', 'one\ntwo\0', '/\xff');
const bigint = fc.bigInt({ min: 0n, max: (1n << 63n) - 1n });
const http = fc.record({
  timestampNs: bigint,
  entryType: fc.constantFrom('Request', 'Response', 'Denied'),
  method: word,
  path: word,
  host: word,
  protocol: fc.constantFrom('HTTP/1', 'HTTP/1.1', 'HTTP/2'),
  status: fc.option(fc.integer({ min: 100, max: 599 }), { nil: undefined }),
  latencyNs: fc.option(bigint, { nil: undefined }),
  rule: fc.option(word, { nil: undefined }),
}) satisfies fc.Arbitrary<Partial<HttpAccessLog>>;
const rare = fc.record(
  { scheme: fc.constant('https' as const), missingHeaders: fc.array(fc.record({ name: word, value: word })) },
  { requiredKeys: [] },
);
const logged: fc.Arbitrary<LoggedRequest> = fc
  .tuple(
    fc.nat({ max: 3 }),
    fc.nat(),
    http,
    fc.oneof({ weight: 3, arbitrary: fc.constant({}) }, rare),
    fc.nat({ max: 9 }),
  )
  .map(([connection, request, record, others, kind]) => {
    const { timestampNs, entryType, rule } = record;
    const ends = kind === 0 ? { ...endsOf(connection), source: undefined, destination: undefined } : endsOf(connection);
    if (kind === 1) return { connection, request, record: { timestampNs, entryType, rule, ...ends } };
    return { connection, request, record: { ...record, ...ends, ...others } };
  });

test('whatever is logged comes out of a worker as it went in, and in that order', () => {
  fc.assert(
    fc.property(fc.array(fc.array(logged, { maxLength: 20 }), { maxLength: 3 }), (batches) => {
      const batch = new LogBatch();
      for (const entries of batches) {
        for (const { connection, request, record } of entries) batch.add(connection, request, record);
        expect(batch.empty).toBe(entries.length === 0);
        expect(readLogMessage(structuredClone(batch.take()))).toEqual(entries);
      }
    }),
    { seed, numRuns: 300 },
  );
});
