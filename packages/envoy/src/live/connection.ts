import { connect, type Socket } from 'node:net';
import { formatIp } from '@ciliate/packet';
import type { ConnectionSession, SessionSink } from '../carrier.ts';
import { Http2Connection } from '../http2/connection.ts';
import { speaksHttp2 } from '../http2/preface.ts';
import { KafkaSession } from '../kafka/session.ts';
import type { HttpAccessLog, Side } from '../protocol.ts';
import type { UpstreamFailure } from '../responses.ts';
import { Session } from '../session.ts';
import { Outlet } from './outlet.ts';
import { encodePreamble, type Preamble } from './preamble.ts';
import type { L7Parser } from './protocol.ts';
import type { Runtime } from './runtime.ts';

/** Unread bytes of a client beyond which no more are taken from its socket. */
const MAX_UNREAD = 64 * 1024;
/** All reads from servers of this thread go here first: they do not overlap. */
const readRoom = Buffer.allocUnsafe(64 * 1024);
/** How long a client may take its last answer after the proxy has closed. Envoy's delayed_close_timeout. */
const LINGER_MS = 1000;
const NOTHING = new Uint8Array(0);

/**
 * A redirected connection on sockets: bytes go to a session, what it says goes out. Memory is bounded: when a socket does
 * not take what is written, or too much is unread, the other side is not read until it does.
 */
export class LiveConnection implements SessionSink {
  readonly logs: boolean;
  readonly #down: Socket;
  readonly #preamble: Preamble;
  readonly #runtime: Runtime;
  readonly #session: ConnectionSession;
  readonly #toClient = new Outlet();
  readonly #toServer = new Outlet();
  #up: Socket | undefined;
  #downPaused = false;
  #upPaused = false;
  /** Nothing goes to the client any more. */
  #downClosed = false;
  #retryTimer: NodeJS.Timeout | undefined;
  /** The client's first bytes, as long as they may become those of HTTP/2. */
  #first: Uint8Array | undefined;

  constructor(down: Socket, preamble: Preamble, runtime: Runtime, parser: L7Parser = 'http') {
    this.#down = down;
    this.#preamble = preamble;
    this.#runtime = runtime;
    this.logs = runtime.logs;
    const { connection } = preamble;
    if (parser === 'http') this.#first = NOTHING;
    const Parser = parser === 'kafka' ? KafkaSession : Session;
    this.#session = new Parser(connection, runtime, () => runtime.policies.get(connection.endpointId), this);
    down.on('end', this.#onDownEnd).on('error', this.#onDownGone).on('close', this.#onDownGone);
    down.on('drain', this.#resume);
  }

  /** May it stay? Then its bytes count. @param first the client's that came with the preamble */
  open(first: Uint8Array): void {
    this.#session.open();
    if (this.#session.closed) return;
    this.#runtime.connections.add(this);
    this.#down.on('data', this.#onClientData);
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
    return side === 'downstream' ? this.#down.writableNeedDrain : this.#up?.writableNeedDrain === true;
  }

  bytes(to: Side, bytes: Uint8Array): void {
    if (to === 'downstream') this.#toClient.add(bytes);
    else {
      if (this.#up === undefined) this.#connect();
      this.#toServer.add(bytes);
    }
  }

  add(type: 'closeUpstream' | 'closeDownstream' | 'resetDownstream'): void {
    if (type === 'closeUpstream') this.#closeUpstream();
    else if (type === 'closeDownstream') this.#closeDownstream();
    else {
      this.#downClosed = true;
      this.#down.resetAndDestroy();
    }
  }

  log(request: number, record: HttpAccessLog): void {
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
    down.off('data', this.#onClientData).off('drain', this.#resume);
    down.off('end', this.#onDownEnd).off('error', this.#onDownGone).off('close', this.#onDownGone);
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
    if (this.#up !== undefined) this.#toServer.flush(this.#up);
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
    const up: Socket = connect({
      ...{ host: formatIp(ip), port, noDelay: true, allowHalfOpen: true },
      onread: {
        buffer: readRoom,
        // The room is every connection's: what came is copied out before anything else is read.
        callback: (count, room) => {
          if (this.#up === up) this.#onData('upstream', Buffer.from(room.subarray(0, count)));
          return true;
        },
      },
    });
    this.#up = up;
    this.#upPaused = false;
    if (via !== undefined) this.#toServer.add(encodePreamble(this.#preamble));
    // What comes of a connection that the session has given up is of no interest.
    const mine = (step: () => void): void => {
      if (this.#up === up) this.#run(step);
    };
    const fail = (reason: UpstreamFailure): void =>
      mine(() => {
        this.#up = undefined;
        this.#toServer.drop();
        up.destroy();
        this.#session.abort('upstream', this.#runtime.nowNs(), reason);
      });
    let connected = false;
    up.setTimeout(Number(this.#runtime.http.connectTimeoutNs / 1_000_000n), () => fail('connection timeout'));
    up.on('connect', () => {
      connected = true;
      up.setTimeout(0);
    });
    up.on('end', () => mine(() => this.#session.end('upstream', this.#runtime.nowNs())));
    up.on('error', () => fail(connected ? 'connection termination' : 'remote connection failure'));
    up.on('drain', () => mine(() => this.#session.resume(this.#runtime.nowNs())));
  }

  #closeUpstream(): void {
    const up = this.#up;
    if (up === undefined) return;
    this.#up = undefined;
    this.#toServer.drop();
    up.destroy(); // as Envoy, without waiting for what the server may never read
  }

  #closeDownstream(): void {
    if (this.#downClosed) return;
    this.#toClient.flush(this.#down);
    this.#downClosed = true;
    this.#down.end();
    this.#down.removeAllListeners('data');
    this.#down.resume(); // what still comes is dropped, so that the last answer is not lost to a reset
    const timer = setTimeout(() => this.#down.destroy(), LINGER_MS);
    this.#down.once('end', () => this.#down.destroySoon());
    this.#down.once('close', () => clearTimeout(timer));
  }

  #forget(): void {
    clearTimeout(this.#retryTimer);
    this.#runtime.connections.delete(this);
    if (this.#up !== undefined) this.#closeUpstream();
  }
}
