import { constants, type ServerHttp2Stream } from 'node:http2';
import { unseenRequest } from '../access_log.ts';
import { type AskedRequest, Exchange } from '../exchange.ts';
import { firstValue, type HeaderLine, type Headers } from '../http1/message.ts';
import type { Runtime } from '../live/runtime.ts';
import type { ProxyConnection } from '../protocol.ts';
import { addForwarded, expectsContinue } from '../request_headers.ts';
import { downstreamHeaders, type LocalReply, localReply, timedOut, upstreamFailed } from '../responses.ts';
import { routeStream } from '../target.ts';
import { type RawHeaders, readBlock, trailerObject, writeBlock } from './lines.ts';
import type { Upstream, UpstreamStream } from './upstream.ts';

const { NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR, NGHTTP2_FLAG_END_STREAM } = constants;
const NOTHING: Headers = [];
/** RFC 9110, 15. */
const MAX_STATUS = 599;

/** The connection that a stream belongs to. */
export interface StreamOwner {
  readonly connection: ProxyConnection;
  readonly runtime: Runtime;
  readonly upstream: Upstream;
  /** Bytes of requests that may still be kept for another attempt, of all streams together. */
  keepLeft: number;
  /** The stream is closed. @param reset by the client, or for what the client did, before its response was over */
  closed(exchange: Http2Exchange, reset: boolean): void;
}

/**
 * One stream of a client: its request judged as any other, and if allowed carried on a stream to the server. Both ways bytes
 * are taken only as fast as the other side takes them; trailers pass.
 */
export class Http2Exchange extends Exchange {
  readonly #down: ServerHttp2Stream;
  readonly #owner: StreamOwner;
  readonly #headers: Headers;
  readonly #pseudo: Readonly<Record<string, string | undefined>>;
  /** As rules left it. */
  #request: AskedRequest | undefined;
  #requestTrailers = NOTHING;
  #responseTrailers = NOTHING;
  #up: UpstreamStream | undefined;
  #activeNs: bigint;
  #retryTimer: NodeJS.Timeout | undefined;
  #kept = 0;
  /** The proxy has reset it. */
  #aborted = false;

