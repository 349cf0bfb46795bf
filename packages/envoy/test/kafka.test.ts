import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  denialOf,
  frameLength,
  KafkaError,
  type KafkaRequest,
  kafkaAllowed,
  kafkaRuleToNpds,
  readRequest,
} from '../src/index.ts';
import { seed } from './support.ts';

console.log(`seed ${seed}`);
const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
const rule = (over: Partial<Parameters<typeof kafkaRuleToNpds>[0]>) =>
  kafkaRuleToNpds({ role: '', apiKey: '', apiVersion: '', clientID: '', topic: '', ...over });

// size, key, version, correlation id, client "c"; then the body.
const requests: [what: string, bytes: string, want: Partial<KafkaRequest>][] = [
  [
    'produce v3 has the name of a transaction in front',
    '0000002b 0000 0003 00000007 000163 0002 7478 0001 00000000 00000001 0002 7431 00000001 00000000 00000002 abcd',
    { apiKey: 0, apiVersion: 3, clientId: 'c', topics: [{ name: 't1', partitions: [0] }] },
  ],
  [
    'fetch v5 says where the log starts',
    '00000040 0001 0005 00000008 000163 ffffffff 00000000 00000000 00000000 00 00000001 0002 7431 00000001 00000003 0000000000000005 0000000000000000 00000064',
    { apiKey: 1, apiVersion: 5, topics: [{ name: 't1', partitions: [3] }] },
  ],
  [
    'metadata v4 asks whether topics may be created',
    '00000014 0003 0004 00000009 000163 00000001 0002 7431 01',
    { apiKey: 3, topics: [{ name: 't1', partitions: [] }] },
  ],
  [
    'metadata for all topics names none',
    '0000000f 0003 0001 00000009 000163 ffffffff',
    { topics: undefined, parsed: true },
  ],
  ['version 0 has no client', '0000000e 000a 0000 0000000d 000163 0001 67', { clientId: '', parsed: true }],
  [
    'what is not parsed keeps its header',
    '0000000b 000c 0001 0000000e 000163',
    { apiKey: 12, clientId: 'c', parsed: false },
  ],
];
test.each(requests)('%s', (_what, bytes, want) => {
  const request = hex(bytes);
  expect(frameLength(request)).toBe(request.length);
  expect(readRequest(request)).toMatchObject(want);
});

const FETCH = readRequest(hex(requests[1]![1]));
const verdicts: [what: string, rules: ReturnType<typeof rule>[], allowed: boolean][] = [
  ['no rule at all', [], true],
  ['the right topic', [rule({ topic: 't1' })], true],
  ['another topic', [rule({ topic: 't2' })], false],
  ['the role that may read', [rule({ role: 'Consume' })], true],
  ['the role that may write', [rule({ role: 'produce' })], false],
  ['another version', [rule({ apiVersion: '0' })], false],
  ['another client', [rule({ clientID: 'd' })], false],
  [
    'the topic in one rule, the client in another that names another topic',
    [rule({ topic: 't2', clientID: 'c' }), rule({ topic: 't1' })],
    true,
  ],
];
test.each(verdicts)('under %s: %s', (_what, rules, allowed) => {
  expect(kafkaAllowed(rules, FETCH)).toBe(allowed);
});

test('a topic that two rules name in part must be covered whole, by as many rules as it takes', () => {
  const both = { ...FETCH, topics: ['t1', 't2'].map((name) => ({ name, partitions: [0] })) };
  expect(kafkaAllowed([rule({ topic: 't1' })], both)).toBe(false);
  expect(kafkaAllowed([rule({ topic: 't1' }), rule({ topic: 't2' })], both)).toBe(true);
});

test('a denied fetch is told so in the format of its version', () => {
  expect(Buffer.from(denialOf(FETCH)!).toString('hex')).toBe(
    [
      '0000003a00000008',
      '00000000',
      '00000001',
      '00027431',
      '00000001',
      '00000003001d',
      '00'.repeat(24),
      'ffffffff',
      'ffffffff',
    ].join(''),
  );
});

test('any bytes are a request or a clear error, and nothing that lies beyond them is read', () => {
  const outcome = (bytes: Uint8Array): string => {
    try {
      const request = readRequest(bytes);
      return JSON.stringify([request, Buffer.from(denialOf(request) ?? []).toString('hex')]);
    } catch (error) {
      if (error instanceof KafkaError) return error.message;
      throw error;
    }
  };
  const mutated = fc
    .tuple(
      fc.constantFrom(...requests.map(([, bytes]) => hex(bytes))),
      fc.array(fc.tuple(fc.nat(), fc.nat(255))),
      fc.nat(),
    )
    .map(([bytes, changes, cut]) => {
      const copy = bytes.slice(0, bytes.length - (cut % 8));
      for (const [at, value] of changes) copy[at % copy.length] = value;
      return copy;
    });
  fc.assert(
    fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 80 })), (bytes) => {
      const [zeros, ones] = [0, 0xff].map((fill) => {
        const around = new Uint8Array(bytes.length + 64).fill(fill);
        around.set(bytes, 32);
        return outcome(around.subarray(32, 32 + bytes.length));
      });
      expect(zeros).toBe(ones);
    }),
    { seed, numRuns: 3000 },
  );
});
