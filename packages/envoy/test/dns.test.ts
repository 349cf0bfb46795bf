import { type Answer, decode, encode, type Packet } from 'dns-packet';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  answerWith,
  type DnsAccessLog,
  type DnsExchange,
  DnsProxy,
  type DnsRule,
  RCODE,
  readAnswer,
  readQuestion,
} from '../src/index.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

const EXCHANGE: DnsExchange = {
  endpointId: 7,
  protocol: 'UDP',
  sourceIdentity: 1001,
  destinationIdentity: 1002,
  source: { ip: 0x0a000001, port: 40_000 },
  destination: { ip: 0x0a000035, port: 53 },
};
const name = (matchName: string) => ({ matchName, matchPattern: '' });
const pattern = (matchPattern: string) => ({ matchName: '', matchPattern });
const query = (asked: string, more: Partial<Packet> = {}): Uint8Array =>
  encode({ type: 'query', id: 4711, questions: [{ name: asked, type: 'A' }], ...more });
const answerTo = (asked: string, answers: Answer[], more: Partial<Packet> = {}): Uint8Array =>
  encode({ type: 'response', id: 4711, questions: [{ name: asked, type: 'A' }], answers, ...more });
const a = (owner: string, data: string, ttl: number): Answer => ({ type: 'A', name: owner, data, ttl });

function proxyWith(rules: readonly DnsRule[] | undefined, rejectWith?: 'refused' | 'nameError') {
  const log: DnsAccessLog[] = [];
  const options = { rulesOf: () => rules, onAccessLog: (record: DnsAccessLog) => void log.push(record) };
  return { proxy: new DnsProxy({ ...options, ...(rejectWith && { rejectWith }) }), log };
}

const any = undefined;
const questions: [what: string, rules: DnsRule[] | undefined, asked: string, allowed: boolean][] = [
  ['a name that a rule has', [{ servers: any, names: [name('a.example')] }], 'a.example', true],
  ['the same in capitals', [{ servers: any, names: [name('a.example')] }], 'A.Example', true],
  ['another name', [{ servers: any, names: [name('a.example')] }], 'b.example', false],
  ['a name under a pattern', [{ servers: any, names: [pattern('*.example')] }], 'b.example', true],
  ['a name two levels under it', [{ servers: any, names: [pattern('*.example')] }], 'c.b.example', false],
  ['any name under the pattern *', [{ servers: any, names: [pattern('*')] }], 'c.b.example', true],
  ['a name that is allowed at another server only', [{ servers: [9], names: [pattern('*')] }], 'a.example', false],
  [
    'a name of the second rule',
    [
      { servers: [9], names: [] },
      { servers: [1002], names: [] },
    ],
    'a.example',
    true,
  ],
  ['anything where no rule speaks of the port', undefined, 'a.example', false],
];
test.each(questions)('%s', (_what, rules, asked, allowed) => {
  const { proxy, log } = proxyWith(rules);
  expect(proxy.question(EXCHANGE, query(asked), 5n).kind).toBe(allowed ? 'forward' : 'answer');
  expect(log).toMatchObject([
    { entryType: allowed ? 'Request' : 'Denied', query: `${asked.toLowerCase()}.`, qtype: 'A', timestampNs: 5n },
  ]);
});

test.each([
  ['REFUSED', undefined],
  ['NXDOMAIN', 'nameError'],
] as const)(
  'a question that no rule allows is answered %s by option, with its own id and question',
  (rcode, option) => {
    const { proxy } = proxyWith([], option);
    const verdict = proxy.question(EXCHANGE, query('a.example', { additionals: [] }), 0n);
    const bytes = verdict.kind === 'answer' ? verdict.bytes : new Uint8Array();
    expect(decode(Buffer.from(bytes))).toMatchObject({
      ...{ id: 4711, type: 'response', rcode, questions: [{ name: 'a.example', type: 'A' }], answers: [] },
    });
  },
);

test('a label with a dot in it is no dot between labels', () => {
  const bytes = query('aXexample');
  bytes[14] = '.'.charCodeAt(0);
  expect(readQuestion(bytes)?.name).toBe('a\\.example.');
  const { proxy } = proxyWith([{ servers: any, names: [name('a.example')] }]);
  expect(proxy.question(EXCHANGE, bytes, 0n).kind).toBe('answer');
});

test('an answer tells the addresses of the name asked for, with the least time of its chain', () => {
  const { proxy, log } = proxyWith([]);
  const cname: Answer = { type: 'CNAME', name: 'a.example', data: 'b.example', ttl: 10 };
  const bytes = answerTo('a.example', [cname, a('b.example', '192.0.2.1', 300), a('b.example', '192.0.2.2', 30)]);
  const { learned } = proxy.answer(EXCHANGE, query('a.example'), bytes, 9n)!;
  expect(learned).toEqual({ name: 'a.example.', addresses: ['192.0.2.1', '192.0.2.2'], ttlS: 10 });
  expect(log[0]).toMatchObject({ entryType: 'Response', answer: { cnames: ['b.example.'], ttlS: 10 } });
});

test.each([
  ['of another name', answerTo('a.example', [a('evil.example', '192.0.2.1', 30)])],
  ['to another question', answerTo('b.example', [a('b.example', '192.0.2.1', 30)])],
  ['that is cut off', answerTo('a.example', [a('a.example', '192.0.2.1', 30)]).subarray(0, 35)],
])('an answer %s teaches nothing, and the client gets SERVFAIL', (_what, bytes) => {
  const { learned, bytes: sent } = proxyWith([]).proxy.answer(EXCHANGE, query('a.example'), bytes, 0n)!;
  expect(learned).toBeUndefined();
  expect(readAnswer(sent)).toMatchObject({ rcode: RCODE.serverFailure, ips: [] });
});

test('an answer with another id is not the one', () => {
  expect(proxyWith([]).proxy.answer(EXCHANGE, query('a.example'), answerTo('a.example', [], { id: 1 }), 0n)).toBe(
    undefined,
  );
});

test('bytes of any kind are read in bounded time, and what is denied is answered in bounds', () => {
  const start = fc.constantFrom(query('a.example'), answerTo('a.example', [a('a.example', '192.0.2.1', 1)]));
  const change = fc.tuple(fc.nat(80), fc.nat(255));
  fc.assert(
    fc.property(start, fc.array(change, { maxLength: 8 }), fc.nat(80), (whole, changes, length) => {
      const bytes = Uint8Array.from(whole);
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
      const cut = bytes.subarray(0, Math.max(0, bytes.length - (length > 60 ? length - 60 : 0)));
      readAnswer(cut);
      if (readQuestion(cut) === undefined) return;
      const denied = answerWith(cut, RCODE.refused);
      expect(denied.length).toBeLessThanOrEqual(cut.length);
      expect([denied[0], denied[1], denied[3]! & 0x0f]).toEqual([cut[0], cut[1], RCODE.refused]);
    }),
    { seed, numRuns: 2000 },
  );
});
