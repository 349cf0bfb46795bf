import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Client, type Live, LOOPBACK, liveProxy, PATIENT, Scope } from './live_support.ts';
import { connection, httpRules, policyOf } from './support.ts';

const POLICY = policyOf([{ httpRules: httpRules({ method: 'GET|POST', path: '/chat.*' }) }], 0);
const ASK =
  'Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: eA==\r\nSec-WebSocket-Version: 13\r\n';
/** The first byte of a frame that closes (RFC 6455, 5.5.1). */
const CLOSE = 0x88;
const RFC6455 = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** Agrees to everything below `/chat` and echoes; says no to the rest. */
async function chatServer(scope: Scope, ended: string[], seen: string[]): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`);
    response.end('no chat');
  });
  server.on('upgrade', (request, socket: Socket, first) => {
    seen.push(`${request.headers.connection} ${request.headers.upgrade} ${request.url}`);
    sockets.add(socket);
    socket
      .on('error', () => {})
      .on('end', () => {
        ended.push(`${request.url}`);
        socket.end();
      });
    if (request.url === '/chat/no') {
      socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno');
      return;
    }
    const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}${RFC6455}`).digest('base64');
    const upgrade = request.url === '/chat/other' ? 'chess' : 'websocket';
    socket.write(
      `HTTP/1.1 101 x\r\nUpgrade: ${upgrade}\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    const echo = (bytes: Uint8Array): void => {
      if (request.url === '/chat/raw') socket.write(bytes);
      else if (bytes[0] === CLOSE) socket.end(unmasked(Buffer.from(bytes)));
      else socket.write(unmasked(Buffer.from(bytes)));
    };
    if (first.length > 0) echo(first);
    socket.on('data', echo);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  scope.onClose(() => {
    for (const socket of sockets) socket.destroy();
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** A short frame of a client as a server writes it (RFC 6455, 5.2). */
function unmasked(bytes: Buffer): Buffer {
  const length = bytes[1]! & 127;
  const mask = bytes.subarray(2, 6);
  const text = bytes.subarray(6, 6 + length).map((byte, at) => byte ^ mask[at % 4]!);
  return Buffer.concat([Buffer.from([bytes[0]!, length]), text]);
}

describe('upgrades to WebSocket, where they are let', () => {
  const scope = new Scope();
  const [ended, seen]: string[][] = [[], []];
  let live: Live;
  let server = 0;
  beforeAll(async () => {
    live = await liveProxy(scope, [POLICY], { http: { websocket: true, routeIdleTimeoutNs: 10_000_000_000n } });
    server = await chatServer(scope, ended!, seen!);
  });
  beforeEach(() => {
    ended!.length = seen!.length = 0;
  });
  afterAll(() => scope.close());
  const client = () => new Client(scope, live.port, server);

  test('a real client and its server talk, if rules allow the request', async () => {
    const assumed = connection({ destination: { ip: LOOPBACK, port: server } });
    const port = await live.proxy.listen({ name: 'assumed', assume: { connection: assumed, via: undefined } });
    const socket = new WebSocket(`ws://127.0.0.1:${port}/chat`);
    const heard: unknown[] = [];
    socket.onmessage = ({ data }) => {
      heard.push(data);
      if (heard.length < 3) socket.send(`again ${heard.length}`);
    };
    socket.onopen = () => socket.send('hello');
    await expect.poll(() => heard, PATIENT).toEqual(['hello', 'again 1', 'again 2']);
    expect(seen).toEqual(['upgrade websocket /chat']);
    await expect.poll(() => live.log.at(-1)?.record, PATIENT).toMatchObject({ entryType: 'Response', status: 101 });
    const closed = new Promise((resolve) => {
      socket.onclose = resolve;
    });
    socket.close();
    await closed;
    const denied = new WebSocket(`ws://127.0.0.1:${port}/secret`);
    await new Promise((resolve) => {
      denied.onerror = resolve;
    });
    await expect.poll(() => live.log.at(-1)?.record, PATIENT).toMatchObject({ path: '/secret', status: 403 });
    expect(seen).toHaveLength(1);
  });

  test('what comes before the answer waits for it, and is never read as a request', async () => {
    const one = client().send(`GET /chat/raw HTTP/1.1\r\n${ASK}\r\nGET /secret HTTP/1.1\r\nHost: a\r\n\r\n`);
    const got = await one.until(/GET \/secret[\s\S]*\r\n\r\n$/);
    expect(got).toMatch(
      /^HTTP\/1.1 101 Switching Protocols\r\n[\s\S]*connection: upgrade\r\nupgrade: websocket\r\n\r\nGET/,
    );
    expect(seen).toEqual(['upgrade websocket /chat/raw']);
    one.socket.destroy();
    await expect.poll(() => ended, PATIENT).toEqual(['/chat/raw']);
  });

  test('a server that does not agree: its answer is the last', async () => {
    const one = client().send(`GET /chat/no HTTP/1.1\r\n${ASK}\r\nGET /chat HTTP/1.1\r\nHost: a\r\n\r\n`);
    await one.until('closed');
    expect(one.received).toMatch(/^HTTP\/1.1 404 [\s\S]*connection: close\r\n\r\nno$/);
    expect(seen).toEqual(['upgrade websocket /chat/no']);
  });

  test.each([
    ['a switch to something else', `GET /chat/other HTTP/1.1\r\n${ASK}\r\n`, 502],
    ['another protocol', `GET /chat HTTP/1.1\r\n${ASK.replace('websocket', 'chess')}\r\n`, 403],
    ['one of several', `GET /chat HTTP/1.1\r\n${ASK.replace('websocket', 'chess, websocket')}\r\n`, 403],
    ['a path that no rule allows', `GET /secret HTTP/1.1\r\n${ASK}\r\n`, 403],
    ['with a body', `POST /chat HTTP/1.1\r\n${ASK}Content-Length: 3\r\n\r\nabc`, 400],
    ['with chunks', `POST /chat HTTP/1.1\r\n${ASK}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
  ])('%s is refused, and the connection with it', async (name, request, status) => {
    const one = client().send(`${request}GET /secret HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    await one.until('closed');
    const statuses = one.received.match(/^HTTP\/1.1 \d+/gm);
    if (name !== 'a path that no rule allows') expect(statuses).toEqual([`HTTP/1.1 ${status}`]);
    else expect(statuses).toEqual(['HTTP/1.1 403', 'HTTP/1.1 403']); // it was denied as any other
    expect(seen!.filter((line) => !line.endsWith('/chat/other'))).toEqual([]);
  });

  test('a tunnel holds back who is not read', async () => {
    const port = await chatServer(scope, ended!, seen!);
    const one = new Client(scope, live.port, port).send(`GET /chat/raw HTTP/1.1\r\n${ASK}\r\n`);
    await one.until(/101/);
    one.socket.pause();
    const piece = 'x'.repeat(1 << 20);
    let sent = 0;
    for (; sent < 128 && one.socket.writableLength < 8 << 20; sent++) {
      one.send(piece);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(sent).toBeLessThan(128);
  });
});

test('otherwise they are refused', async () => {
  const scope = new Scope();
  const live = await liveProxy(scope, [POLICY]);
  const seen: string[] = [];
  const server = await chatServer(scope, [], seen);
  const one = new Client(scope, live.port, server).send(`GET /chat HTTP/1.1\r\n${ASK}\r\n`);
  await one.until('closed');
  expect(one.received).toMatch(/^HTTP\/1.1 403 /);
  expect(seen).toEqual([]);
  await scope.close();
});
