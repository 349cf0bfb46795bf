import {
  createSecureServer,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { KvstoreError, STATUS } from '../errors.ts';
import { FRAME_HEADER_SIZE, frame, MessageReader } from './framing.ts';
import type { Method } from './methods.ts';
import type { StreamCall, StreamHandler, StreamListener, UnaryHandler } from './service.ts';
import { type StatusError, writeError } from './status.ts';

export interface ServerTls {
  /** PEM. */
  cert: Buffer;
  key: Buffer;
  /** PEM: clients must show a certificate of this authority. */
  clientCa?: Buffer;
}

/** What a path is answered by. */
export type Route = { method: Method } & ({ unary: UnaryHandler } | { stream: StreamHandler });

/** Larger requests are refused: etcd's request limit and 512 KiB for what surrounds it. */
const MAX_MESSAGE_BYTES = 2 * 1024 * 1024;
/** A client may send a whole request before it is told to go on. */
const WINDOW_BYTES = MAX_MESSAGE_BYTES + FRAME_HEADER_SIZE;
const ANSWER = { ':status': 200, 'content-type': 'application/grpc' };
const DONE = { 'grpc-status': '0' };

/**
 * A gRPC server on `node:http2`. (@grpc/grpc-js, which the client uses, costs twice the processor time for each call.)
 * Not modelled: compression, and deadlines other than the client's own.
 * Source: grpc, doc/PROTOCOL-HTTP2.md.
 */
export class GrpcServer {
  readonly #routes: ReadonlyMap<string, Route>;
  readonly #server: Http2Server;
  readonly #sessions = new Set<ServerHttp2Session>();

  /** @throws the certificates cannot be used */
  constructor(routes: ReadonlyMap<string, Route>, tls: ServerTls | undefined) {
    this.#routes = routes;
    const settings = { initialWindowSize: WINDOW_BYTES, enablePush: false };
    this.#server =
      tls === undefined
        ? createServer({ settings })
        : createSecureServer({
            ...{ settings, cert: tls.cert, key: tls.key },
            ...(tls.clientCa === undefined ? {} : { ca: tls.clientCa, requestCert: true, rejectUnauthorized: true }),
          });
    this.#server.on('session', (session) => {
      session.setLocalWindowSize(4 * WINDOW_BYTES);
      this.#sessions.add(session);
      session.on('close', () => this.#sessions.delete(session));
    });
    // A peer that breaks the protocol or the connection loses it; nobody else is concerned.
    this.#server.on('sessionError', () => {});
    this.#server.on('stream', (stream, headers) => this.#take(stream as ServerHttp2Stream, headers));
  }

  /** @returns the port */
  async listen(host: string, port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, resolve);
    });
    return (this.#server.address() as AddressInfo).port;
  }

  /** Ends all calls. */
  close(): void {
    this.#server.close();
    for (const session of this.#sessions) session.destroy();
  }

  #take(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    stream.on('error', () => {}); // the client went away
    if (headers[':method'] !== 'POST' || !headers['content-type']?.startsWith('application/grpc'))
      stream.respond({ ':status': 415 }, { endStream: true });
    else this.#route(stream, headers[':path'] as string);
  }

  #route(stream: ServerHttp2Stream, path: string): void {
    const route = this.#routes.get(path);
    if (route === undefined) refuse(stream, { code: STATUS.unimplemented, details: `unknown method ${path}` });
    else if ('unary' in route) takeUnary(stream, route.method, route.unary);
    else new Http2Call(stream, route.method, route.stream);
  }
}

function takeUnary(stream: ServerHttp2Stream, { decode, encode }: Method, handler: UnaryHandler): void {
  let isTaken = false;
  const reader = new MessageReader(MAX_MESSAGE_BYTES, (bytes) => {
    if (isTaken) return;
    isTaken = true;
    (async () => encode(await handler(decode(bytes) as never)))().then(
      (answer) => {
        if (stream.destroyed) return;
        stream.respond(ANSWER, { waitForTrailers: true });
        stream.once('wantTrailers', () => stream.sendTrailers(DONE));
        stream.end(frame(answer));
      },
      (error) => refuse(stream, writeError(error)),
    );
  });
  stream.on('data', (chunk: Buffer) => {
    try {
      reader.push(chunk);
    } catch (error) {
      isTaken = true;
      refuse(stream, writeError(error));
    }
  });
  stream.on('end', () => {
    if (!isTaken) refuse(stream, { code: STATUS.internal, details: 'the request has no message' });
  });
}

/** A call that is a stream both ways. */
class Http2Call implements StreamCall {
  readonly #stream: ServerHttp2Stream;
  readonly #method: Method;
  #status: StatusError | undefined;

  constructor(stream: ServerHttp2Stream, method: Method, handler: StreamHandler) {
    this.#stream = stream;
    this.#method = method;
    stream.respond(ANSWER, { waitForTrailers: true });
    stream.once('wantTrailers', () => stream.sendTrailers(this.#status === undefined ? DONE : trailers(this.#status)));
    const listener: StreamListener = handler(this);
    const reader = new MessageReader(MAX_MESSAGE_BYTES, (bytes) => listener.receive(method.decode(bytes) as never));
    stream.on('data', (chunk: Buffer) => {
      try {
        reader.push(chunk);
      } catch (error) {
        this.end(writeError(error));
      }
    });
    stream.on('end', () => listener.finished());
    stream.on('close', () => listener.closed());
  }

  get isFull(): boolean {
    return this.#stream.writableNeedDrain;
  }

  async drained(): Promise<void> {
    const stream = this.#stream;
    if (!stream.writableNeedDrain || stream.destroyed) return;
    await new Promise<void>((resolve) => {
      stream.once('drain', resolve);
      stream.once('close', resolve);
    });
  }

  write(response: object): void {
    if (!this.#stream.writableEnded && !this.#stream.destroyed)
      this.#stream.write(frame(this.#method.encode(response)));
  }

  end(status?: StatusError): void {
    this.#status ??= status;
    if (!this.#stream.destroyed) this.#stream.end();
  }
}

const trailers = ({ code, details }: StatusError): Record<string, string> => ({
  'grpc-status': String(code),
  // What is not printable ASCII is percent-encoded, and the percent sign.
  'grpc-message': details.replace(/[^ -$&-~]+/g, encodeURIComponent),
});

/** An answer without a message. */
function refuse(stream: ServerHttp2Stream, status: StatusError): void {
  if (stream.destroyed || stream.headersSent) return;
  stream.respond({ ...ANSWER, ...trailers(status) }, { endStream: true });
  stream.resume(); // what is still sent is of no interest
}

/** `host:port`, the host of IPv6 in brackets. @throws BAD_INPUT */
export function parseListen(listen: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(listen);
  const port = Number(match?.[3]);
  if (match === null || port > 0xffff)
    throw new KvstoreError('BAD_INPUT', `cannot listen at ${listen}: want host:port`);
  return { host: (match[1] ?? match[2])!, port };
}
