import { connect, type Socket } from 'node:net';
import { formatIp } from '@ciliate/packet';
import type { ConnectionSession, SessionDeed, SessionSink, TlsEnds } from '../carrier.ts';
import type { Piece } from '../http1/encode.ts';
import { Http2Connection } from '../http2/connection.ts';
import { speaksHttp2 } from '../http2/preface.ts';
import type { AccessLog, Side } from '../protocol.ts';
import type { UpstreamFailure } from '../responses.ts';
import { Session } from '../session.ts';
import { type L7Parser, sessionFor } from '../sessions.ts';
import { Intake } from './intake.ts';
import { Outlet } from './outlet.ts';
import { encodePreamble, type Preamble } from './preamble.ts';
import type { Runtime } from './runtime.ts';
import { beginTls, endTls, tlsFailure } from './tls_sockets.ts';

/** Unread bytes of a client beyond which no more are taken from its socket. */
const MAX_UNREAD = 64 * 1024;
/** How long a client may take its last answer after the proxy has closed. Envoy's delayed_close_timeout. */
const LINGER_MS = 1000;
/** The secret for TLS with the server has not come. Envoy's words. */
const NOT_READY = 'remote connection failure, transport failure reason: Socket is not ready';
const NOTHING = new Uint8Array(0);

/**
 * A redirected connection on sockets: bytes go to a session, what it says goes out. Memory is bounded: when a socket does
 * not take what is written, or too much is unread, the other side is not read until it does.
 */
export class LiveConnection implements SessionSink {
  readonly logs: boolean;
  /** The client's connection, and where its bytes are read and written: the same, unless its TLS ends here. */
  readonly #raw: Socket;
  #down: Socket;
  /** Of the client's connection. */
  readonly #intake: Intake;
  readonly #preamble: Preamble;
  readonly #runtime: Runtime;
  readonly #session: ConnectionSession;
  readonly #toClient = new Outlet();
  readonly #toServer = new Outlet();
  #up: Socket | undefined;
  /** TLS with the server is not there yet: nothing may go to it. */
  #held = false;
  /** After what waits for it, the server gets an end. */
  #upEnds = false;
  /** Of all connections to the server. */
  #upstreamTls: TlsEnds | undefined;
  #downPaused = false;
  #upPaused = false;
  /** Nothing goes to the client any more. */
  #downClosed = false;
  #retryTimer: NodeJS.Timeout | undefined;
  /** The client's first bytes, as long as they may become those of HTTP/2. */
  #first: Uint8Array | undefined;

