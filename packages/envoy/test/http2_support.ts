import { once } from 'node:events';
import {
  type ClientHttp2Session,
  connect as connectHttp2,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { encodePreamble, type ProxyConnection } from '../src/index.ts';
import { LOOPBACK, type Scope } from './live_support.ts';
import { connection } from './support.ts';

type Listener = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, raw: readonly string[]) => void;

/** A server of the test's own that speaks HTTP/2 in the clear. @returns its port */
export async function http2Server(scope: Scope, listener: Listener): Promise<number> {
  const server = createServer({ strictSingleValueFields: false }).listen(0, '127.0.0.1');
  const sessions = new Set<{ destroy(): void }>();
  server.on('session', (session) => {
    sessions.add(session.on('error', () => {}));
  });
  server.on('stream', (stream, headers, _flags, raw) => {
    stream.on('error', () => {});
    listener(stream as ServerHttp2Stream, headers, raw);
  });
  await once(server, 'listening');
  scope.onClose(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

let connections = 1 << 16;

/** A socket to the proxy that has said whose it is. @param server port on loopback where the proxy finds the server */
export function redirected(scope: Scope, proxy: number, server: number, over: Partial<ProxyConnection> = {}): Socket {
  const socket = connect({ host: '127.0.0.1', port: proxy, noDelay: true });
  const about = connection({ id: ++connections, destination: { ip: LOOPBACK, port: server }, ...over });
  socket.write(encodePreamble({ connection: about, via: undefined }));
  socket.on('error', () => {});
  scope.onClose(() => socket.destroy());
  return socket;
}

/** A client of the proxy that speaks HTTP/2. */
export function http2Client(
  scope: Scope,
  proxy: number,
  server: number,
  over: Partial<ProxyConnection> = {},
): ClientHttp2Session {
  const session = connectHttp2('http://deathstar', { createConnection: () => redirected(scope, proxy, server, over) });
  session.on('error', () => {});
  scope.onClose(() => session.destroy());
  return session;
}

export interface Answer {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
  readonly trailers: IncomingHttpHeaders;
  /** 0: it ended as it should. */
  readonly code: number | undefined;
}

/** Resolves when the stream is closed, however. @param body sent whole; undefined: none @param trailers after it */
export async function ask(
  client: ClientHttp2Session,
  headers: Record<string, string | string[]> | readonly string[],
  body?: string,
  trailers?: Record<string, string>,
): Promise<Answer> {
  const stream = client.request(headers, { endStream: body === undefined, waitForTrailers: trailers !== undefined });
  stream.on('error', () => {});
  stream.on('wantTrailers', () => stream.sendTrailers(trailers!));
  let got: Readonly<Record<string, unknown>> = {};
  let last: IncomingHttpHeaders = {};
  let text = '';
  stream.on('response', (lines) => {
    got = lines;
  });
  stream.on('trailers', (lines) => {
    last = lines;
  });
  stream.setEncoding('latin1').on('data', (part: string) => {
    text += part;
  });
  if (body !== undefined) stream.end(body, 'latin1');
  await new Promise((resolve) => stream.on('close', resolve));
  return {
    status: got[':status'] as number | undefined,
    headers: got,
    body: text,
    trailers: last,
    code: stream.rstCode,
  };
}