  /** @param flags of the head's last frame */
  constructor(owner: StreamOwner, number: number, down: ServerHttp2Stream, raw: RawHeaders, flags: number) {
    const { pseudo, headers } = readBlock(raw);
    const nowNs = owner.runtime.nowNs();
    super(owner.connection, number, { startedNs: nowNs, protocol: 'HTTP/2', headers });
    this.#owner = owner;
    this.#down = down;
    this.#pseudo = pseudo;
    this.#headers = headers;
    this.#activeNs = nowNs;
    if ((flags & NGHTTP2_FLAG_END_STREAM) !== 0) this.requestDoneNs = nowNs;
    down.on('error', () => {}); // 'close' follows
    down.on('aborted', () => this.#leaveUpstream()); // at once; 'close' waits for what was not read
    down.on('close', () => this.#onClose());
  }

  start(): void {
    const routed = routeStream(this.#pseudo, this.#headers);
    if (routed.kind === 'reply') {
      this.#reply(routed.reply);
      return;
    }
    const { runtime, connection } = this.#owner;
    const { authority, path } = routed;
    const method = this.#pseudo[':method']!;
    const policy = runtime.policies.get(connection.endpointId);
    const judgement = this.judge(
      policy,
      { method, authority, path, headers: this.#headers, upgrade: false },
      runtime.seed,
    );
    this.#log();
    if (judgement.kind === 'reply') this.#reply(judgement.reply);
    else if (!this.#down.closed) this.#forward(judgement);
  }

  /** Time passes. */
  tick(nowNs: bigint): void {
    const { http } = this.#owner.runtime;
    if (this.response === 'done') {
      // The client was told all, and goes on talking, or does not listen.
      if (this.#down.state.localClose === 1) this.#down.close(NGHTTP2_NO_ERROR);
      else if (nowNs - this.#activeNs >= http.streamIdleTimeoutNs) this.#abort();
      return;
    }
    const over = this.overdue(nowNs, this.#activeNs, http);
    if (over === undefined) return;
    if (this.response === 'head') this.#abort();
    else this.#reply(timedOut(this.requestDoneNs === undefined ? 408 : 504, over));
  }

  #forward(request: AskedRequest): void {
    this.#request = request;
    const down = this.#down;
    if (expectsContinue(this.#headers)) down.additionalHeaders({ ':status': 100 });
    this.#attempt();
    if (this.requestDoneNs !== undefined) return;
    down.on('data', (bytes: Uint8Array) => {
      if (this.response === 'done') return;
      this.#touch();
      this.#keep(bytes);
      if (this.#up?.stream.write(bytes) === false) down.pause();
    });
    down.on('trailers', (_headers, _flags, raw: RawHeaders) => {
      this.#requestTrailers = readBlock(raw).headers;
    });
    down.on('end', () => {
      if (down.aborted) return; // it was reset
      this.#touch();
      this.requestDoneNs = this.#activeNs;
      this.#up?.stream.end();
    });
    down.on('drain', () => this.#up?.stream.resume());
  }

  #attempt(): void {
    const { method, authority, path, headers } = this.#request!;
    const target: Headers = [
      [':method', method],
      [':scheme', 'http'],
      [':authority', authority],
      [':path', path],
    ];
    const lines: HeaderLine[] = [];
    addForwarded(lines, headers, firstValue(this.#headers, 'content-length'));
    const bodiless = this.requestDoneNs !== undefined && this.sent?.length === 0 && this.#requestTrailers.length === 0;
    const up = this.#owner.upstream.request(writeBlock(target, lines), bodiless);
    this.#up = up;
    const { stream } = up;
    const mine =
      <Args extends unknown[]>(step: (...args: Args) => void) =>
      (...args: Args): void => {
        if (this.#up !== up) return;
        this.#touch();
        step(...args);
      };
    let error: Error | undefined;
    stream.on('error', (what) => {
      error = what;
    });
    stream.on('wantTrailers', () => stream.sendTrailers(trailerObject(this.#requestTrailers)));
    stream.on(
      'drain',
      mine(() => this.#down.resume()),
    );
    stream.on(
      'response',
      mine((_headers, flags: number, raw: RawHeaders) => this.#onResponse(raw, flags)),
    );
    stream.on(
      'data',
      mine((bytes: Uint8Array) => this.#onData(bytes)),
    );
    stream.on(
      'trailers',
      mine((_headers, _flags, raw: RawHeaders) => {
        this.#responseTrailers = readBlock(raw).headers;
      }),
    );
    stream.on(
      'end',
      mine(() => this.#onResponseEnd()),
    );
    stream.on(
      'close',
      mine(() => this.#onUpstreamClosed(up.failure(error))),
    );
    if (bodiless) return;
    for (const bytes of this.sent ?? []) stream.write(bytes, 'latin1');
    if (this.requestDoneNs !== undefined) stream.end();
  }

  #onResponse(raw: RawHeaders, flags: number): void {
    const { pseudo, headers } = readBlock(raw);
    const status = Number(pseudo[':status']);
    if (status > MAX_STATUS) {
      this.#onUpstreamClosed('protocol error');
      return;
    }
    if (status >= 500 && this.#willRetry()) return;
    const nowNs = this.#activeNs;
    const lines = downstreamHeaders(headers, { nowNs, serviceTimeMs: this.serviceTimeMs(nowNs) });
    const endStream = (flags & NGHTTP2_FLAG_END_STREAM) !== 0;
    this.response = 'head';
    this.#log(status);
    const down = this.#down;
    down.on('wantTrailers', () => down.sendTrailers(trailerObject(this.#responseTrailers)));
    down.respond(writeBlock([[':status', `${status}`]], lines), { endStream, waitForTrailers: !endStream });
    if (endStream) this.#onResponseEnd();
  }

  #onData(bytes: Uint8Array): void {
    if (this.#down.writable && !this.#down.write(bytes)) this.#up!.stream.pause();
  }

  #onResponseEnd(): void {
    if (this.response !== 'head') return; // it ends without one
    if (this.#up?.stream.rstCode) return; // it was reset: 'close' follows
    this.response = 'done';
    this.#down.end();
    this.#leaveUpstream();
  }

  #onUpstreamClosed(failure: Parameters<typeof upstreamFailed>[0]): void {
    if (this.response === 'head') this.#abort();
    else if (!this.#willRetry()) this.#reply(upstreamFailed(failure, this.retries > 0));
  }

  /** @returns whether it is tried again, later */
  #willRetry(): boolean {
    const waitNs = this.nextAttemptNs(this.#owner.runtime);
    if (waitNs === undefined) return false;
    this.#leaveUpstream();
    this.#retryTimer = setTimeout(() => this.#attempt(), Number(waitNs / 1_000_000n));
    return true;
  }

  /** The proxy answers by itself; what is left of the request is dropped, and after a second at most refused. */
  #reply(reply: LocalReply): void {
    this.#leaveUpstream();
    this.#touch();
    this.response = 'done';
    const { status, headers, body } = localReply(reply, { nowNs: this.#activeNs, grpc: this.grpc });
    if (this.judged) this.#log(status);
    else this.#logUnseen(status);
    const down = this.#down;
    if (down.closed) return;
    down.resume();
    const endStream = body === '' || this.#pseudo[':method'] === 'HEAD';
    down.respond(writeBlock([[':status', `${status}`]], headers), { endStream });
    if (!endStream) down.end(Buffer.from(body, 'latin1'));
  }

  /** The response has begun, and there will not be more of it. */
  #abort(): void {
    this.#aborted = true;
    this.#leaveUpstream();
    this.#down.close(NGHTTP2_INTERNAL_ERROR);
  }

  #leaveUpstream(): void {
    clearTimeout(this.#retryTimer);
    const up = this.#up;
    this.#up = undefined;
    if (up?.stream.closed === false) up.stream.close(NGHTTP2_CANCEL);
  }

  /** As long as there is an attempt to come, and room. */
  #keep(bytes: Uint8Array): void {
    const owner = this.#owner;
    if (this.response !== 'none' || owner.keepLeft < bytes.length) this.#forgetKept();
    if (this.sent === undefined) return;
    owner.keepLeft -= bytes.length;
    this.#kept += bytes.length;
    this.keep(bytes);
  }

  #forgetKept(): void {
    this.sent = undefined;
    this.#owner.keepLeft += this.#kept;
    this.#kept = 0;
  }

  #onClose(): void {
    this.#leaveUpstream();
    this.#forgetKept();
    this.#owner.closed(this, this.response !== 'done' && !this.#aborted);
  }

  #touch(): void {
    this.#activeNs = this.#owner.runtime.nowNs();
  }

  /** Of a request that was answered before policy was asked. */
  #logUnseen(status: number): void {
    const { runtime, connection } = this.#owner;
    if (!runtime.logs) return;
    for (const record of unseenRequest(status, this.#activeNs)) runtime.log(connection.id, this.number, record);
  }

  /** Of the request, or of the response that it gets. */
  #log(status?: number): void {
    const { runtime, connection } = this.#owner;
    if (!runtime.logs) return;
    const response = status === undefined ? undefined : { status, nowNs: this.#activeNs };
    runtime.log(connection.id, this.number, this.record(response));
  }
}