  constructor(down: Socket, intake: Intake, preamble: Preamble, runtime: Runtime, parser: L7Parser = 'http') {
    this.#raw = down;
    this.#down = down;
    this.#intake = intake;
    this.#preamble = preamble;
    this.#runtime = runtime;
    this.logs = runtime.logs;
    const { connection } = preamble;
    this.#session = sessionFor(parser, connection, runtime, () => runtime.policies.get(connection.endpointId), this);
    if (this.#session instanceof Session) this.#first = NOTHING;
    this.#listen();
  }

  #listen(): void {
    const down = this.#down;
    down.on('end', this.#onDownEnd).on('error', this.#onDownGone).on('close', this.#onDownGone);
    down.on('drain', this.#resume);
  }

  /** Somebody else listens to the client's socket from now on. */
  #leave(): void {
    const down = this.#down;
    this.#intake.take = undefined;
    down.off('data', this.#onClientData).off('drain', this.#resume);
    down.off('end', this.#onDownEnd).off('error', this.#onDownGone).off('close', this.#onDownGone);
  }

  /** May it stay? Then its bytes count. @param first the client's that came with the preamble */
  open(first: Uint8Array): void {
    this.#session.open(this.#runtime.nowNs());
    if (this.#session.closed) return;
    this.#runtime.connections.add(this);
    this.#intake.take = this.#onClientData;
    if (first.length > 0) this.#onClientData(first);
  }

  /** Time passes. */
  sweep(nowNs: bigint): void {
    this.#session.tick(nowNs);
    this.#settle();
  }

  /** The worker ends. */
  destroy(): void {
    this.#session.end('downstream', this.#runtime.nowNs());
    this.#forget();
    this.#down.destroy();
  }

  isFull(side: Side): boolean {
    if (side === 'downstream') return this.#down.writableNeedDrain;
    return this.#held ? this.#toServer.bytes > MAX_UNREAD : this.#up?.writableNeedDrain === true;
  }

  bytes(to: Side, bytes: Piece): void {
    if (to === 'downstream') this.#toClient.add(bytes);
    else {
      if (this.#up === undefined) this.#connect();
      this.#toServer.add(bytes);
    }
  }

  add(type: SessionDeed): void {
    if (type === 'closeUpstream') this.#closeUpstream();
    else if (type === 'closeDownstream') this.#closeDownstream();
    else if (type === 'endUpstream') this.#upEnds = true;
    else if (type === 'endDownstream') {
      this.#toClient.flush(this.#down);
      this.#down.end();
    } else {
      this.#downClosed = true;
      this.#raw.resetAndDestroy();
      this.#down.destroy();
    }
  }

  secure(tls: TlsEnds): void {
    this.#upstreamTls = tls;
    if (tls.downstream === undefined) return;
    this.#leave();
    this.#down = endTls(this.#raw, tls.downstream, tls.first);
    this.#listen();
    this.#down.on('data', this.#onClientData);
  }

  log(request: number, record: AccessLog): void {
    this.#runtime.log(this.#preamble.connection.id, request, record);
  }

  readonly #onClientData = (bytes: Uint8Array): void => {
    if (this.#first !== undefined) {
      const first = this.#first.length === 0 ? bytes : Buffer.concat([this.#first, bytes]);
      const http2 = speaksHttp2(first);
      if (http2 === true) {
        this.#becomeHttp2(first);
        return;
      }
      this.#first = http2 === undefined ? first : undefined;
    }
    this.#onData('downstream', bytes);
  };

  /** To the session, what came so far was half a line. */
  #becomeHttp2(first: Uint8Array): void {
    this.#forget();
    const down = this.#down;
    this.#leave();
    down.pause();
    down.unshift(first);
    new Http2Connection(down, this.#preamble, this.#runtime);
  }

  #onData(from: Side, bytes: Uint8Array): void {
    this.#session.data(from, bytes, this.#runtime.nowNs());
    this.#settle();
  }

  #run(step: () => void): void {
    if (this.#session.closed) return;
    step();
    this.#settle();
  }

  readonly #onDownEnd = (): void => this.#run(() => this.#session.end('downstream', this.#runtime.nowNs()));
  readonly #onDownGone = (): void => this.#run(() => this.#session.abort('downstream', this.#runtime.nowNs()));
  readonly #resume = (): void => this.#run(() => this.#session.resume(this.#runtime.nowNs()));

  /** What a step of the session left to do: write, stop or go on reading, wait. */
  #settle(): void {
    if (!this.#downClosed) this.#toClient.flush(this.#down);
    if (this.#up !== undefined && !this.#held) {
      this.#toServer.flush(this.#up);
      if (this.#upEnds) this.#up.end();
    }
    if (this.#session.closed) {
      this.#forget();
      return;
    }
    this.#balance();
    const { retryAtNs } = this.#session;
    if (retryAtNs === undefined || this.#retryTimer !== undefined) return;
    const waitMs = Math.max(0, Math.ceil(Number(retryAtNs - this.#runtime.nowNs()) / 1e6));
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined;
      this.#run(() => this.#session.tick(this.#runtime.nowNs()));
    }, waitMs);
  }

  #balance(): void {
    const stop = this.isFull('upstream') || this.#session.unread > MAX_UNREAD;
    if (stop !== this.#downPaused) {
      this.#downPaused = stop;
      if (stop) this.#down.pause();
      else this.#down.resume();
    }
    const stopUp = this.isFull('downstream');
    if (stopUp !== this.#upPaused) {
      this.#upPaused = stopUp;
      if (stopUp) this.#up?.pause();
      else this.#up?.resume();
    }
  }

  #connect(): void {
    const { connection, via } = this.#preamble;
    const { ip, port } = via ?? connection.destination;
    const { upstream: tls, serverName } = this.#upstreamTls ?? {};
    const intake = new Intake();
    let up: Socket = connect({
      ...{ host: formatIp(ip), port, noDelay: true, allowHalfOpen: true },
      ...(tls === undefined && { onread: intake.onread }),
    });
    intake.take = (bytes) => {
      if (this.#up === up) this.#onData('upstream', bytes);
    };
    this.#up = up;
    this.#upPaused = false;
    this.#held = tls !== undefined;
    if (via !== undefined && tls === undefined) this.#toServer.add(encodePreamble(this.#preamble));
    // What comes of a connection that the session has given up is of no interest.
    const mine = (step: () => void): void => {
      if (this.#up === up) this.#run(step);
    };
    const fail = (reason: UpstreamFailure): void =>
      mine(() => {
        this.#closeUpstream();
        this.#session.abort('upstream', this.#runtime.nowNs(), reason);
      });
    let failure: (error: Error) => UpstreamFailure = () => 'remote connection failure';
    const { connectTimeoutNs } = this.#runtime.http;
    const timer = setTimeout(() => fail('connection timeout'), Number(connectTimeoutNs / 1_000_000n));
    up.on('close', () => clearTimeout(timer));
    const listen = (): void => {
      up.on('end', () => mine(() => this.#session.end('upstream', this.#runtime.nowNs())));
      up.on('error', (error) => fail(failure(error)));
      up.on('drain', () => mine(() => this.#session.resume(this.#runtime.nowNs())));
    };
    const ready = (): void => {
      clearTimeout(timer);
      failure = () => 'connection termination';
      this.#held = false;
    };
    listen();
    up.on('connect', () => {
      if (tls === undefined) ready();
      else if (tls === 'missing') fail(NOT_READY);
      else {
        failure = tlsFailure;
        if (via !== undefined) up.write(encodePreamble(this.#preamble));
        up = beginTls(up, tls, serverName);
        this.#up = up;
        listen();
        up.on('data', (bytes: Uint8Array) => mine(() => this.#session.data('upstream', bytes, this.#runtime.nowNs())));
        up.on('secureConnect', () => {
          ready();
          mine(() => this.#session.resume(this.#runtime.nowNs()));
        });
      }
    });
  }

  #closeUpstream(): void {
    const up = this.#up;
    if (up === undefined) return;
    this.#up = undefined;
    this.#held = false;
    this.#toServer.drop();
    up.destroy(); // as Envoy, without waiting for what the server may never read
  }

  #closeDownstream(): void {
    if (this.#downClosed) return;
    this.#toClient.flush(this.#down);
    this.#downClosed = true;
    this.#down.end();
    this.#intake.take = undefined;
    this.#down.off('data', this.#onClientData);
    this.#down.resume(); // what still comes is dropped, so that the last answer is not lost to a reset
    const timer = setTimeout(() => this.#down.destroy(), LINGER_MS);
    this.#down.once('end', () => this.#down.destroySoon());
    this.#down.once('close', () => clearTimeout(timer));
  }

  #forget(): void {
    clearTimeout(this.#retryTimer);
    this.#runtime.connections.delete(this);
    if (!this.#upEnds) this.#closeUpstream();
    else for (const socket of [this.#down, this.#up]) if (socket !== undefined) endSoon(socket);
  }
}

/** Both sides have ended: what is written already still goes out. */
function endSoon(socket: Socket): void {
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(timer));
  socket.destroySoon();
}
