import { once } from 'node:events';
import type { ClientHttp2Session } from 'node:http2';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Answer, ask, http2Client, http2Server, redirected } from './http2_support.ts';
import { httpServer, type Live, liveProxy, PATIENT, Scope, tcpServer } from './live_support.ts';
import { ALLIANCE, bytes, connection, coreWith, EMPIRE, httpRules, NOW, policyOf, seed, show } from './support.ts';

console.log(`seed ${seed}`);

const RULES = httpRules({ method: 'POST', path: '/v1/request-landing' }, { path: '/public.*' });
const POLICY = policyOf([{ name: 'deathstar', remotePolicies: [EMPIRE], httpRules: RULES }], 0);
/** An endpoint that lets everybody do everything. */
const OPEN = 8;
const ANYTHING = policyOf([{ httpRules: httpRules({ path: '.*' }) }], 0);
const POLICIES = [POLICY, { ...ANYTHING, endpointId: OPEN, endpointIps: ['10.0.0.8'] }];
const LAND = { ':method': 'POST', ':path': '/v1/request-landing' };
const EXHAUST = { ':method': 'PUT', ':path': '/v1/exhaust-port' };
const PUBLIC = { ':path': '/public' };
const MIB = 1 << 20;
const SECOND = 1_000_000_000n;

const scope = new Scope();
/** Of the proxy that most tests share. */
const shared = new Scope();
let proxy: Live;
beforeAll(async () => {
  proxy = await liveProxy(shared, POLICIES);
});
afterEach(() => scope.close());
afterAll(() => shared.close());

const short = ({ status, body, code }: Answer): unknown[] => [status, body, code];

async function deathstar() {
  const seen: string[] = [];
  const server = await http2Server(scope, (stream, headers) => {
    seen.push(`${headers[':method']} ${headers[':path']}`);
    stream.resume().on('end', () => {
      stream.respond({ ':status': 200 });
      stream.end('Ship landed\n');
    });
  });
  return { seen, server, client: (over = {}) => http2Client(scope, proxy.port, server, over) };
}

/** A server of its own for one test, and a client that may do everything with it. */
async function before(listener: Parameters<typeof http2Server>[1], { port } = proxy): Promise<ClientHttp2Session> {
  return http2Client(scope, port, await http2Server(scope, listener), { endpointId: OPEN });
}

