import { describe, expect, test } from 'vitest';
import { encodeDiscoveryResponse, type ProxyAction } from '../src/index.ts';
import { ALLIANCE, bytes, connection, coreWith, EMPIRE, httpRules, LANDING, NOW, policyOf, show } from './support.ts';

const LAND = 'POST /v1/request-landing HTTP/1.1\r\nHost: deathstar\r\n\r\n';
const EXHAUST = 'PUT /v1/exhaust-port HTTP/1.1\r\nHost: deathstar\r\n\r\n';
const SHIP = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\nShip landed\n';
const MS = 1_000_000n;
const DATE = 'date: Tue, 01 Jul 2025 00:00:00 GMT';

const FORWARDED = [
  '>POST /v1/request-landing HTTP/1.1\r\n',
  'host: deathstar\r\n',
  'x-forwarded-proto: http\r\n',
  'x-envoy-internal: true\r\n',
  'x-request-id: ID\r\n',
  'x-envoy-expected-rq-timeout-ms: 3600000\r\n',
  'content-length: 0\r\n\r\n',
].join('');
const LANDED = [
  '<HTTP/1.1 200 OK\r\n',
  'content-type: text/plain\r\n',
  'content-length: 12\r\n',
  'x-envoy-upstream-service-time: 0\r\n',
  `${DATE}\r\n`,
  'server: envoy\r\n\r\n',
  'Ship landed\n',
].join('');
const DENIED = [
  '<HTTP/1.1 403 Forbidden\r\n',
  'content-length: 15\r\n',
  'content-type: text/plain\r\n',
  `${DATE}\r\n`,
  'server: envoy\r\n\r\n',
  'Access denied\r\n',
].join('');
const CLOSING = DENIED.replace('server: envoy\r\n', 'server: envoy\r\nconnection: close\r\n');
const DENIED_LOG = ['Denied PUT /v1/exhaust-port', 'Response PUT /v1/exhaust-port 403'];

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/g;
const lines = (actions: readonly ProxyAction[]): string[] => show(actions).map((line) => line.replace(UUID, 'ID'));

/** A client of the empire on a connection that policy LANDING lets it have. */
function dial(policy = LANDING, over: Parameters<typeof connection>[0] = {}) {
  const core = coreWith(policy);
  expect(core.open(connection(over), NOW)).toEqual([]);
  return {
    core,
    client: (value: string, now = NOW) => lines(core.data(1, 'downstream', bytes(value), now)),
    server: (value: string, now = NOW) => lines(core.data(1, 'upstream', bytes(value), now)),
    serverEnds: () => lines(core.end(1, 'upstream', NOW)),
    serverResets: () => lines(core.abort(1, 'upstream', NOW)),
    clientEnds: () => lines(core.end(1, 'downstream', NOW)),
    clientResets: () => lines(core.abort(1, 'downstream', NOW)),
  };
}
/** May do anything over HTTP. */
const FREE = policyOf([{ name: 'free', httpRules: httpRules({}) }]);
const headOf = (line: string | undefined, name: string): string | undefined =>
  line?.split('\r\n').find((header) => header.startsWith(`${name}: `));

