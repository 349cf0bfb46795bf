import { constants, performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import { MAX_KEPT_BYTES } from '../exchange.ts';
import { MAX_HEAD_BYTES } from '../http1/head.ts';
import type { Preamble } from '../live/preamble.ts';
import type { Runtime } from '../live/runtime.ts';
import type { ProxyConnection } from '../protocol.ts';
import { Http2Exchange, type StreamOwner } from './exchange.ts';
import { PrematureResets, SERVER_OPTIONS } from './limits.ts';
import { listBytes, type RawHeaders } from './lines.ts';
import { Upstream } from './upstream.ts';

const { NGHTTP2_ENHANCE_YOUR_CALM } = constants;

/** A client that speaks HTTP/2. Its streams are judged one by one; they share one connection to the server. */
export class Http2Connection implements StreamOwner {
  readonly connection: ProxyConnection;
  readonly runtime: Runtime;
  readonly upstream: Upstream;
  keepLeft = MAX_KEPT_BYTES;
  readonly #session: ServerHttp2Session;
  readonly #exchanges = new Set<Http2Exchange>();
  readonly #resets = new PrematureResets();
  #streams = 0;

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
    this.#count(this.runtime.nowNs() - exchange.startedNs, reset);
  }

  #count(lifetimeNs: bigint, reset: boolean): void {
    if (!this.#resets.count(lifetimeNs, reset)) return;
    this.#session.destroy(new Error('too many streams were reset'), NGHTTP2_ENHANCE_YOUR_CALM);
  }

  #onStream(stream: ServerHttp2Stream, flags: number, raw: RawHeaders): void {
    if (listBytes(raw) > MAX_HEAD_BYTES) {
      // The codec does so, too, but only once the client has acknowledged the limit.
      stream.on('error', () => {});
      stream.close(NGHTTP2_ENHANCE_YOUR_CALM);
      this.#count(0n, true);
      return;
    }
    const exchange = new Http2Exchange(this, this.#streams++, stream, raw, flags);
    this.#exchanges.add(exchange);
    exchange.start();
  }
}
