import { createServer, type Server } from 'node:http';
import { Duplex } from 'node:stream';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { isHttpLog, type ProxyAction, RequestDecoder } from '../src/index.ts';
import { HOSTILE } from './hostile_corpus.ts';
import { Client, httpServer, type Live, liveProxy, PATIENT, Scope, tcpServer } from './live_support.ts';
import { bytes, connection, coreWith, httpRules, NOW, policyOf, seed } from './support.ts';

console.log(`seed ${seed}`);

const RULES = httpRules({ method: 'GET|POST', path: '/public.*' });
const PUBLIC = policyOf([{ name: 'public', httpRules: RULES }], 0);
const LAST = 'GET /public/last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n';

describe('the corpus, on sockets, before a server of node:http', () => {
  const scope = new Scope();
  let live: Live;
  beforeAll(async () => {
    live = await liveProxy(scope, [PUBLIC]);
  });
  afterAll(() => scope.close());

  test.each(HOSTILE)('$name', async (row) => {
    const seen: string[] = [];
    const server = await httpServer(scope, (request, response) => {
      seen.push(`${request.method} ${request.url}`);
      request
        .on('error', () => {})
        .resume()
        .on('end', () => response.end());
    });
    const client = new Client(scope, live.port, server).send(row.bytes + LAST);
    await client.until('closed');
    const statuses = client.received.match(/^HTTP\/1.1 \d+/gm)?.map((line) => Number(line.slice(9)));
    expect(statuses).toEqual(row.answers);
    if (statuses!.at(-1) === 200) expect(seen).toEqual(row.seen);
    else expect(row.seen).toEqual(expect.arrayContaining(seen));
  });
});

