import { connectionDenied, unseenRequest } from './access_log.ts';
import type { ConnectionSession, SessionOptions, SessionSink } from './carrier.ts';
import type { AskedRequest } from './exchange.ts';
import { allowedAtNetwork } from './filter.ts';
import { BodyWriter, encodeRequestHead, encodeResponseHead, type Piece } from './http1/encode.ts';
import { Http1Exchange } from './http1/exchange.ts';
import {
  type HeadPlace,
  HttpError,
  hasToken,
  type RequestStart,
  type ResponseStart,
  TruncatedError,
} from './http1/message.ts';
import { type BodyEvent, type ParserEvent, RequestParser, ResponseParser } from './http1/parser.ts';
import type { CompiledPolicy } from './network_policy.ts';
import type { ProxyConnection, Side } from './protocol.ts';
import { expectsContinue, isWebSocketUpgrade, upgradeHeaders, upstreamHeaders } from './request_headers.ts';
import {
  codecError,
  downstreamHeaders,
  encodeForwardedHead,
  encodeLocalReply,
  type LocalReply,
  localReply,
  timedOut,
  type UpstreamFailure,
  upstreamFailed,
} from './responses.ts';
import { type RoutedRequest, route } from './target.ts';

const SWITCHING_PROTOCOLS = 101;

type ResponseEvent = Exclude<ParserEvent<ResponseStart>, { type: 'error' }>;

/**
 * One connection of a client, and the one to the server behind it: bytes in, deeds out. Knows no socket; its clock is
 * what callers say.
 *
 * As in Envoy, a request is not looked at before the response to the one before it is complete, so that each is judged
 * by itself, in order, under the policy of that moment; until then its bytes wait. A response that starts before its
 * request is complete ends the connection: what would be left of the request has no taker.
 */
export class Session implements ConnectionSession {
  closed = false;
  retryAtNs: bigint | undefined;
  readonly #connection: ProxyConnection;
  readonly #options: SessionOptions;
  readonly #policy: () => CompiledPolicy | undefined;
  readonly #actions: SessionSink;
  readonly #requests = new RequestParser();
  /** Reads from the server; undefined without a connection to it. */
  #responses: ResponseParser | undefined;
  #exchange: Http1Exchange | undefined;
  #startedNs: bigint | undefined;
  #requestCount = 0;
  #activeNs = 0n;
  /** The server will send no more; what it sent may not all be read. */
  #upstreamEnded = false;
  /** The response being read is an interim one (1xx): not passed on. */
  #interim = false;
  /** The connection has become a WebSocket. */
  #tunnel = false;

  constructor(
    connection: ProxyConnection,
    options: SessionOptions,
    policy: () => CompiledPolicy | undefined,
    sink: SessionSink,
  ) {
    this.#connection = connection;
    this.#options = options;
    this.#policy = policy;
    this.#actions = sink;
  }

  get unread(): number {
    return this.#requests.unread;
  }