describe('a connection that begins with the preface of HTTP/2', () => {
  test('each stream is judged by itself, and logged as HTTP/2', async () => {
    const { client, seen } = await deathstar();
    const { log } = proxy;
    const start = log.length;
    const xwing = client();
    const answers = await Promise.all([LAND, EXHAUST, LAND].map((headers) => ask(xwing, headers)));
    expect(answers.map(short)).toEqual([
      [200, 'Ship landed\n', 0],
      [403, 'Access denied\r\n', 0],
      [200, 'Ship landed\n', 0],
    ]);
    expect(answers[1]!.headers).toMatchObject({
      'content-length': '15',
      'content-type': 'text/plain',
      server: 'envoy',
    });
    expect(seen).toEqual(['POST /v1/request-landing', 'POST /v1/request-landing']);
    await expect.poll(() => log.length - start, PATIENT).toBe(6);
    const ofStream = (n: number) =>
      log
        .slice(start)
        .filter(({ request }) => request === n)
        .map(({ record }) => record);
    expect(ofStream(1)).toMatchObject([
      { entryType: 'Denied', method: 'PUT', path: '/v1/exhaust-port', host: 'deathstar:80', protocol: 'HTTP/2' },
      { entryType: 'Response', method: 'PUT', status: 403, protocol: 'HTTP/2' },
    ]);
    expect(ofStream(2)).toMatchObject([{ entryType: 'Request', rule: 'deathstar' }, { status: 200 }]);
  });

  test('who may not connect is reset', async () => {
    const { client, seen } = await deathstar();
    expect((await ask(client({ remoteIdentity: ALLIANCE }), LAND)).status).toBeUndefined();
    expect(seen).toEqual([]);
  });

  test('the preface may come byte by byte; what only begins like it is HTTP/1', async () => {
    const { server } = await deathstar();
    const slow = redirected(scope, proxy.port, server);
    let got = Buffer.alloc(0);
    slow.on('data', (bytes: Buffer) => {
      got = Buffer.concat([got, bytes]);
    });
    for (const byte of 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0') {
      slow.write(byte, 'latin1');
      await new Promise((resolve) => setImmediate(resolve));
    }
    await expect.poll(() => got.length, PATIENT).toBeGreaterThan(9);
    expect(got[3]).toBe(4); // SETTINGS
    const other = redirected(scope, proxy.port, server);
    other.write('PRI * HTTP/1.1\r\nHost: a\r\n\r\n');
    const [answer] = await once(other, 'data');
    expect(`${answer}`).toMatch(/^HTTP\/1.1 400 /);
  });

  test.each<[string, Record<string, string>, number, Record<string, string>?]>([
    ['dot segments are resolved before the rules', { ':path': '/public/../v1/exhaust-port' }, 403],
    ['slashes are merged', { ':path': '//public//x' }, 200],
    ['an escaped slash is answered with a redirect', { ':path': '/public%2Fx' }, 307, { location: '/public/x' }],
    ['a path that cannot be normalised', { ':path': '/public%00' }, 400],
    ['what is no path', { ':method': 'OPTIONS', ':path': '*' }, 404],
    ['a host instead of an authority', { ':path': '/public', host: 'deathstar' }, 200],
    ['CONNECT', { ':method': 'CONNECT', ':authority': 'deathstar:80' }, 403],
  ])('%s', async (_name, headers, status, want = {}) => {
    const { client, seen } = await deathstar();
    const answer = await ask(client(), headers);
    expect(answer.status).toBe(status);
    expect(answer.headers).toMatchObject(want);
    expect(seen).toHaveLength(status === 200 ? 1 : 0);
  });

  test('whatever is asked, the answer is that of HTTP/1', async () => {
    const { client } = await deathstar();
    const xwing = client();
    const part = fc.constantFrom(
      'public',
      'v1',
      'request-landing',
      '..',
      '.',
      '',
      '%2e',
      '%2F',
      '%',
      'a b',
      'é',
      '?x',
      '#',
      '%00',
    );
    const path = fc.array(part, { maxLength: 5 }).map((parts) => `/${parts.join('/')}`);
    const method = fc.constantFrom('GET', 'POST', 'PUT', 'OPTIONS');
    await fc.assert(
      fc.asyncProperty(method, path, async (verb, target) => {
        const core = coreWith(POLICY);
        core.open(connection(), NOW);
        const asked = core.data(
          1,
          'downstream',
          bytes(`${verb} ${target} HTTP/1.1\r\nHost: deathstar:80\r\n\r\n`),
          NOW,
        );
        const [first] = show(asked).filter((line) => /^[<>]/.test(line));
        const status = first!.startsWith('>') ? 200 : Number(first!.slice('<HTTP/1.1 '.length).slice(0, 3));
        const answer = await ask(xwing, { ':method': verb, ':path': target });
        // What the codec resets, the other one answers with 400.
        expect([answer.status ?? 400, target]).toEqual([status, target]);
      }),
      { seed, numRuns: 150 },
    );
  });

  test('what is answered before policy is asked is logged as in HTTP/1', async () => {
    const { client } = await deathstar();
    await ask(client(), { ':path': '/a%2Fb' });
    await expect
      .poll(() => proxy.log.slice(-2).map(({ record }) => record), PATIENT)
      .toMatchObject([
        { entryType: 'Request', source: undefined },
        { entryType: 'Response', status: 307 },
      ]);
  });

  test('extended CONNECT is not offered', async () => {
    const { client } = await deathstar();
    const xwing = client();
    await new Promise((resolve) => xwing.once('remoteSettings', resolve));
    expect(xwing.remoteSettings.enableConnectProtocol).toBe(false);
  });

  test('the server gets what the client sent, as rules and the proxy left it', async () => {
    let got: readonly string[] = [];
    const client = await before((stream, _headers, raw) => {
      got = raw;
      stream.respond([':status', '200', 'set-cookie', 'a', 'x', '1', 'set-cookie', 'b', 'content-type', 'c']);
      stream.end();
    });
    const sent = [
      ':path',
      '/',
      ':authority',
      'deathstar',
      'host',
      'rebels',
      'cookie',
      'a=1',
      'x',
      '1',
      'cookie',
      'b=2',
    ];
    const answer = await ask(client, [...sent, 'te', 'trailers', 'x', 'caf\xe9', 'x-envoy-internal', 'no']);
    const lines = got.flatMap((name, at) => (at % 2 === 0 ? [`${name}: ${got[at + 1]}`] : []));
    expect(lines).toEqual([
      ...[':method: GET', ':scheme: http', ':authority: deathstar', ':path: /'],
      ...[
        'cookie: a=1; b=2',
        'x: 1',
        'x: caf\xe9',
        'te: trailers',
        'x-forwarded-proto: http',
        'x-envoy-internal: true',
      ],
      ...[expect.stringContaining('x-request-id: '), 'x-envoy-expected-rq-timeout-ms: 3600000'],
    ]);
    expect(answer.headers).toMatchObject({ 'set-cookie': ['a', 'b'], x: '1', 'content-type': 'c', server: 'envoy' });
  });

  test('bodies and trailers pass both ways', async () => {
    const client = await before((stream) => {
      let body = '';
      let trailers = {};
      stream.setEncoding('latin1').on('data', (part: string) => {
        body += part;
      });
      stream.on('trailers', (lines) => {
        trailers = { ...lines };
      });
      stream.on('end', () => {
        stream.respond({ ':status': 200 }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': 'all' }));
        stream.end(JSON.stringify({ body, trailers }));
      });
    });
    const answer = await ask(client, { ':method': 'POST' }, 'abc', { 'x-check': 'abc' });
    expect(JSON.parse(answer.body)).toEqual({ body: 'abc', trailers: { 'x-check': 'abc' } });
    expect(answer.trailers).toMatchObject({ 'x-sum': 'all' });
  });

  test('100-continue comes from the proxy, once the request is allowed', async () => {
    const { client } = await deathstar();
    const events: string[] = [];
    const stream = client().request({ ...PUBLIC, ':method': 'POST', expect: '100-continue' }, { endStream: false });
    stream.on('continue', () => {
      events.push('continue');
      stream.end('x');
    });
    stream.on('response', (headers) => events.push(`${headers[':status']}`)).resume();
    await new Promise((resolve) => stream.on('close', resolve));
    expect(events).toEqual(['continue', '200']);
  });

  test('an interim response of the server goes no further; HEAD has no body', async () => {
    const client = await before((stream) => {
      stream.additionalHeaders({ ':status': 103, link: '</a>' });
      stream.respond({ ':status': 200, 'content-length': '5' }, { endStream: true });
    });
    const answer = await ask(client, { ':method': 'HEAD' });
    expect(short(answer)).toEqual([200, '', 0]);
    expect(answer.headers['content-length']).toBe('5');
  });
});

describe('servers that fail', () => {
  test('a 5xx is tried again three times, with the same request', async () => {
    const bodies: string[] = [];
    const client = await before(async (stream) => {
      let body = '';
      for await (const part of stream) body += part;
      bodies.push(body);
      stream.respond({ ':status': bodies.length < 6 ? 503 : 200 });
      stream.end(`${bodies.length}`);
    });
    expect(short(await ask(client, { ':method': 'POST' }, 'hi'))).toEqual([503, '4', 0]);
    expect(short(await ask(client, { ':method': 'POST' }, 'ho'))).toEqual([200, '6', 0]);
    expect(bodies).toEqual(['hi', 'hi', 'hi', 'hi', 'ho', 'ho']);
  });

  test.each<[string, number, number, string]>([
    ['that refuses streams', 7, 503, 'remote refused stream reset'],
    ['that resets streams', 2, 503, 'remote reset'],
  ])('one %s', async (_name, code, status, reason) => {
    const client = await before((stream) => stream.close(code));
    const answer = await ask(client, PUBLIC);
    expect([answer.status, answer.body]).toEqual([status, expect.stringContaining(`latest reset reason: ${reason}`)]);
  });

  test('one that only speaks HTTP/1 is a protocol error: the connection to the server is HTTP/2, too', async () => {
    const server = await httpServer(scope, (_request, response) => response.end());
    const answer = await ask(http2Client(scope, proxy.port, server), PUBLIC);
    expect([answer.status, answer.body]).toEqual([502, expect.stringContaining('protocol error')]);
  });

  test('nobody listening', async () => {
    const closed = await tcpServer(scope, () => {});
    await scope.close();
    const answer = await ask(http2Client(scope, proxy.port, closed), PUBLIC);
    expect([answer.status, answer.body]).toEqual([503, expect.stringMatching(/remote connection failure$/)]);
  });

  test('one that resets inside its answer: the stream is reset, the connection goes on', async () => {
    const client = await before((stream, headers) => {
      stream.respond({ ':status': 200 });
      if (headers[':path'] === '/whole') stream.end('all');
      else stream.write('part', () => stream.destroy(new Error('torn')));
    });
    expect(await ask(client, { ':path': '/torn' })).toMatchObject({ status: 200, code: 2 });
    expect(short(await ask(client, { ':path': '/whole' }))).toEqual([200, 'all', 0]);
  });

  test('one that says GOAWAY is connected to again; what it was doing is finished', async () => {
    const sessions = new Set<unknown>();
    let finish = (): void => {};
    const client = await before((stream, headers) => {
      sessions.add(stream.session);
      stream.respond({ ':status': 200 });
      if (headers[':path'] !== '/first') stream.end('second');
      else {
        finish = () => stream.end('first');
        stream.write('', () => stream.session!.goaway(0));
      }
    });
    const first = ask(client, { ':path': '/first' });
    await expect.poll(() => sessions.size, PATIENT).toBe(1);
    await expect.poll(async () => (await ask(client, { ':path': '/second' })).body && sessions.size, PATIENT).toBe(2);
    finish();
    expect(short(await first)).toEqual([200, 'first', 0]);
  });

  test('one that does not answer: 504; one whose client does not finish: 408', async () => {
    const http = { requestTimeoutNs: SECOND / 10n, routeIdleTimeoutNs: SECOND / 10n };
    const client = await before((stream) => stream.resume(), await liveProxy(scope, POLICIES, { http }));
    expect(await ask(client, PUBLIC)).toMatchObject({ status: 504, body: 'upstream request timeout' });
    const stream = client.request({ ':method': 'POST' }, { endStream: false });
    const headers = await new Promise<Record<string, unknown>>((resolve) => stream.on('response', resolve));
    expect(headers[':status']).toBe(408);
  });
});

describe('clients that leave', () => {
  test('a stream that is reset is reset at the server, too; the others go on', async () => {
    const codes: (number | undefined)[] = [];
    const client = await before((stream, headers) => {
      stream.on('close', () => codes.push(stream.rstCode));
      stream.respond({ ':status': 200 });
      if (headers[':path'] === '/stay') stream.end('stayed');
      else stream.write('x');
    });
    const left = client.request({ ':path': '/leave' });
    left.on('error', () => {});
    await new Promise((resolve) => left.once('data', resolve));
    left.close(8);
    await expect.poll(() => codes, PATIENT).toEqual([8]);
    expect((await ask(client, { ':path': '/stay' })).body).toBe('stayed');
  });

  test('a connection that ends takes the one to the server along', async () => {
    let ended = 0;
    const client = await before((stream) => stream.on('close', () => ended++));
    client.request(PUBLIC).on('error', () => {});
    await new Promise((resolve) => setTimeout(resolve, 50));
    client.destroy();
    await expect.poll(() => ended, PATIENT).toBe(1);
  });
});

describe('streams of bytes', () => {
  test('pass both ways at once, more than anybody keeps in memory', async () => {
    const client = await before((stream) => {
      stream.respond({ ':status': 200 });
      stream.pipe(stream);
    });
    const body = 'x'.repeat(2 * MIB);
    const answers = await Promise.all([1, 2, 3].map(() => ask(client, { ':method': 'PUT' }, body)));
    expect(answers.map(({ body: got, code }) => [got === body, code])).toEqual([
      [true, 0],
      [true, 0],
      [true, 0],
    ]);
  });

  test('a client that does not read holds the server back', async () => {
    let written = 0;
    const client = await before((stream) => {
      stream.respond({ ':status': 200 });
      const piece = Buffer.alloc(MIB);
      const more = (): void => {
        while (written < 64 * MIB) {
          written += MIB;
          if (!stream.write(piece)) return;
        }
      };
      stream.on('drain', more);
      more();
    });
    const stream = client.request(PUBLIC);
    await new Promise((resolve) => stream.on('response', resolve));
    for (let last = -1; last !== written; ) {
      last = written;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    expect(written).toBeLessThan(8 * MIB);
  });

  test('a server that does not read holds the client back', async () => {
    const client = await before((stream) => stream.pause());
    const stream = client.request({ ':method': 'PUT' }, { endStream: false });
    stream.on('error', () => {});
    let sent = 0;
    const piece = Buffer.alloc(64 * 1024);
    const more = (): void => {
      stream.write(piece, () => {
        sent += piece.length;
        if (sent < 64 * MIB) more();
      });
    };
    more();
    for (let last = -1; last !== sent; ) {
      last = sent;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    expect(sent).toBeLessThan(8 * MIB);
  });

  test('a client that goes on talking after its answer is told to stop', async () => {
    const { client } = await deathstar();
    const stream = client().request(EXHAUST, { endStream: false });
    stream.on('error', () => {});
    const body: string[] = [];
    stream.setEncoding('latin1').on('data', (part: string) => body.push(part));
    stream.write('x');
    await new Promise((resolve) => stream.on('close', resolve));
    expect([body.join(''), stream.rstCode]).toEqual(['Access denied\r\n', 0]);
  });
});
