import { endsOf } from './access_log.ts';
import type { SessionOptions } from './carrier.ts';
import { allowed } from './filter.ts';
import { HeaderLog } from './header_match.ts';
import type { HttpConfig } from './http_config.ts';
import type { Piece } from './http1/encode.ts';
import type { Headers } from './http1/message.ts';
import type { CompiledPolicy } from './network_policy.ts';
import type { FilterVerdict } from './port_rules.ts';
import type { HttpAccessLog, ProxyConnection } from './protocol.ts';
import { RequestHeaderMap } from './request_header_map.ts';
import { filterHeaders, isGrpc } from './request_headers.ts';
import { jitter, requestId } from './request_id.ts';
import { ACCESS_DENIED, incomplete, type LocalReply } from './responses.ts';

/** What policy was asked, as rules left it, and what it said. */
interface Judged {
  readonly method: string;
  readonly authority: string;
  readonly path: string;
  readonly verdict: FilterVerdict;
  readonly log: HeaderLog;
}

/** A request as its client sent it, with a normalised path. */
export interface AskedRequest {
  readonly method: string;
  readonly authority: string;
  /** With query. */
  readonly path: string;
  readonly headers: Headers;
  /** It asks for a WebSocket, and may. */
  readonly upgrade: boolean;
}

/** What becomes of a request: it goes on as rules left it, or the proxy answers. */
export type Judgement =
  | ({ readonly kind: 'forward' } & AskedRequest)
  | { readonly kind: 'reply'; readonly reply: LocalReply };

/** Of one request; a longer one is not tried again. Envoy's per_connection_buffer_limit_bytes. */
export const MAX_KEPT_BYTES = 1 << 20;
/** Envoy's defaults: the first back-off, and the longest. */
const RETRY_BASE_MS = 25;
const MAX_RETRY_MS = 250;
const NEVER = 1n << 62n;

/** One request and its response, as far as they got, in whatever version of HTTP: judged, logged, tried again. */
export class Exchange {
  readonly connection: ProxyConnection;
  /** Place among the connection's requests, from 0. */
  readonly number: number;
  /** When the first byte of the request was read. */
  readonly startedNs: bigint;
  readonly grpc: boolean;
  readonly #protocol: HttpAccessLog['protocol'];
  #judged: Judged | undefined;
  /** When all of the request was there. */
  requestDoneNs: bigint | undefined;
  response: 'none' | 'head' | 'done' = 'none';
  /** How often it was tried again. */
  retries = 0;
  /** The body, or all, that went to the server, for the next attempt; undefined: too much, or none will be made. */
  sent: Piece[] | undefined = [];
  #sentBytes = 0;

  constructor(
    connection: ProxyConnection,
    number: number,
    {
      startedNs,
      protocol,
      headers,
    }: Pick<Exchange, 'startedNs'> & Pick<HttpAccessLog, 'protocol'> & { headers: Headers },
  ) {
    this.connection = connection;
    this.number = number;
    this.startedNs = startedNs;
    this.#protocol = protocol;
    this.grpc = isGrpc(headers);
  }

  /** Was policy asked? Then there is something to log. */
  get judged(): boolean {
    return this.#judged !== undefined;
  }

  /** @param policy in force now; undefined: withdrawn since the connection was opened @param seed of the request's id */
  judge(policy: CompiledPolicy | undefined, request: AskedRequest, seed: number): Judgement {
    const { id, source, remoteIdentity, localPort, ingress } = this.connection;
    const { upgrade } = request;
    const filtered = filterHeaders(request.headers, {
      sourceIp: source.ip,
      requestId: requestId(seed, id, this.number),
      upgrade,
      secured: this.connection.secured === true,
    });
    const { method: asked, authority: host, path: normalized } = request;
    const headers = new RequestHeaderMap({ method: asked, path: normalized, authority: host, headers: filtered });
    const log = new HeaderLog();
    const verdict = allowed(policy, headers, log, { remoteIdentity, port: localPort, ingress });
    const method = headers.get(':method') ?? '';
    const authority = headers.get(':authority') ?? '';
    const path = headers.get(':path') ?? '';
    this.#judged = { method, authority, path, verdict, log };
    if (!verdict.allowed) return { kind: 'reply', reply: { status: 403, body: ACCESS_DENIED } };
    if (headers.missing !== undefined) return { kind: 'reply', reply: incomplete(headers.missing) };
    return { kind: 'forward', method, authority, path, headers: headers.lines, upgrade };
  }

