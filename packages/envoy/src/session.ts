import { ActionList } from './action_list.ts';
import { Exchange } from './exchange.ts';
import { allowed, allowedAtNetwork } from './filter.ts';
import { HeaderLog } from './header_match.ts';
import { BodyWriter, encodeRequestHead, encodeResponseHead } from './http1/encode.ts';
import {
  type Headers,
  type HeadPlace,
  type HttpError,
  hasToken,
  type RequestStart,
  type ResponseStart,
  TruncatedError,
} from './http1/message.ts';
import { type BodyEvent, type ParserEvent, RequestParser, ResponseParser } from './http1/parser.ts';
import type { CompiledPolicy } from './network_policy.ts';
import type { ProxyAction, ProxyConnection, Side } from './protocol.ts';
import { RequestHeaderMap } from './request_header_map.ts';
import { expectsContinue, filterHeaders, upstreamHeaders } from './request_headers.ts';
import { requestId } from './request_id.ts';
import {
  ACCESS_DENIED,
  codecError,
  encodeForwardedHead,
  encodeLocalReply,
  incomplete,
  type LocalReply,
  upstreamFailed,
} from './responses.ts';
import { type RoutedRequest, route } from './target.ts';

const CONNECTION_TERMINATED = upstreamFailed(503, 'connection termination');

/** A request as rules left it. */
interface UpstreamRequest {
  readonly method: string;
  readonly target: string;
  readonly authority: string;
  readonly headers: Headers;
}

type ResponseEvent = Exclude<ParserEvent<ResponseStart>, { type: 'error' }>;

/**
 * One connection of a client, and the one to the server behind it: bytes in, actions out. Knows no socket, no clock.
 *
 * As in Envoy, a request is not looked at before the response to the one before it is complete, so that each is judged
 * by itself, in order, under the policy of that moment; until then its bytes wait. A response that starts before its
 * request is complete ends the connection: what would be left of the request has no taker.
 */
export class Session {
  /** Every action that ends the connection was given out. */
  closed = false;
  readonly #connection: ProxyConnection;
  readonly #seed: number;
  readonly #policy: () => CompiledPolicy | undefined;
  readonly #actions = new ActionList();
  readonly #requests = new RequestParser();
  /** Reads from the server; undefined without a connection to it. */
  #responses: ResponseParser | undefined;
  #exchange: Exchange | undefined;
  #startedNs: bigint | undefined;
  #requestCount = 0;
  /** The response being read is an interim one (1xx): not passed on. */
  #interim = false;

  constructor(connection: ProxyConnection, seed: number, policy: () => CompiledPolicy | undefined) {
    this.#connection = connection;
    this.#seed = seed;
    this.#policy = policy;
  }

  open(): ProxyAction[] {
    const { remoteIdentity, localPort } = this.#connection;
    if (!allowedAtNetwork(this.#policy(), { remoteIdentity, port: localPort }).allowed) {
      this.#actions.add('resetDownstream');
      this.closed = true;
    }
    return this.#actions.take();
  }

  data(from: Side, bytes: Uint8Array, nowNs: bigint): ProxyAction[] {
    if (from === 'downstream') {
      this.#requests.push(bytes);
    } else {
      this.#responses?.push(bytes);
      this.#readResponses(nowNs);
    }
    this.#readRequests(nowNs);
    return this.#actions.take();
  }

  /** A side closed. If the client did, everything ends, also what is under way: Envoy knows no half-closed clients. */
  end(from: Side, nowNs: bigint): ProxyAction[] {
    if (from === 'downstream') {
      this.#close();
    } else if (this.#responses !== undefined) {
      this.#responses.finish();
      this.#readResponses(nowNs);
      if (this.#responses !== undefined) {
        this.#actions.add('closeUpstream');
        this.#withoutUpstream(CONNECTION_TERMINATED, nowNs);
      }
      this.#readRequests(nowNs);
    }
    return this.#actions.take();
  }

  /** A side reset the connection. */
  abort(from: Side, nowNs: bigint): ProxyAction[] {
    if (from === 'downstream') {
      this.#closeUpstream();
      this.closed = true;
    } else {
      this.#withoutUpstream(CONNECTION_TERMINATED, nowNs);
      this.#readRequests(nowNs);
    }
    return this.#actions.take();
  }

  #readRequests(nowNs: bigint): void {
    while (!this.closed && this.#exchange?.requestEnded !== true) {
      const event = this.#requests.next();
      if (!this.#requests.between) this.#startedNs ??= nowNs;
      if (event === undefined) return;
      this.#onRequest(event, nowNs);
    }
  }

  #onRequest(event: ParserEvent<RequestStart>, nowNs: bigint): void {
    if (event.type === 'head') this.#begin(event.head, nowNs);
    else if (event.type === 'error') this.#requestBroken(event.error, nowNs);
    else this.#continue(this.#exchange!, event, nowNs);
  }