  open(nowNs: bigint): void {
    const { remoteIdentity, localPort, ingress } = this.#connection;
    if (allowedAtNetwork(this.#policy(), { remoteIdentity, port: localPort, ingress }).allowed) return;
    if (this.#actions.logs) this.#actions.log(0, connectionDenied(this.#connection, nowNs));
    this.#actions.add('resetDownstream');
    this.closed = true;
  }

  data(from: Side, bytes: Uint8Array, nowNs: bigint): void {
    this.#activeNs = nowNs;
    if (this.#tunnel) {
      this.#actions.bytes(from === 'downstream' ? 'upstream' : 'downstream', bytes);
      return;
    }
    if (from === 'downstream') {
      this.#requests.push(bytes);
    } else {
      this.#responses?.push(bytes);
      this.#readResponses(nowNs);
    }
    this.#readRequests(nowNs);
  }

  resume(nowNs: bigint): void {
    this.#readResponses(nowNs);
    if (this.#upstreamEnded && !this.#actions.isFull('downstream')) this.#endUpstream(nowNs);
    this.#readRequests(nowNs);
  }

  /** A side closed. If the client did, everything ends, also what is under way: Envoy knows no half-closed clients. */
  end(from: Side, nowNs: bigint): void {
    if (from === 'downstream') {
      this.#close();
    } else if (this.#responses !== undefined) {
      this.#responses.finish();
      this.#upstreamEnded = true;
      this.resume(nowNs);
    }
  }

  abort(from: Side, nowNs: bigint, reason: UpstreamFailure = 'connection termination'): void {
    if (from === 'downstream') {
      this.#closeUpstream();
      this.closed = true;
    } else {
      this.#withoutUpstream(reason, nowNs);
      this.#readRequests(nowNs);
    }
  }

  tick(nowNs: bigint): void {
    if (this.closed) return;
    if (this.retryAtNs !== undefined && nowNs >= this.retryAtNs) this.#retry(nowNs);
    const exchange = this.#exchange;
    if (exchange === undefined) {
      if (this.#startedNs !== undefined && nowNs - this.#activeNs >= this.#options.http.streamIdleTimeoutNs)
        this.#requestBroken(timedOut(408, 'stream timeout'), nowNs);
      return;
    }
    const over = exchange.overdue(nowNs, this.#activeNs, this.#options.http);
    if (over !== undefined) this.#timeOut(over, nowNs);
  }

  /** As Envoy: 504 if all of the request came, else 408; if the response has begun, the connection ends. */
  #timeOut(body: string, nowNs: bigint): void {
    const exchange = this.#exchange!;
    this.retryAtNs = undefined;
    if (exchange.response !== 'none') {
      this.#close();
      return;
    }
    this.#closeUpstream();
    this.#reply(exchange, timedOut(exchange.requestDoneNs === undefined ? 408 : 504, body), false, nowNs);
    this.#readRequests(nowNs);
  }

  #endUpstream(nowNs: bigint): void {
    if (this.#responses === undefined) return;
    this.#actions.add('closeUpstream');
    this.#withoutUpstream('connection termination', nowNs);
  }

  #readRequests(nowNs: bigint): void {
    while (!this.closed && this.#exchange?.requestEnded !== true) {
      // Between requests also for the client to take its answers; inside one it may be waiting to be read first.
      if (this.#actions.isFull('upstream')) return;
      if (this.#exchange === undefined && this.#actions.isFull('downstream')) return;
      const event = this.#requests.next();
      if (!this.#requests.between) this.#startedNs ??= nowNs;
      if (event === undefined) return;
      this.#onRequest(event, nowNs);
    }
  }

  #onRequest(event: ParserEvent<RequestStart>, nowNs: bigint): void {
    if (event.type === 'head') this.#begin(event.head, nowNs);
    else if (event.type === 'error') this.#requestBroken(codecError(event.error.status), nowNs);
    else this.#continue(this.#exchange!, event, nowNs);
  }

  #continue(exchange: Http1Exchange, event: BodyEvent, nowNs: bigint): void {
    if (exchange.forwarded) {
      const piece = exchange.requestBody.write(event);
      if (piece.length > 0) this.#toServer(exchange, piece);
    }
    if (event.type !== 'end') return;
    exchange.requestDoneNs ??= nowNs;
    exchange.requestEnded = true;
    this.#startedNs = undefined;
    this.#settle(exchange);
  }

  /** The client sent what is no HTTP request, or did not get to its end. */
  #requestBroken(reply: LocalReply, nowNs: bigint): void {
    const exchange = this.#exchange;
    if (exchange?.response === 'none') {
      this.#reply(exchange, reply, true, nowNs);
      return;
    }
    if (exchange === undefined) {
      this.#logUnseen(this.#requestCount, reply.status, nowNs);
      const answer = localReply(reply, { nowNs, grpc: false });
      this.#actions.bytes('downstream', encodeLocalReply(answer, { bodiless: false, close: true }));
    }
    this.#close();
  }

  #begin(request: RequestStart & HeadPlace, nowNs: bigint): void {
    const times = { startedNs: this.#startedNs ?? nowNs, nowNs };
    const exchange = new Http1Exchange(this.#connection, this.#requestCount++, request, times);
    this.#exchange = exchange;
    const routed = route(request, this.#options.http.websocket);
    if (routed.kind === 'reply') {
      this.#reply(exchange, routed.reply, routed.close, nowNs);
      return;
    }
    if (expectsContinue(request.headers)) this.#actions.bytes('downstream', encodeResponseHead(100, []));
    this.#judge(exchange, routed, nowNs);
  }

  #judge(exchange: Http1Exchange, { authority, path, upgrade }: RoutedRequest, nowNs: bigint): void {
    const { method, headers } = exchange.request;
    const request = { method, authority, path, headers, upgrade };
    const judgement = exchange.judge(this.#policy(), request, this.#options.seed);
    this.#log(exchange);
    if (judgement.kind === 'reply') this.#reply(exchange, judgement.reply, false, nowNs);
    else this.#forward(exchange, judgement);
  }

  #forward(exchange: Http1Exchange, { method, path, authority, headers, upgrade }: AskedRequest): void {
    const lines = upstreamHeaders(authority, headers, { method, framing: exchange.request.framing });
    exchange.forwarded = true;
    exchange.method = method;
    if (this.#options.http.retries === 0) exchange.sent = undefined;
    if (upgrade) {
      lines.push(...upgradeHeaders());
      exchange.upgrade = true;
      exchange.requestEnded = true; // what follows is read when the server has agreed, and not as a request
      exchange.requestDoneNs = undefined;
    }
    this.#expectResponse(exchange);
    this.#toServer(exchange, encodeRequestHead(method, path, lines));
  }

  #expectResponse({ method, upgrade }: Http1Exchange): void {
    if (this.#responses === undefined) {
      this.#responses = new ResponseParser();
      this.#upstreamEnded = false;
    }
    this.#responses.expect(method, upgrade);
  }

  #toServer(exchange: Http1Exchange, bytes: Piece): void {
    exchange.keep(bytes);
    if (this.retryAtNs === undefined) this.#actions.bytes('upstream', bytes);
  }

  /** @returns whether it is tried again, later */
  #willRetry(exchange: Http1Exchange, nowNs: bigint): boolean {
    const waitNs = exchange.nextAttemptNs(this.#options);
    this.retryAtNs = waitNs === undefined ? undefined : nowNs + waitNs;
    return waitNs !== undefined;
  }

  #retry(nowNs: bigint): void {
    this.retryAtNs = undefined;
    this.#activeNs = nowNs;
    const exchange = this.#exchange!;
    this.#expectResponse(exchange);
    for (const bytes of exchange.sent!) this.#actions.bytes('upstream', bytes);
  }

  #readResponses(nowNs: bigint): void {
    while (!this.closed && this.#responses !== undefined && !this.#actions.isFull('downstream')) {
      const event = this.#responses.next();
      if (event === undefined) return;
      this.#onResponse(event, nowNs);
    }
  }

  #onResponse(event: ParserEvent<ResponseStart>, nowNs: bigint): void {
    if (event.type === 'head') this.#interim = event.head.status < 200 && event.head.status !== SWITCHING_PROTOCOLS;
    if (event.type === 'error') this.#upstreamBroken(event.error, nowNs);
    else if (!this.#interim) this.#passResponse(this.#exchange!, event, nowNs);
  }

  #passResponse(exchange: Http1Exchange, event: ResponseEvent, nowNs: bigint): void {
    if (event.type === 'head') {
      if (event.head.status === SWITCHING_PROTOCOLS) this.#beginTunnel(exchange, event.head, nowNs);
      else if (event.head.status >= 500 && this.#willRetry(exchange, nowNs)) this.#closeUpstream();
      else this.#beginResponse(exchange, event.head, nowNs);
      return;
    }
    if (this.#tunnel) return;
    this.#actions.bytes('downstream', exchange.responseBody!.write(event));
    if (event.type !== 'end') return;
    exchange.response = 'done';
    if (exchange.serverCloses) this.#closeUpstream();
    this.#settle(exchange);
  }

  /** From here on bytes are bytes. */
  #beginTunnel(exchange: Http1Exchange, { status, headers }: ResponseStart, nowNs: bigint): void {
    if (!isWebSocketUpgrade(headers)) {
      this.#upstreamBroken(new HttpError(400, 'a switch to another protocol'), nowNs);
      return;
    }
    this.#tunnel = true;
    exchange.response = 'head';
    this.#log(exchange, { status, nowNs });
    const lines = [...downstreamHeaders(headers, { nowNs, serviceTimeMs: undefined }), ...upgradeHeaders()];
    this.#actions.bytes('downstream', encodeResponseHead(status, lines));
    this.#actions.bytes('downstream', this.#responses!.takeRest());
    this.#actions.bytes('upstream', this.#requests.takeRest());
  }

  #beginResponse(exchange: Http1Exchange, head: ResponseStart, nowNs: bigint): void {
    const { status, version, headers, framing } = head;
    exchange.serverCloses =
      hasToken(headers, 'connection', 'close') || (version === '1.0' && !hasToken(headers, 'connection', 'keep-alive'));
    // Where both connections have the same addresses and ports, a new one to the server could not be told from the one
    // that ends, so the client's ends too. Source: cilium/l7policy.cc, encodeHeaders.
    const sameEnds = this.#connection.originalSource === true;
    exchange.close ||= (exchange.serverCloses && sameEnds) || exchange.requestDoneNs === undefined;
    exchange.response = 'head';
    exchange.responseBody = new BodyWriter(framing);
    this.#log(exchange, { status, nowNs });
    const times = { nowNs, serviceTimeMs: exchange.serviceTimeMs(nowNs) };
    this.#actions.bytes('downstream', encodeForwardedHead(head, times, exchange.close));
  }

  /** The server sent what is no HTTP response, or ended inside one. */
  #upstreamBroken(error: HttpError, nowNs: bigint): void {
    this.#closeUpstream();
    this.#withoutUpstream(error instanceof TruncatedError ? 'connection termination' : 'protocol error', nowNs);
  }