describe('verdicts', () => {
  test('a client that no rule names is reset', () => {
    const opened = coreWith(LANDING).open(connection({ remoteIdentity: ALLIANCE }), NOW);
    expect(show(opened)).toEqual(['Denied', 'resetDownstream']);
    expect(opened[0]).toMatchObject({
      record: { timestampNs: NOW, sourceIdentity: ALLIANCE, source: { port: 40000 } },
    });
  });

  test('an allowed request goes to the server, its answer to the client', () => {
    const { client, server } = dial();
    expect(client(LAND)).toEqual(['Request POST /v1/request-landing', FORWARDED]);
    expect(server(SHIP)).toEqual(['Response POST /v1/request-landing 200', LANDED]);
  });

  test('a denied request is answered with these bytes, and the connection stays', () => {
    const { client } = dial();
    expect(client(EXHAUST)).toEqual([...DENIED_LOG, DENIED]);
    expect(client(EXHAUST)).toEqual([...DENIED_LOG, DENIED]);
    expect(client(LAND)).toEqual(['Request POST /v1/request-landing', FORWARDED]);
  });

  test('HEAD gets the head of the 403 alone', () => {
    const { client } = dial();
    const head = DENIED.replace('Access denied\r\n', '');
    expect(client(EXHAUST.replace('PUT', 'HEAD')).at(-1)).toBe(head);
  });

  test('a denied request with a body ends the connection, as Envoy does not wait for the rest', () => {
    const { client } = dial();
    const put = EXHAUST.replace('\r\n\r\n', '\r\nContent-Length: 5\r\n\r\n');
    expect(client(`${put}ab`)).toEqual([...DENIED_LOG, CLOSING, 'closeDownstream']);
    expect(client(`cde${LAND}`)).toEqual([]);
  });

  test('a body of no bytes is no body', () => {
    const { client } = dial();
    expect(client(EXHAUST.replace('\r\n\r\n', '\r\nContent-Length: 0\r\n\r\n')).at(-1)).toBe(DENIED);
  });

  test('pipelined requests are answered in order, one judged after the other', () => {
    const { client, server } = dial();
    expect(client(EXHAUST + LAND + EXHAUST + LAND)).toEqual([
      ...[...DENIED_LOG, DENIED],
      ...['Request POST /v1/request-landing', FORWARDED],
    ]);
    expect(server(SHIP)).toEqual([
      ...['Response POST /v1/request-landing 200', LANDED],
      ...[...DENIED_LOG, DENIED],
      ...['Request POST /v1/request-landing', FORWARDED],
    ]);
  });

  test('a request waiting behind another is judged by the policy of its own moment', () => {
    const { core, client, server } = dial();
    client(LAND + LAND);
    const answer = core.applyPolicy(
      encodeDiscoveryResponse('2', [policyOf([{ httpRules: httpRules({ path: '/x' }) }])]),
    );
    expect(answer).toEqual({ ack: true });
    const log = ['Denied POST /v1/request-landing', 'Response POST /v1/request-landing 403'];
    expect(server(SHIP).slice(2)).toEqual([...log, DENIED]);
  });

  test('the log says who, where, when and which rule', () => {
    const core = coreWith(LANDING);
    core.open(connection({ localIdentity: 2002 }), NOW);
    const [request] = core.data(1, 'downstream', bytes(LAND), NOW);
    const [response] = core.data(1, 'upstream', bytes(SHIP), NOW + 5n * MS);
    const record = {
      timestampNs: NOW,
      entryType: 'Request',
      isIngress: true,
      sourceIdentity: EMPIRE,
      destinationIdentity: 2002,
      source: { ip: 0x0a000009, port: 40000 },
      destination: { ip: 0x0a000007, port: 80 },
      method: 'POST',
      path: '/v1/request-landing',
      host: 'deathstar',
      protocol: 'HTTP/1.1',
      status: undefined,
      latencyNs: undefined,
      rule: 'deathstar',
    };
    expect(request).toEqual({ type: 'log', request: 0, record });
    const answered = { ...record, entryType: 'Response', timestampNs: NOW + 5n * MS, status: 200, latencyNs: 5n * MS };
    expect(response).toEqual({ type: 'log', request: 0, record: answered });
    const [denied] = core.data(1, 'downstream', bytes(EXHAUST), NOW + 6n * MS);
    expect(denied).toMatchObject({ record: { entryType: 'Denied', timestampNs: NOW + 6n * MS, rule: undefined } });
  });
});

