// What a session and whoever carries its bytes (sockets, or an emulated network) say to each other.
import type { HttpConfig } from './http_config.ts';
import type { Piece } from './http1/encode.ts';
import type { AccessLog, Side } from './protocol.ts';
import type { UpstreamFailure } from './responses.ts';
import type { TlsMaterials } from './tls/secrets.ts';

/**
 * Takes what a session does, in order. The first bytes `upstream`, and the first after `closeUpstream` or after the upstream
 * has ended, mean: connect to the destination first. After `closeUpstream` the session wants to hear no more of that
 * connection. After `closeDownstream` or `resetDownstream` it is over.
 */
export interface SessionSink {
  /** Does anybody want log entries? */
  readonly logs: boolean;
  /** So much waits to be written to this side that no more should come: the session waits for `resume`. */
  isFull(side: Side): boolean;
  bytes(to: Side, bytes: Piece): void;
  add(type: SessionDeed): void;
  /** Said at most once, before any bytes: from now on all bytes to and from the session are what is inside TLS. */
  secure(tls: TlsEnds): void;
  log(request: number, record: AccessLog): void;
}

/** `end...`: nothing more will go to this side, which may still send. */
export type SessionDeed = 'closeUpstream' | 'closeDownstream' | 'resetDownstream' | 'endUpstream' | 'endDownstream';

/** Where TLS ends and begins. */
export interface TlsEnds {
  /** undefined: the client's bytes are passed on as they are. */
  readonly downstream: TlsMaterials | undefined;
  /** undefined: the server gets bytes without TLS. missing: a secret has not come, so it cannot be reached. */
  readonly upstream: TlsMaterials | 'missing' | undefined;
  /** That the client asked for: the server is asked for it too, and must be it. */
  readonly serverName: string | undefined;
  /** What the client has sent so far. Where its TLS ends here, the first bytes of that; else the session has them. */
  readonly first: Uint8Array;
}

/** A client's connection as whoever carries its bytes sees it, whatever protocol it speaks. Times are since 1970. */
export interface ConnectionSession {
  /** Everything that ends the connection was said. */
  readonly closed: boolean;
  /** When `tick` must be called at the latest for a retry; undefined: none is due. */
  readonly retryAtNs: bigint | undefined;
  /** Bytes of the client that wait for an answer, or for room in the sink. */
  readonly unread: number;
  /** May the connection stay? */
  open(nowNs: bigint): void;
  data(from: Side, bytes: Uint8Array, nowNs: bigint): void;
  /** There is room in the sink again. */
  resume(nowNs: bigint): void;
  /** A side closed. */
  end(from: Side, nowNs: bigint): void;
  /** A side reset the connection, or, with a `reason`, the server could not be reached. */
  abort(from: Side, nowNs: bigint, reason?: UpstreamFailure): void;
  /** Time passes: does what is due. To be called at `retryAtNs`, and now and then for time-outs. */
  tick(nowNs: bigint): void;
}

export interface SessionOptions {
  /** Of request ids, and of the time before a retry. */
  readonly seed: number;
  readonly http: HttpConfig;
}
