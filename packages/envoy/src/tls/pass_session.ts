import { connectionDenied } from '../access_log.ts';
import type { ConnectionSession, SessionSink } from '../carrier.ts';
import { allowedAtNetwork } from '../filter.ts';
import type { CompiledPolicy } from '../network_policy.ts';
import type { ProxyConnection, Side } from '../protocol.ts';
import type { UpstreamFailure } from '../responses.ts';

const NOTHING = new Uint8Array(0);

/**
 * A connection whose bytes nobody reads: they go on as they are, and each side may end before the other.
 * Source: Envoy's tcp_proxy, as pkg/envoy/xds_server.go (getTcpFilterChainProto) uses it.
 */
export class PassSession implements ConnectionSession {
  closed = false;
  readonly retryAtNs = undefined;
  readonly unread = 0;
  readonly #connection: ProxyConnection;
  readonly #policy: () => CompiledPolicy | undefined;
  readonly #sink: SessionSink;
  readonly #ended = { downstream: false, upstream: false };

  constructor(
    connection: ProxyConnection,
    _options: unknown,
    policy: () => CompiledPolicy | undefined,
    sink: SessionSink,
  ) {
    this.#connection = connection;
    this.#policy = policy;
    this.#sink = sink;
  }

  /** The server is connected to at once: it may be the one who speaks first. */
  open(nowNs: bigint): void {
    const { remoteIdentity, localPort, ingress } = this.#connection;
    if (allowedAtNetwork(this.#policy(), { remoteIdentity, port: localPort, ingress }).allowed) {
      this.#sink.bytes('upstream', NOTHING);
      return;
    }
    if (this.#sink.logs) this.#sink.log(0, connectionDenied(this.#connection, nowNs));
    this.#end('resetDownstream');
  }

  data(from: Side, bytes: Uint8Array): void {
    this.#sink.bytes(from === 'downstream' ? 'upstream' : 'downstream', bytes);
  }

  end(from: Side): void {
    this.#ended[from] = true;
    this.#sink.add(from === 'downstream' ? 'endUpstream' : 'endDownstream');
    if (!this.#ended.downstream || !this.#ended.upstream) return;
    this.closed = true;
  }

  abort(from: Side, _nowNs: bigint, reason: UpstreamFailure = 'connection termination'): void {
    if (from === 'downstream') {
      this.#sink.add('closeUpstream');
      this.closed = true;
    } else this.#end(reason === 'connection termination' ? 'resetDownstream' : 'closeDownstream');
  }

  resume(): void {}

  tick(): void {}

  #end(deed: 'resetDownstream' | 'closeDownstream'): void {
    this.#sink.add(deed);
    this.closed = true;
  }
}