describe('answers of the proxy before policy', () => {
  const reply = (status: string, ...headers: string[]): string =>
    `<HTTP/1.1 ${status}\r\n${headers.join('\r\n')}\r\n\r\n`;
  const empty = (status: string): string => reply(status, DATE, 'server: envoy', 'content-length: 0');
  const last = (status: string): string =>
    reply(status, DATE, 'server: envoy', 'connection: close', 'content-length: 0');
  const codec = (status: string, body: string): string =>
    reply(
      status,
      `content-length: ${body.length}`,
      'content-type: text/plain',
      DATE,
      'server: envoy',
      'connection: close',
    ) + body;
  const redirect = reply('307 Temporary Redirect', 'location: /a/b?c', DATE, 'server: envoy', 'content-length: 0');
  const get = (target: string, headers = 'Host: a\r\n'): string => `GET ${target} HTTP/1.1\r\n${headers}\r\n`;
  const websocket = 'Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n';

  const scenarios: [name: string, request: string, want: string[]][] = [
    ['escaped slashes: asked to come again', get('/a%2Fb?c'), [redirect]],
    ['a fragment', get('/a#b'), [last('400 Bad Request'), 'closeDownstream']],
    ['an upgrade', get('/', websocket), [last('403 Forbidden'), 'closeDownstream']],
    ['CONNECT', 'CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n', [last('403 Forbidden'), 'closeDownstream']],
    ['a target that is no path', 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n', [empty('404 Not Found')]],
    ['no host', get('/', ''), [last('400 Bad Request'), 'closeDownstream']],
    ['two hosts', get('/', 'Host: a\r\nHost: b\r\n'), [last('400 Bad Request'), 'closeDownstream']],
    ['a host that is none', get('/', 'Host: a/b\r\n'), [last('400 Bad Request'), 'closeDownstream']],
    ['HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n', [codec('426 Upgrade Required', 'Upgrade Required'), 'closeDownstream']],
    ['a malformed target', get('a'), [codec('400 Bad Request', 'Bad Request'), 'closeDownstream']],
    ['another scheme', get('ftp://a/'), [codec('400 Bad Request', 'Bad Request'), 'closeDownstream']],
    ['a malformed head', 'GET /\r\n\r\n', [codec('400 Bad Request', 'Bad Request'), 'closeDownstream']],
    [
      'an unknown coding',
      get('/', 'Host: a\r\nTransfer-Encoding: x\r\n'),
      [codec('501 Not Implemented', 'Not Implemented'), 'closeDownstream'],
    ],
    [
      'too many headers',
      get('/', 'a: b\r\n'.repeat(101)),
      [codec('431 Request Header Fields Too Large', 'Request Header Fields Too Large'), 'closeDownstream'],
    ],
    [
      'dropping headers that framing rests on',
      get('/', 'Host: a\r\nConnection: Content-Length\r\n'),
      [codec('400 Bad Request', 'Bad Request'), 'closeDownstream'],
    ],
  ];
  test.each(scenarios)('%s', (_name, request, want) => {
    const { client } = dial(FREE);
    const status = want[0]!.slice('<HTTP/1.1 '.length, '<HTTP/1.1 400'.length);
    const [entry, answer, ...said] = client(request);
    expect(said).toEqual(want);
    // Logged by a filter that has not seen the request.
    expect([entry, answer]).toEqual([status === '403' ? 'Denied' : 'Request', `Response ${status}`]);
    if (want.includes('closeDownstream')) expect(client(LAND)).toEqual([]);
    else expect(client(LAND)[1]).toContain('>POST');
  });

  test('a body that breaks off ends in 400, and the server hears no more', () => {
    const { client } = dial(FREE);
    client(`${LAND.replace('\r\n\r\n', '\r\nTransfer-Encoding: chunked\r\n\r\n')}3\r\nabc\r\n`);
    const want = codec('400 Bad Request', 'Bad Request');
    const log = 'Response POST /v1/request-landing 400';
    expect(client(`zz\r\n${LAND}`)).toEqual([log, want, 'closeUpstream', 'closeDownstream']);
  });
});

describe('what the server gets', () => {
  const upstreamOf = (request: string, over = {}): string => dial(FREE, over).client(request).at(-1)!;

  test('the path as policy saw it', () => {
    expect(upstreamOf('GET /x/../v1//%70?q=/.. HTTP/1.1\r\nHost: a\r\n\r\n')).toContain(
      '>GET /v1/p?q=/.. HTTP/1.1\r\n',
    );
  });

  test('the host of an absolute target, whatever the header says', () => {
    const request = upstreamOf('GET http://b:8080?q HTTP/1.1\r\nX: y\r\nHost: a\r\n\r\n');
    expect(request.startsWith('>GET /?q HTTP/1.1\r\nhost: b:8080\r\nx: y\r\n')).toBe(true);
  });

  test('nothing of what concerned only the client and the proxy', () => {
    const own = 'Connection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTE: trailers, x\r\nProxy-Connection: a\r\n';
    const request = upstreamOf(
      `GET / HTTP/1.1\r\nHost: a\r\n${own}X-Envoy-Internal: no\r\nExpect: 100-continue\r\n\r\n`,
    );
    const names = request.split('\r\n').slice(1, -2);
    expect(names.map((line) => line.split(':')[0])).toEqual([
      ...['host', 'te', 'x-forwarded-proto', 'x-envoy-internal', 'x-request-id', 'x-envoy-expected-rq-timeout-ms'],
    ]);
    expect(headOf(request, 'te')).toBe('te: trailers');
    expect(headOf(request, 'x-envoy-internal')).toBe('x-envoy-internal: true');
  });

  test('the request id of a client inside, a new one for a client outside', () => {
    const sent = 'GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: mine\r\nX-Envoy-Max-Retries: 9\r\n\r\n';
    const inside = upstreamOf(sent);
    expect(headOf(inside, 'x-request-id')).toBe('x-request-id: mine');
    expect(headOf(inside, 'x-envoy-max-retries')).toBe('x-envoy-max-retries: 9');
    const outside = upstreamOf(sent, { source: { ip: 0x08080808, port: 1 } });
    expect(headOf(outside, 'x-request-id')).toBe('x-request-id: ID');
    expect(headOf(outside, 'x-envoy-external-address')).toBe('x-envoy-external-address: 8.8.8.8');
    expect(headOf(outside, 'x-envoy-max-retries')).toBeUndefined();
    expect(headOf(outside, 'x-envoy-internal')).toBeUndefined();
  });

  test('request ids that depend on seed, connection and place alone', () => {
    const first = () => {
      const core = coreWith(FREE);
      core.open(connection(), NOW);
      return show(core.data(1, 'downstream', bytes(LAND), NOW))
        .at(-1)!
        .match(UUID)![0];
    };
    expect(first()).toBe(first());
    const { core } = dial(FREE);
    core.open(connection({ id: 2 }), NOW);
    const other = show(core.data(2, 'downstream', bytes(LAND), NOW))
      .at(-1)!
      .match(UUID)![0];
    expect(other).not.toBe(first());
  });

  test('a body as it comes, in chunks as they were cut, without extensions and trailers', () => {
    const { client } = dial(FREE);
    const head = client('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n').at(-1)!;
    expect(headOf(head, 'transfer-encoding')).toBe('transfer-encoding: chunked');
    expect(client('00A;x=y\r\n01234')).toEqual(['>a\r\n01234']);
    expect(client('56789')).toEqual(['>56789\r\n']);
    expect(client('\r\n0\r\nX: y\r\n\r\n')).toEqual(['>0\r\n\r\n']);
  });

  test('its body only after the proxy, not the server, said to go on', () => {
    const { client, server } = dial(FREE);
    const expecting = 'PUT /a HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\n';
    const [goOn, log, head] = client(expecting);
    expect([goOn, log]).toEqual(['<HTTP/1.1 100 Continue\r\n\r\n', 'Request PUT /a']);
    expect(headOf(head, 'content-length')).toBe('content-length: 3');
    expect(client('abc')).toEqual(['>abc']);
    expect(server(`HTTP/1.1 100 Continue\r\n\r\n${SHIP}`)).toHaveLength(2);
  });
});

describe('what the client gets', () => {
  test('headers of the server except its own name and what concerned only the proxy', () => {
    const { client, server } = dial();
    client(LAND);
    const headers =
      'Server: node\r\nDate: x\r\nKeep-Alive: timeout=5\r\nConnection: keep-alive\r\nContent-Length: 0\r\n';
    const [, head] = server(`HTTP/1.1 201 Made\r\n${headers}\r\n`, NOW + 7n * MS);
    expect(head).toBe(
      '<HTTP/1.1 201 Created\r\nserver: envoy\r\ndate: x\r\ncontent-length: 0\r\nx-envoy-upstream-service-time: 7\r\n\r\n',
    );
  });

  test('a body that ends with its connection comes in chunks; the next request finds a new connection', () => {
    const { client, server, serverEnds } = dial();
    client(LAND);
    expect(server('HTTP/1.1 200 OK\r\n\r\nShip').at(-1)).toMatch(/transfer-encoding: chunked\r\n\r\n4\r\nShip\r\n$/);
    expect(serverEnds()).toEqual(['<0\r\n\r\n', 'closeUpstream']);
    expect(client(LAND)).toEqual(['Request POST /v1/request-landing', FORWARDED]);
    expect(server(SHIP)).toEqual(['Response POST /v1/request-landing 200', LANDED]);
  });

  const lastShip = SHIP.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n');

  test("the end of the connection, if the server announces its own and both have the client's address and port", () => {
    const { client, server } = dial(LANDING, { originalSource: true });
    client(LAND + LAND);
    const [, answer, ...ends] = server(lastShip);
    expect(headOf(answer, 'connection')).toBe('connection: close');
    expect(ends).toEqual(['closeUpstream', 'closeDownstream']);
  });

  test("nothing of the server's announced end otherwise: the next request goes on another connection to it", () => {
    const { client, server } = dial();
    client(LAND + LAND);
    const [, answer, ...then] = server(lastShip);
    expect(headOf(answer, 'connection')).toBeUndefined();
    expect(then).toEqual(['closeUpstream', 'Request POST /v1/request-landing', FORWARDED]);
    expect(server(SHIP)).toEqual(['Response POST /v1/request-landing 200', LANDED]);
  });

  test('the end of the connection, if it asked for it', () => {
    const { client, server } = dial();
    const closing = (request: string) => request.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n');
    client(closing(LAND));
    expect(server(SHIP).slice(2)).toEqual(['closeUpstream', 'closeDownstream']);
    expect(dial().client(closing(EXHAUST) + LAND)).toEqual([...DENIED_LOG, CLOSING, 'closeDownstream']);
  });

  test('an answer that comes before the request is complete ends the connection', () => {
    const { client, server } = dial();
    client(LAND.replace('\r\n\r\n', '\r\nContent-Length: 5\r\n\r\nab'));
    const [, answer, ...ends] = server(SHIP);
    expect(headOf(answer, 'x-envoy-upstream-service-time')).toBeUndefined();
    expect(ends).toEqual(['closeUpstream', 'closeDownstream']);
  });

  test('503 if the server ends or resets before it answers; the next request finds a new connection', () => {
    const { client, server, serverEnds, serverResets } = dial();
    const failed = ['Response POST /v1/request-landing 503', expect.stringContaining('503 Service Unavailable')];
    client(LAND);
    expect(serverEnds()).toEqual(['closeUpstream', ...failed]);
    expect(client(LAND).at(-1)).toBe(FORWARDED);
    expect(serverResets()).toEqual(failed);
    client(LAND);
    server('HTTP/1.1 200');
    expect(serverEnds()).toEqual(['closeUpstream', ...failed]);
  });

  test('502 if the server does not speak HTTP', () => {
    const { client, server } = dial();
    client(LAND);
    const [close, log, reply] = server('SSH-2.0\r\n\r\n');
    expect([close, log]).toEqual(['closeUpstream', 'Response POST /v1/request-landing 502']);
    expect(reply).toMatch(/^<HTTP\/1.1 502 Bad Gateway\r\n.*reset reason: protocol error$/s);
  });

  test('nothing more if the server ends inside its answer', () => {
    const { client, server, serverEnds } = dial();
    client(LAND);
    server(SHIP.slice(0, -3));
    expect(serverEnds()).toEqual(['closeUpstream', 'closeDownstream']);
  });
});

describe('ends', () => {
  test('a client that closes takes the server along, also in the middle', () => {
    const { client, clientEnds, server } = dial();
    client(LAND);
    expect(clientEnds()).toEqual(['closeUpstream', 'closeDownstream']);
    expect(server(SHIP)).toEqual([]);
  });

  test('a client that resets is not written to', () => {
    const { client, clientResets } = dial();
    client(LAND);
    expect(clientResets()).toEqual(['closeUpstream']);
  });

  test('a server that closes between requests is not missed', () => {
    const { client, server, serverEnds } = dial();
    client(LAND);
    server(SHIP);
    expect(serverEnds()).toEqual(['closeUpstream']);
    expect(client(LAND).at(-1)).toBe(FORWARDED);
  });

  test('a server that speaks unasked is closed', () => {
    const { client, server } = dial();
    client(LAND);
    expect(server(SHIP + SHIP).at(-1)).toBe('closeUpstream');
  });

  test('an id is free again after the end, not before', () => {
    const { core, clientEnds } = dial();
    expect(() => core.open(connection(), NOW)).toThrow(expect.objectContaining({ code: 'EXISTS' }));
    clientEnds();
    expect(core.open(connection(), NOW)).toEqual([]);
  });
});

test('without HTTP rules for the port every request passes: the connection was judged', () => {
  const { client } = dial(policyOf([{ name: 'l4', remotePolicies: [EMPIRE] }]));
  expect(client(EXHAUST)[0]).toBe('Request PUT /v1/exhaust-port');
});

describe('header rules', () => {
  const acting = (name: string, value: string, mismatchAction: 'REPLACE_ON_MISMATCH' | 'DELETE_ON_MISMATCH') =>
    policyOf([{ name: 'acting', httpRules: { httpRules: [{ headerMatches: [{ name, value, mismatchAction }] }] } }]);

  test('the server gets the request as rules left it, and the log says what they found', () => {
    const { core } = dial(acting('X-Key', 'new', 'REPLACE_ON_MISMATCH'));
    const request = 'GET / HTTP/1.1\r\nHost: deathstar\r\nX-Key: old\r\n\r\n';
    const actions = core.data(1, 'downstream', bytes(request), NOW);
    const [record] = actions.flatMap((action) => (action.type === 'log' ? [action.record] : []));
    expect(record).toMatchObject({
      missingHeaders: [{ name: 'x-key', value: 'new' }],
      rejectedHeaders: [{ name: 'x-key', value: 'old' }],
    });
    expect(headOf(lines(actions).at(-1), 'x-key')).toBe('x-key: new');
  });

  test('a value is bytes: of none of its characters a line feed remains', () => {
    const { client } = dial(acting('X-Key', 'a\u010ab', 'REPLACE_ON_MISMATCH'));
    const [, forwarded] = client('GET / HTTP/1.1\r\nHost: deathstar\r\nX-Key: old\r\n\r\n');
    expect(headOf(forwarded, 'x-key')).toBe('x-key: a\xc4\x8ab');
  });

  test.each(['REPLACE_ON_MISMATCH', 'DELETE_ON_MISMATCH'] as const)(
    '%s of content-length does not change where the body ends',
    (mismatchAction) => {
      const { client } = dial(acting('Content-Length', '1', mismatchAction));
      const [, forwarded] = client('POST / HTTP/1.1\r\nHost: deathstar\r\nContent-Length: 5\r\n\r\nabcde');
      expect(headOf(forwarded, 'content-length')).toBe('content-length: 5');
      expect(forwarded?.endsWith('\r\n\r\nabcde')).toBe(true);
    },
  );

  test('a request that rules leave without a path is answered with 503', () => {
    const { client } = dial(acting(':path', '/other', 'DELETE_ON_MISMATCH'));
    const answer = client('GET / HTTP/1.1\r\nHost: deathstar\r\n\r\n').at(-1);
    expect(answer).toMatch(/^<HTTP\/1.1 503 [\s\S]*missing required header: :path$/);
  });
});