  #continue(exchange: Exchange, event: BodyEvent, nowNs: bigint): void {
    if (exchange.forwarded) this.#actions.bytes('upstream', exchange.requestBody.write(event));
    if (event.type !== 'end') return;
    exchange.requestDoneNs ??= nowNs;
    exchange.requestEnded = true;
    this.#startedNs = undefined;
    this.#settle(exchange);
  }

  /** The client sent what is no HTTP request. */
  #requestBroken({ status }: HttpError, nowNs: bigint): void {
    const exchange = this.#exchange;
    if (exchange?.response === 'none') {
      this.#reply(exchange, codecError(status), true, nowNs);
      return;
    }
    if (exchange === undefined) {
      const reply = encodeLocalReply(codecError(status), { nowNs, bodiless: false, close: true });
      this.#actions.bytes('downstream', reply);
    }
    this.#close();
  }

  #begin(request: RequestStart & HeadPlace, nowNs: bigint): void {
    const times = { startedNs: this.#startedNs ?? nowNs, nowNs };
    const exchange = new Exchange(
      request,
      this.#requestCount++,
      times,
      hasToken(request.headers, 'connection', 'close'),
    );
    this.#exchange = exchange;
    const routed = route(request);
    if (routed.kind === 'reply') {
      this.#reply(exchange, routed.reply, routed.close, nowNs);
      return;
    }
    if (expectsContinue(request.headers)) this.#actions.bytes('downstream', encodeResponseHead(100, []));

    this.#judge(exchange, routed, nowNs);
  }

  #judge(exchange: Exchange, { authority, path }: RoutedRequest, nowNs: bigint): void {
    const { request } = exchange;
    const { id, source, remoteIdentity, localPort } = this.#connection;
    const headers = new RequestHeaderMap({
      ...{ method: request.method, path, authority },
      headers: filterHeaders(request, { sourceIp: source.ip, requestId: requestId(this.#seed, id, exchange.number) }),
    });
    const log = new HeaderLog();
    const verdict = allowed(this.#policy(), headers, log, { remoteIdentity, port: localPort });
    const [method = '', host = '', target = ''] = [':method', ':authority', ':path'].map((name) => headers.get(name));
    exchange.judged = { method, authority: host, path: target, verdict, log };
    this.#actions.log(exchange.number, exchange.record(this.#connection));
    if (!verdict.allowed) this.#reply(exchange, { status: 403, body: ACCESS_DENIED }, false, nowNs);
    else if (headers.missing !== undefined) this.#reply(exchange, incomplete(headers.missing), false, nowNs);
    else this.#forward(exchange, { method, target, authority: host, headers: headers.lines });
  }

  #forward(exchange: Exchange, { method, target, authority, headers }: UpstreamRequest): void {
    const lines = upstreamHeaders(authority, headers, { method, framing: exchange.request.framing });
    this.#actions.bytes('upstream', encodeRequestHead(method, target, lines));
    exchange.forwarded = true;
    this.#responses ??= new ResponseParser();
    this.#responses.expect(method);
  }

  #readResponses(nowNs: bigint): void {
    while (!this.closed && this.#responses !== undefined) {
      const event = this.#responses.next();
      if (event === undefined) return;
      this.#onResponse(event, nowNs);
    }
  }

  #onResponse(event: ParserEvent<ResponseStart>, nowNs: bigint): void {
    if (event.type === 'head') this.#interim = event.head.status < 200;
    if (event.type === 'error') this.#upstreamBroken(event.error, nowNs);
    else if (!this.#interim) this.#passResponse(this.#exchange!, event, nowNs);
  }

  #passResponse(exchange: Exchange, event: ResponseEvent, nowNs: bigint): void {
    if (event.type === 'head') {
      this.#beginResponse(exchange, event.head, nowNs);
      return;
    }
    this.#actions.bytes('downstream', exchange.responseBody!.write(event));
    if (event.type !== 'end') return;
    exchange.response = 'done';
    if (exchange.serverCloses) this.#closeUpstream();
    this.#settle(exchange);
  }

  #beginResponse(exchange: Exchange, head: ResponseStart, nowNs: bigint): void {
    const { status, version, headers, framing } = head;
    exchange.serverCloses =
      hasToken(headers, 'connection', 'close') || (version === '1.0' && !hasToken(headers, 'connection', 'keep-alive'));
    // Where both connections have the same addresses and ports, a new one to the server could not be told from the one
    // that ends, so the client's ends too. Source: cilium/l7policy.cc, encodeHeaders.
    const sameEnds = this.#connection.originalSource === true;
    exchange.close ||= (exchange.serverCloses && sameEnds) || exchange.requestDoneNs === undefined;
    exchange.response = 'head';
    exchange.responseBody = new BodyWriter(framing);
    this.#actions.log(exchange.number, exchange.record(this.#connection, { status, nowNs }));
    const { requestDoneNs, close } = exchange;
    const serviceTimeMs = requestDoneNs === undefined ? undefined : Number((nowNs - requestDoneNs) / 1_000_000n);
    this.#actions.bytes('downstream', encodeForwardedHead(head, { nowNs, serviceTimeMs, close }));
  }

  /** The server sent what is no HTTP response, or ended inside one. */
  #upstreamBroken(error: HttpError, nowNs: bigint): void {
    this.#closeUpstream();
    const truncated = error instanceof TruncatedError;
    this.#withoutUpstream(truncated ? CONNECTION_TERMINATED : upstreamFailed(502, 'protocol error'), nowNs);
  }

  /** There is no server any more. @param reply for the client, if it waits for a response of which nothing came */
  #withoutUpstream(reply: LocalReply, nowNs: bigint): void {
    this.#responses = undefined;
    const exchange = this.#exchange;
    if (exchange === undefined || !exchange.forwarded || exchange.response === 'done') return;
    if (exchange.response === 'head') this.#close();
    else this.#reply(exchange, reply, false, nowNs);
  }

  /** The proxy answers by itself. What is left of the request is dropped with the connection. */
  #reply(exchange: Exchange, reply: LocalReply, close: boolean, nowNs: bigint): void {
    const { status } = reply;
    exchange.close ||= close || exchange.requestDoneNs === undefined;
    exchange.forwarded = false;
    exchange.response = 'done';
    if (exchange.judged !== undefined)
      this.#actions.log(exchange.number, exchange.record(this.#connection, { status, nowNs }));
    const bodiless = exchange.request.method === 'HEAD';
    this.#actions.bytes('downstream', encodeLocalReply(reply, { nowNs, bodiless, close: exchange.close }));
    this.#settle(exchange);
  }

  #settle(exchange: Exchange): void {
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
