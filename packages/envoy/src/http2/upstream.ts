import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2, constants } from 'node:http2';
import { connect } from 'node:net';
import { formatIp } from '@ciliate/packet';
import { encodePreamble, type Preamble } from '../live/preamble.ts';
import type { UpstreamFailure } from '../responses.ts';
import { CLIENT_OPTIONS } from './limits.ts';

interface Link {
  readonly session: ClientHttp2Session;
  connected: boolean;
  /** Why it ended. */
  failure: UpstreamFailure | undefined;
}

/** A request on its way to the server. */
export interface UpstreamStream {
  readonly stream: ClientHttp2Stream;
  /** Once the stream is closed without an answer: why. @param error what it said of itself */
  failure(error: Error | undefined): UpstreamFailure;
}

/**
 * The connection to the server for all streams of one client: HTTP/2, as the client's, made with the first of them and again
 * after it has ended. Source: pkg/envoy/embedded_envoy.go (use_downstream_protocol_config).
 */
export class Upstream {
  readonly #preamble: Preamble;
  readonly #connectTimeoutMs: number;
  /** With those that finish what they have begun. */
  readonly #links = new Set<Link>();
  #current: Link | undefined;

  constructor(preamble: Preamble, connectTimeoutNs: bigint) {
    this.#preamble = preamble;
    this.#connectTimeoutMs = Number(connectTimeoutNs / 1_000_000n);
  }

  /** @param raw pseudo headers first @param endStream there is neither body nor trailers */
  request(raw: readonly string[], endStream: boolean): UpstreamStream {
    const { closed = true, destroyed = true } = this.#current?.session ?? {};
    if (closed || destroyed) this.#current = this.#connect();
    const link = this.#current!;
    const stream = link.session.request(raw, { endStream, waitForTrailers: !endStream });
    return { stream, failure: (error) => link.failure ?? failureOf(error, stream.rstCode, link.connected) };
  }

  /** The client has gone. */
  close(): void {
    for (const { session } of this.#links) session.destroy();
  }

  #connect(): Link {
    const { connection, via } = this.#preamble;
    const { ip, port } = via ?? connection.destination;
    const socket = connect({ host: formatIp(ip), port, noDelay: true });
    if (via !== undefined) socket.write(encodePreamble(this.#preamble));
    const session = connectHttp2('http://server', { ...CLIENT_OPTIONS, createConnection: () => socket });
    const link: Link = { session, connected: false, failure: undefined };
    const timer = setTimeout(() => {
      link.failure = 'connection timeout';
      session.destroy();
    }, this.#connectTimeoutMs);
    session.on('connect', () => {
      clearTimeout(timer);
      link.connected = true;
    });
    session.on('error', () => {}); // its streams are told
    session.on('goaway', () => {
      if (this.#current === link) this.#current = undefined;
    });
    session.on('close', () => {
      clearTimeout(timer);
      this.#links.delete(link);
    });
    this.#links.add(link);
    return link;
  }
}

const { NGHTTP2_PROTOCOL_ERROR, NGHTTP2_REFUSED_STREAM } = constants;

function failureOf(error: Error | undefined, rstCode: number | undefined, connected: boolean): UpstreamFailure {
  if (!connected) return 'remote connection failure';
  if (rstCode === NGHTTP2_REFUSED_STREAM) return 'remote refused stream reset';
  if (rstCode === NGHTTP2_PROTOCOL_ERROR) return 'protocol error'; // as the codec resets what it does not understand
  switch ((error as NodeJS.ErrnoException | undefined)?.code) {
    case 'ERR_HTTP2_ERROR':
    case 'ERR_HTTP2_SESSION_ERROR':
      return 'protocol error';
    case 'ERR_HTTP2_STREAM_ERROR':
      return 'remote reset';
    default:
      return 'connection termination';
  }
}
