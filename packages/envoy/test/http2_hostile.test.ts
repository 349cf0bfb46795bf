import type { Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  block,
  END_HEADERS,
  END_STREAM,
  frame,
  get,
  Heard,
  literal,
  PREFACE,
  request,
  settings,
  TYPE,
  u32,
} from './http2_frames.ts';
import { CODE, HTTP2_HOSTILE } from './http2_hostile_corpus.ts';
import { ask, http2Client, http2Server, redirected } from './http2_support.ts';
import { type Live, liveProxy, PATIENT, Scope, tcpServer } from './live_support.ts';
import { httpRules, policyOf } from './support.ts';

const RULES = httpRules({ method: 'GET|POST', path: '/public.*' });
const POLICY = policyOf([{ name: 'public', httpRules: RULES }], 0);
const LAST = 99_999;
const many = (count: number): Buffer => Buffer.concat(Array.from({ length: count }, (_, n) => literal(`x-${n}`, 'y')));

interface Peer {
  readonly socket: Socket;
  readonly heard: Heard;
  ended: boolean;
}

/** A client that says these bytes after the preface. */
function says(scope: Scope, live: Live, server: number, bytes: Uint8Array): Peer {
  const socket = redirected(scope, live.port, server);
  const peer: Peer = { socket, heard: new Heard(), ended: false };
  socket.on('data', (more: Buffer) => peer.heard.push(more));
  socket.on('close', () => {
    peer.ended = true;
  });
  socket.write(PREFACE);
  socket.write(settings());
  socket.write(bytes);
  return peer;
}

describe('the corpus, before a server of node:http2', () => {
  const scope = new Scope();
  let live: Live;
  beforeAll(async () => {
    live = await liveProxy(scope, [POLICY]);
  });
  afterAll(() => scope.close());

  test.each(HTTP2_HOSTILE)('$name', async (row) => {
    const whole: string[] = [];
    const server = await http2Server(scope, (stream, headers) => {
      stream.resume().on('end', () => {
        if (!stream.aborted) whole.push(`${headers[':method']} ${headers[':path']}`);
        if (stream.closed) return;
        stream.respond({ ':status': 200 });
        stream.end();
      });
    });
    const peer = says(scope, live, server, row.bytes);
    peer.socket.write(get(LAST, '/public/last'));
    const { heard } = peer;
    if (row.ends === 'stays') {
      await expect.poll(() => peer.ended || heard.ok.has(LAST), PATIENT).toBe(true);
      expect([heard.goaway, heard.ok.has(LAST)]).toEqual([undefined, true]);
      expect(whole).toEqual([...row.whole, 'GET /public/last']);
    } else {
      await expect.poll(() => peer.ended, PATIENT).toBe(true);
      expect([heard.goaway, heard.ok.has(LAST)]).toEqual([row.ends, false]);
      expect(whole.length).toBeLessThanOrEqual(row.some ?? 0);
    }
    if (row.reset !== undefined) expect(heard.resets.get(1)).toBe(row.reset);
    expect((await ask(http2Client(scope, live.port, server), { ':path': '/public/other' })).status).toBe(200);
  });
});