  /** There is no server any more. The client is told, if it waits for a response of which nothing came. */
  #withoutUpstream(reason: UpstreamFailure, nowNs: bigint): void {
    this.#responses = undefined;
    const exchange = this.#exchange;
    if (exchange === undefined || !exchange.forwarded || exchange.response === 'done') return;
    if (exchange.response === 'head') this.#close();
    else if (!this.#willRetry(exchange, nowNs))
      this.#reply(exchange, upstreamFailed(reason, exchange.retries > 0), false, nowNs);
  }

  /** The proxy answers by itself. What is left of the request is dropped with the connection. */
  #reply(exchange: Http1Exchange, reply: LocalReply, close: boolean, nowNs: bigint): void {
    exchange.close ||= close || exchange.requestDoneNs === undefined;
    exchange.forwarded = false;
    exchange.response = 'done';
    const answer = localReply(reply, { nowNs, grpc: exchange.grpc });
    if (exchange.judged) this.#log(exchange, { status: answer.status, nowNs });
    else this.#logUnseen(exchange.number, answer.status, nowNs);
    const bodiless = exchange.request.method === 'HEAD';
    this.#actions.bytes('downstream', encodeLocalReply(answer, { bodiless, close: exchange.close }));
    this.#settle(exchange);
  }

  /** Of the request, or of the response that it gets. */
  #log(exchange: Http1Exchange, response?: { status: number; nowNs: bigint }): void {
    if (this.#actions.logs) this.#actions.log(exchange.number, exchange.record(response));
  }

  /** Of a request that was answered before policy was asked. */
  #logUnseen(request: number, status: number, nowNs: bigint): void {
    if (this.#actions.logs) for (const record of unseenRequest(status, nowNs)) this.#actions.log(request, record);
  }

  #settle(exchange: Http1Exchange): void {
    if (exchange.response !== 'done') return;
    if (exchange.close) this.#close();
    else if (exchange.requestEnded) this.#exchange = undefined;
  }

  #close(): void {
    this.#closeUpstream();
    this.#actions.add('closeDownstream');
    this.closed = true;
  }

  #closeUpstream(): void {
    if (this.#responses !== undefined) this.#actions.add('closeUpstream');
    this.#responses = undefined;
  }
}
