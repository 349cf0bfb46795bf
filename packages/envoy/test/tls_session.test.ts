import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TlsEnds } from '../src/carrier.ts';
import { CompiledPolicy, encodeDiscoveryResponse, type PortNetworkPolicyRule, ProxyCore } from '../src/index.ts';
import { sessionFor } from '../src/sessions.ts';
import { ClientHelloReader } from '../src/tls/client_hello.ts';
import { clientHello, handshake, helloBody, record, serverNames, VERSIONS } from './hello.ts';
import { bytes, connection, coreWith, EMPIRE, httpRules, NOW, policyOf, SEED, seed, show, text } from './support.ts';

console.log(`seed ${seed}`);

const NAME = 'deathstar.test';
const BY_NAME: PortNetworkPolicyRule[] = [{ name: 'by name', serverNames: [NAME, '*.empire.test'] }];
const RESET = ['Denied', 'resetDownstream'];
/** A connection that nobody denied, but that is no ClientHello either. */
const ENDED = ['resetDownstream'];
const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

/** What the proxy does with these bytes, in one piece. */
function dial(rules: readonly PortNetworkPolicyRule[], first: Uint8Array, parser: 'tls' | 'http' = 'tls'): string[] {
  const core = coreWith(policyOf(rules));
  return [...show(core.open(connection(), NOW, parser)), ...show(core.data(1, 'downstream', first, NOW))];
}
const passed = (first: Uint8Array): string[] => [`>${text(first)}`];

const hostile: [name: string, first: Uint8Array, want: 'passed' | string[]][] = [
  ['the name', clientHello(NAME), 'passed'],
  ['the name in capitals', clientHello('DeathStar.TEST'), 'passed'],
  ['the name in records of two bytes', clientHello(NAME, 2), 'passed'],
  ['the name, and data behind it', Buffer.concat([clientHello(NAME), Buffer.from(record([1, 2], 23))]), 'passed'],
  ['a name that a pattern has', clientHello('a.empire.test'), 'passed'],
  ['two labels where the pattern has one', clientHello('a.b.empire.test'), RESET],
  ['another name', clientHello('xwing.test'), RESET],
  ['the name with a dot at its end', clientHello(`${NAME}.`), RESET],
  ['the name behind a NUL', clientHello(`xwing.test\0${NAME}`), RESET],
  ['the name before a NUL', clientHello(`${NAME}\0.xwing.test`), RESET],
  ['an address', clientHello('10.0.0.7'), RESET],
  ['no name', clientHello(undefined), RESET],
  ['an empty name', clientHello(''), RESET],
  ['the name beside another', new Uint8Array(record(handshake(1, helloBody(serverNames(NAME, 'b.test'))))), RESET],
  [
    'the name in one of two extensions',
    new Uint8Array(record(handshake(1, helloBody([...serverNames(NAME), ...serverNames('b.test')])))),
    RESET,
  ],
  ['a message cut short', new Uint8Array(record(handshake(1, helloBody(VERSIONS).slice(0, 40)))), RESET],
  ['HTTP', bytes(GET), RESET],
  ['an alert', new Uint8Array(record([2, 40], 21)), RESET],
  ['a message of 16 MiB', new Uint8Array(record([1, 0xff, 0xff, 0xff])), ENDED],
  ['half of it', clientHello(NAME).slice(0, 40), []],
];