describe('clients that do not listen', () => {
  const scope = new Scope();
  afterEach(() => scope.close());
  const MIB = 1 << 20;

  test.each([
    ['PING', frame(TYPE.ping, 0, 0, '12345678')],
    ['SETTINGS', settings()],
  ])('%s again and again, the answers not read: the connection ends', async (_name, one) => {
    const server = await http2Server(scope, (stream) => {
      stream.respond({ ':status': 200 });
      stream.end();
    });
    const live = await liveProxy(scope, [POLICY]);
    const peer = says(scope, live, server, new Uint8Array(0));
    peer.socket.pause();
    const many = Buffer.concat(Array.from({ length: 4096 }, () => one));
    let sent = 0;
    for (; sent < 4096 && !peer.ended; sent++) {
      if (peer.socket.write(many)) continue;
      await new Promise<void>((resolve) => peer.socket.once('drain', resolve).once('close', resolve));
    }
    expect(sent).toBeLessThan(4096);
    expect((await ask(http2Client(scope, live.port, server), { ':path': '/public' })).status).toBe(200);
  });

  test('windows of nothing: no stream holds more than its share, and others are served', async () => {
    let written = 0;
    const server = await http2Server(scope, (stream, headers) => {
      stream.respond({ ':status': 200 });
      if (headers[':path'] === '/public/small') {
        stream.end('small');
        return;
      }
      const piece = Buffer.alloc(16 * 1024);
      const more = (): void => {
        stream.write(piece, () => {
          written += piece.length;
          if (written < 256 * MIB) more();
        });
      };
      more();
    });
    const live = await liveProxy(scope, [POLICY]);
    const streams = Array.from({ length: 100 }, (_, n) => get(2 * n + 1));
    const stalled = says(scope, live, server, Buffer.concat([settings([4, 0]), ...streams]));
    await expect.poll(() => stalled.heard.ok.size, PATIENT).toBe(100);
    for (let last = -1; last !== written; ) {
      last = written;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    expect(written).toBeLessThan(32 * MIB);
    expect((await ask(http2Client(scope, live.port, server), { ':path': '/public/small' })).body).toBe('small');
  });

  test('streams that begin and do not go on time out one by one', async () => {
    const server = await http2Server(scope, (stream) => stream.resume());
    const live = await liveProxy(scope, [POLICY], { http: { routeIdleTimeoutNs: 100_000_000n } });
    const open = Array.from({ length: 100 }, (_, n) =>
      frame(TYPE.headers, END_HEADERS, 2 * n + 1, request('/public', 'POST')),
    );
    const slow = says(scope, live, server, Buffer.concat(open));
    await expect.poll(() => slow.heard.other.size, PATIENT).toBe(100); // 408
    expect(slow.heard.goaway).toBeUndefined();
    const codes = (): number[] => [...slow.heard.resets.values()];
    await expect.poll(codes, PATIENT).toEqual(Array.from({ length: 100 }, () => CODE.none));
    slow.socket.write(get(LAST, '/public'));
    await expect.poll(() => slow.heard.other.has(LAST), PATIENT).toBe(true);
  });
});

/** What is said to a request on this stream. */
type Answer = (stream: number) => Buffer;

describe('servers that are hostile', () => {
  const scope = new Scope();
  let live: Live;
  beforeAll(async () => {
    live = await liveProxy(scope, [POLICY]);
  });
  afterAll(() => scope.close());
  const head =
    (lines: Uint8Array, flags = END_STREAM | END_HEADERS): Answer =>
    (stream) =>
      frame(TYPE.headers, flags, stream, lines);
  const both =
    (first: Answer, second: Answer): Answer =>
    (stream) =>
      Buffer.concat([first(stream), second(stream)]);
  const OK = block([':status', '200']);

  test.each<[string, Answer, number, number]>([
    ['a status that is none', head(block([':status', '999'])), 502, 0],
    ['a status of two digits', head(block([':status', '20'])), 502, 0],
    ['no status', head(block(['x', 'y'])), 502, 0],
    ['two lengths', head(block([':status', '200'], ['content-length', '0'], ['content-length', '1'])), 502, 0],
    ['a header of one connection', head(block([':status', '200'], ['connection', 'close'])), 502, 0],
    ['a header of an upgrade', head(block([':status', '200'], ['http2-settings', 'x'])), 200, 0],
    [
      'trailers with a status',
      both(head(OK, END_HEADERS), head(block([':status', '200']))),
      ...([200, CODE.internal] as const),
    ],
    [
      'trailers of an upgrade',
      both(head(OK, END_HEADERS), head(block(['http2-settings', 'x']))),
      ...([200, CODE.none] as const),
    ],
    ['more headers than Envoy takes', head(Buffer.concat([OK, many(200)])), 503, 0],
    ['a frame on no stream', () => frame(TYPE.data, 0, 0, 'a'), 502, 0],
    [
      'a body where none can be',
      both(head(block([':status', '204']), END_HEADERS), (stream) => frame(TYPE.data, END_STREAM, stream, 'abc')),
      ...([204, CODE.none] as const),
    ],
    ['nothing but GOAWAY', () => frame(TYPE.goaway, 0, 0, Buffer.concat([u32(0), u32(CODE.calm)])), 502, 0],
  ])('%s', async (_name, answer, status, code) => {
    const server = await tcpServer(scope, (socket) => {
      const heard = new Heard();
      const answered = new Set<number>();
      let first = PREFACE.length;
      socket.write(settings());
      socket.on('data', (bytes: Buffer) => {
        heard.push(bytes.subarray(first));
        first = 0; // the proxy writes it at once
        for (const stream of heard.other) {
          if (!answered.has(stream)) socket.write(answer(stream));
          answered.add(stream);
        }
      });
    });
    const got = await ask(http2Client(scope, live.port, server), { ':path': '/public' });
    expect([got.status, got.code]).toEqual([status, code]);
    const good = await http2Server(scope, (stream) => {
      stream.respond({ ':status': 200 });
      stream.end();
    });
    expect((await ask(http2Client(scope, live.port, good), { ':path': '/public' })).status).toBe(200);
  });
});