describe('peers that stop, or never do', () => {
  const scope = new Scope();
  afterEach(() => scope.close());
  const served = (live: Live, server: number) => new Client(scope, live.port, server).send(LAST).until('closed');

  test('many that say their head byte by byte: others are served, and each gets 408', async () => {
    const server = await httpServer(scope, (_request, response) => response.end());
    const live = await liveProxy(scope, [PUBLIC], { http: { streamIdleTimeoutNs: 100_000_000n } });
    const slow = Array.from({ length: 200 }, () => new Client(scope, live.port, server).send('G'));
    for (const part of 'ET /public HTT') for (const client of slow) client.send(part);
    expect(await served(live, server)).toContain('200 OK');
    for (const client of slow) await client.until('closed');
    expect(slow.every(({ received }) => received.startsWith('HTTP/1.1 408 '))).toBe(true);
  });

  test('a client that half-closes has left: no answer, and the server is left, too', async () => {
    let closed = 0;
    const server = await tcpServer(scope, (socket) => socket.resume().on('end', () => closed++));
    const live = await liveProxy(scope, [PUBLIC]);
    const client = new Client(scope, live.port, server).send('GET /public HTTP/1.1\r\nHost: a\r\n\r\n');
    await expect.poll(() => live.log.length, PATIENT).toBe(1);
    client.socket.end();
    await client.until('closed');
    expect(client.received).toBe('');
    await expect.poll(() => closed, PATIENT).toBe(1);
  });

  test('a client that resets in the middle of a body: the server hears of it', async () => {
    const ends: string[] = [];
    const server = await tcpServer(scope, (socket) => socket.resume().on('end', () => ends.push('closed')));
    const live = await liveProxy(scope, [PUBLIC]);
    const client = new Client(scope, live.port, server);
    client.send('POST /public HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc');
    await expect.poll(() => live.log.length, PATIENT).toBe(1);
    client.socket.resetAndDestroy();
    await expect.poll(() => ends, PATIENT).toEqual(['closed']);
  });

  test('a body without end for a server that does not read is held back; others are served', async () => {
    const server = await tcpServer(scope, (socket) => socket.pause());
    const other = await httpServer(scope, (_request, response) => response.end());
    const live = await liveProxy(scope, [PUBLIC]);
    const client = new Client(scope, live.port, server);
    client.send('POST /public HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999\r\n\r\n');
    const piece = 'x'.repeat(1 << 20);
    let sent = 0;
    for (; sent < 128; sent++) {
      client.send(piece);
      if (client.socket.writableLength > 8 << 20) break;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(sent).toBeLessThan(128);
    expect(await served(live, other)).toContain('200 OK');
  });

  test.each([
    ['two lengths', `HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nab`],
    ['both lengths', `HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['a protocol switch', `HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n`],
    ['a head without end', `HTTP/1.1 200 OK\r\nX: ${'y'.repeat(70_000)}`],
    ['a split head', 'HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\n\r\n'],
  ])('a server that answers with %s: 502 after the retries', async (_name, answer) => {
    const server = await tcpServer(scope, (socket) => socket.once('data', () => socket.write(answer, 'latin1')));
    const live = await liveProxy(scope, [PUBLIC]);
    expect(await served(live, server)).toMatch(/^HTTP\/1.1 502 .*protocol error$/s);
  });
});

describe('whatever a client sends', () => {
  /** What node:http makes of the bytes that the proxy sent on one connection. */
  async function understoodBy(server: Server, sent: Buffer, seen: string[]): Promise<void> {
    const link = new Duplex({ read() {}, write: (_bytes, _encoding, done) => done() });
    const requests: string[] = [];
    const listen = (request: { method?: string; url?: string; resume(): unknown }, response: { end(): void }): void => {
      requests.push(`${request.method} ${request.url}`);
      request.resume();
      response.end();
    };
    server.on('request', listen);
    server.emit('connection', link);
    link.push(sent);
    for (let turn = 0; turn < 8; turn++) await new Promise((resolve) => setImmediate(resolve));
    server.off('request', listen);
    link.destroy();
    seen.push(...requests);
  }

  const piece = fc.constantFrom(
    ...[
      'GET /public HTTP/1.1\r\n',
      'GET /secret HTTP/1.1\r\n',
      'POST /public/../secret HTTP/1.1\r\n',
      'POST /public/a HTTP/1.1\r\n',
    ],
    ...['Host: a\r\n', 'Host: a\r\n\r\n', '\r\n', '\r\n\r\n', '\n', '\r', ' ', '\t', ':', '\0', '\x80'],
    ...[
      'Content-Length: 5\r\n',
      'Content-Length: 0\r\n',
      'content-length: 26\r\n',
      'Content-Length: 5, 5\r\n',
      'Content-Length: 5 \r\n',
    ],
    ...[
      'Transfer-Encoding: chunked\r\n',
      'Transfer-Encoding: CHUNKED\r\n',
      'transfer-encoding:\tchunked\r\n',
      'Transfer-Encoding: chunked\r\n\r\n',
    ],
    ...[
      'Connection: close\r\n',
      'Connection: keep-alive, x\r\n',
      'Expect: 100-continue\r\n',
      'X: y\r\n',
      'TE: trailers\r\n',
    ],
    ...[
      '5\r\nabcde\r\n',
      '0\r\n\r\n',
      '0\r\nX: y\r\n\r\n',
      '5;a=b\r\nabcde\r\n',
      'abcde',
      'GET http://b/public HTTP/1.1\r\n',
    ],
  );
  const good = fc.constantFrom(
    'GET /public HTTP/1.1\r\nHost: a\r\n\r\n',
    'GET /secret HTTP/1.1\r\nHost: a\r\n\r\n',
    'POST /public HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde',
    'POST /public HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n',
    'POST /public HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n',
    'POST /public HTTP/1.1\r\nHost: a\r\nContent-Length: 26\r\n',
  );
  const stream = fc.array(fc.oneof(good, piece), { maxLength: 12 }).map((pieces) => pieces.join(''));

  test('the server understands of it what policy allowed, and nothing else', async () => {
    const server = createServer();
    await fc.assert(
      fc.asyncProperty(stream, async (value) => {
        const core = coreWith(PUBLIC);
        const allowed: string[] = [];
        const connections: Buffer[][] = [];
        let decoder: RequestDecoder | undefined;
        const perform = (actions: readonly ProxyAction[]): void => {
          for (const action of actions) {
            if (action.type === 'log' && isHttpLog(action.record) && action.record.entryType === 'Request')
              allowed.push(`${action.record.method} ${action.record.path}`);
            if (action.type === 'closeUpstream') decoder = undefined;
            if (action.type !== 'upstream') continue;
            if (decoder === undefined) connections.push([]);
            decoder ??= new RequestDecoder();
            connections.at(-1)!.push(Buffer.from(action.bytes));
            for (const _request of decoder.feed(action.bytes)) perform(core.data(1, 'upstream', bytes(OK), NOW));
          }
        };
        perform(core.open(connection(), NOW));
        perform(core.data(1, 'downstream', bytes(value), NOW));
        const understood: string[] = [];
        for (const parts of connections) await understoodBy(server, Buffer.concat(parts), understood);
        expect(understood).toEqual(allowed);
        expect(understood.filter((line) => !/^(GET|POST) \/public/.test(line))).toEqual([]);
      }),
      { seed, numRuns: 400 },
    );
  });
});
