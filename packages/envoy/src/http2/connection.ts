import { constants, performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import type { Preamble } from '../live/preamble.ts';
import type { Runtime } from '../live/runtime.ts';
import type { ProxyConnection } from '../protocol.ts';
import { Http2Exchange, type StreamOwner } from './exchange.ts';
import { PrematureResets, SERVER_OPTIONS } from './limits.ts';
import type { RawHeaders } from './lines.ts';
import { Upstream } from './upstream.ts';

/** A client that speaks HTTP/2. Its streams are judged one by one; they share one connection to the server. */
export class Http2Connection implements StreamOwner {
  readonly connection: ProxyConnection;
  readonly runtime: Runtime;
  readonly upstream: Upstream;
  readonly #session: ServerHttp2Session;
  readonly #exchanges = new Set<Http2Exchange>();
  readonly #resets = new PrematureResets();
  #count = 0;

  /**
   * @param down the client's bytes, from its preface on: a socket, or what TLS leaves of one. That the connection may be at all
   *   was decided before.
   */
  constructor(down: Duplex, preamble: Preamble, runtime: Runtime) {
    this.connection = preamble.connection;
    this.runtime = runtime;
    this.upstream = new Upstream(preamble, runtime.http.connectTimeoutNs);
    runtime.connections.add(this);
    this.#session = performServerHandshake(down, SERVER_OPTIONS);
    down.on('end', () => this.destroy()); // as with HTTP/1, a client that half-closes has left
    this.#session.on('stream', (stream, _headers, flags, raw) => this.#onStream(stream, flags, raw));
    this.#session.on('error', () => {}); // 'close' follows
    this.#session.on('close', () => {
      runtime.connections.delete(this);
      this.upstream.close();
    });
  }

  /** Time passes. */
  sweep(nowNs: bigint): void {
    for (const exchange of this.#exchanges) exchange.tick(nowNs);
  }

  /** The worker ends, or the client has left. */
  destroy(): void {
    this.#session.destroy();
  }

  closed(exchange: Http2Exchange, reset: boolean): void {
    this.#exchanges.delete(exchange);
    const tooMany = this.#resets.count(this.runtime.nowNs() - exchange.startedNs, reset);
    if (tooMany) this.#session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }

  #onStream(stream: ServerHttp2Stream, flags: number, raw: RawHeaders): void {
    const exchange = new Http2Exchange(this, this.#count++, stream, raw, flags);
    this.#exchanges.add(exchange);
    exchange.start();
  }
}