  /** Remembers what goes to the server. */
  keep(bytes: Piece): void {
    if (this.sent === undefined) return;
    this.#sentBytes += bytes.length;
    if (this.#sentBytes > MAX_KEPT_BYTES) this.sent = undefined;
    else this.sent.push(bytes);
  }

  /**
   * Once all of a request was there and could be kept, what fails with 5xx, or without an answer, is tried again, after a
   * random time below 25, 75, 175 ms. Source: pkg/envoy/xds_server.go (retry on 5xx, three times); Envoy's retry_state_impl.
   * @returns how long to wait; undefined: it will not be
   */
  nextAttemptNs({ http, seed }: SessionOptions): bigint | undefined {
    if (this.response !== 'none' || this.sent === undefined || this.requestDoneNs === undefined) return undefined;
    if (this.retries >= http.retries) return undefined;
    this.retries++;
    const atMostMs = Math.min(RETRY_BASE_MS * (2 ** this.retries - 1), MAX_RETRY_MS);
    const waitMs = jitter(seed, this.connection.id, this.number * 8 + this.retries) % atMostMs;
    return BigInt(waitMs) * 1_000_000n;
  }

  /**
   * @param activeNs when a byte of it was seen last
   * @returns Envoy's word for the time-out that is over. The idle one of the route counts once a request has a route; that of
   *   gRPC has neither it nor a time-out of its own (with max_stream_duration Envoy uses no other). Source: pkg/envoy/xds_server.go,
   *   getHttpFilterChainProto; Envoy's router, FilterUtility::finalTimeout. Not modelled: `grpc-timeout`, which clients keep themselves
   */
  overdue(nowNs: bigint, activeNs: bigint, http: HttpConfig): string | undefined {
    if (!this.grpc && nowNs - (this.requestDoneNs ?? NEVER) >= http.requestTimeoutNs) return 'upstream request timeout';
    const idleNs = this.grpc ? http.streamIdleTimeoutNs : http.routeIdleTimeoutNs;
    return nowNs - activeNs >= idleNs ? 'stream timeout' : undefined;
  }

  /** From the end of the request to `nowNs`, the head of the response; undefined if the request has not ended. */
  serviceTimeMs(nowNs: bigint): number | undefined {
    return this.requestDoneNs === undefined ? undefined : Math.floor(Number(nowNs - this.requestDoneNs) / 1e6);
  }

  /** The access log's entry for the request, or for the response with `status`. Only once judged. */
  record(response?: { status: number; nowNs: bigint }): HttpAccessLog {
    const { method, authority, path, verdict, log } = this.#judged!;
    const ends = endsOf(this.connection);
    const record: HttpAccessLog = {
      timestampNs: response === undefined ? this.startedNs : response.nowNs,
      entryType: response !== undefined ? 'Response' : verdict.allowed ? 'Request' : 'Denied',
      isIngress: ends.isIngress,
      sourceIdentity: ends.sourceIdentity,
      destinationIdentity: ends.destinationIdentity,
      source: ends.source,
      destination: ends.destination,
      method,
      path,
      host: authority,
      protocol: this.#protocol,
      status: response?.status,
      latencyNs: response === undefined ? undefined : response.nowNs - this.startedNs,
      rule: verdict.matchedRule,
    };
    const { secured } = this.connection;
    if (!secured && log.missing.length === 0 && log.rejected.length === 0) return record;
    return {
      ...record,
      ...(secured && { scheme: 'https' }),
      ...(log.missing.length > 0 && { missingHeaders: log.missing }),
      ...(log.rejected.length > 0 && { rejectedHeaders: log.rejected }),
    };
  }
}