describe('rules with names', () => {
  test.each(hostile)('%s', (_name, first, want) => {
    expect(dial(BY_NAME, first)).toEqual(want === 'passed' ? passed(first) : want);
  });

  test('beside a rule without names, everything goes on, TLS or not', () => {
    for (const first of [clientHello('xwing.test'), bytes(GET)])
      expect(dial([...BY_NAME, { name: 'any' }], first)).toEqual(passed(first));
  });

  test('who no rule is about is reset before it says anything', () => {
    const core = coreWith(policyOf([{ ...BY_NAME[0]!, remotePolicies: [EMPIRE + 7] }]));
    expect(show(core.open(connection(), NOW, 'tls'))).toEqual(RESET);
  });

  test('on a port with HTTP rules for others, what is passed on is read as HTTP', () => {
    const rules = [...BY_NAME, { name: 'get', httpRules: httpRules({ method: 'GET' }) }];
    expect(dial(rules, bytes(GET), 'http')[0]).toMatch(/^Request GET \//);
    expect(dial(rules, clientHello(NAME), 'http').join()).toMatch(/400 Bad Request/);
  });

  test('it is decided once: a policy that changes later does not end the connection', () => {
    const core = coreWith(policyOf(BY_NAME));
    core.open(connection(), NOW, 'tls');
    core.data(1, 'downstream', clientHello(NAME), NOW);
    core.applyPolicy(encodeDiscoveryResponse('2', [policyOf([{ serverNames: ['other.test'] }])]));
    expect(show(core.data(1, 'downstream', bytes('x'), NOW))).toEqual(['>x']);
    expect(show(core.data(1, 'upstream', bytes('y'), NOW))).toEqual(['<y']);
    expect(show(core.end(1, 'downstream', NOW))).toEqual(['endUpstream']);
    expect(show(core.end(1, 'upstream', NOW))).toEqual(['endDownstream']);
  });

  test('a client that leaves before it has said all is left', () => {
    const core = coreWith(policyOf(BY_NAME));
    core.open(connection(), NOW, 'tls');
    core.data(1, 'downstream', clientHello(NAME).slice(0, 9), NOW);
    expect(show(core.end(1, 'downstream', NOW))).toEqual(['closeDownstream']);
  });
});

test('TLS that ends at the proxy is refused where nobody can shake hands', () => {
  const { proxy } = JSON.parse(readFileSync(new URL('fixtures/tls.json', import.meta.url), 'utf8'));
  const core = new ProxyCore({ seed: SEED });
  expect(core.applyPolicy(encodeDiscoveryResponse('1', [policyOf([{ downstreamTlsContext: proxy }])]))).toEqual({
    ack: true,
  });
  core.open(connection(), NOW);
  expect(() => core.data(1, 'downstream', clientHello(NAME), NOW)).toThrow(
    'speaks TLS that ends at the proxy: recorded bytes cannot be replayed there',
  );
});

describe('a slow client', () => {
  const SECOND = 1_000_000_000n;

  test('has 15 seconds for its first flight, however busy it is', () => {
    const said: string[] = [];
    const policy = new CompiledPolicy(policyOf(BY_NAME));
    const sink = {
      logs: false,
      isFull: () => false,
      bytes: () => said.push('bytes'),
      add: (deed: string) => said.push(deed),
      secure: (_: TlsEnds) => said.push('secure'),
      log: () => {},
    };
    const options = { seed: SEED, http: undefined as never };
    const session = sessionFor('tls', connection(), options, () => policy, sink);
    session.open(NOW);
    const hello = clientHello(NAME);
    for (let second = 0n; second < 15n; second++) {
      session.data('downstream', hello.subarray(Number(second), Number(second) + 1), NOW + second * SECOND);
      session.tick(NOW + second * SECOND);
    }
    expect(said).toEqual([]);
    session.tick(NOW + 15n * SECOND);
    expect([said, session.closed]).toEqual([['resetDownstream'], true]);
  });
});

describe('any first flight', () => {
  const name = fc.constantFrom(NAME, 'DEATHSTAR.test', 'a.empire.test', 'xwing.test', undefined);
  const first = fc
    .tuple(name, fc.integer({ min: 1, max: 300 }), fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 3 }))
    .map(([asked, recordBytes, changes]) => {
      const hello = clientHello(asked, recordBytes);
      for (const [at, value] of changes) if (at < hello.length) hello[at] = value;
      return hello;
    });

  test('goes on whole and unchanged if it asks for an allowed name, and else not at all', () => {
    const counts = { passed: 0, reset: 0, waiting: 0 };
    fc.assert(
      fc.property(first, fc.array(fc.nat(400), { maxLength: 5 }), (flight, cuts) => {
        const core = coreWith(policyOf(BY_NAME));
        core.open(connection(), NOW, 'tls');
        const ends = [...cuts.filter((cut) => cut < flight.length).sort((a, b) => a - b), flight.length];
        let at = 0;
        const said: string[] = [];
        for (const end of ends) {
          said.push(...show(core.data(1, 'downstream', flight.subarray(at, end), NOW)));
          at = end;
        }
        // The model: ask the reader once, and the list of names plainly.
        const found = new ClientHelloReader().push(flight);
        const allowed =
          found.kind === 'tls' && /^(deathstar\.test|[-a-z0-9_]*\.empire\.test)$/.test(found.serverName ?? '');
        if (found.kind === 'more') expect(said).toEqual([]);
        else if (allowed) expect(said.map((one) => one.slice(1)).join('')).toBe(text(flight));
        else expect(said.at(-1)).toBe('resetDownstream');
        counts[found.kind === 'more' ? 'waiting' : allowed ? 'passed' : 'reset']++;
      }),
      { seed, numRuns: 1500 },
    );
    expect(Math.min(counts.passed, counts.reset)).toBeGreaterThan(50);
  });
});
