import { connectionDenied } from '../access_log.ts';
import type { ConnectionSession, SessionSink } from '../carrier.ts';
import { allowedAtNetwork } from '../filter.ts';
import type { CompiledPolicy } from '../network_policy.ts';
import type { ProxyConnection, Side } from '../protocol.ts';
import type { UpstreamFailure } from '../responses.ts';
import { ClientHelloReader } from './client_hello.ts';

/** How long a client may take for its first flight. Envoy's listener_filters_timeout. */
const HELLO_TIMEOUT_NS = 15_000_000_000n;

/**
 * A connection whose rules look at TLS. Waits for the client's first flight, then decides once, for all of the connection:
 *
 * 1. What is longer than any ClientHello is reset, and so is a client that takes too long for it.
 * 2. No rule about the client's identity lets it ask for this name: reset. Without TLS, or without a name in it, only rules
 *    without names do.
 * 3. TLS, and a rule ends it here, or begins it anew: the carrier does so; what is inside goes to the session behind this one.
 * 4. Everything else goes to the session behind this one as it is: to be passed on, or read as HTTP.
 *
 * Source: pkg/envoy/xds_server.go, getListenerConf (tls_inspector, a filter chain for TLS, one without); cilium/tls_wrapper.cc.
 */
export class TlsSession implements ConnectionSession {
  readonly #connection: ProxyConnection;
  readonly #policy: () => CompiledPolicy | undefined;
  readonly #sink: SessionSink;
  readonly #makeBehind: (connection: ProxyConnection) => ConnectionSession;
  /** undefined until it is decided. */
  #behind: ConnectionSession | undefined;
  readonly #hello = new ClientHelloReader();
  /** What came before the decision. */
  #first: Uint8Array[] = [];
  #sinceNs: bigint | undefined;
  #refused = false;

  constructor(
    connection: ProxyConnection,
    policy: () => CompiledPolicy | undefined,
    sink: SessionSink,
    makeBehind: (connection: ProxyConnection) => ConnectionSession,
  ) {
    this.#connection = connection;
    this.#policy = policy;
    this.#sink = sink;
    this.#makeBehind = makeBehind;
  }

  get closed(): boolean {
    return this.#refused || this.#behind?.closed === true;
  }

  get retryAtNs(): bigint | undefined {
    return this.#behind?.retryAtNs;
  }

  get unread(): number {
    return this.#behind?.unread ?? 0;
  }

  open(nowNs: bigint): void {
    const { remoteIdentity, localPort: port, ingress } = this.#connection;
    if (!allowedAtNetwork(this.#policy(), { remoteIdentity, port, ingress }).allowed) this.#deny(nowNs);
  }

  data(from: Side, bytes: Uint8Array, nowNs: bigint): void {
    if (this.#behind !== undefined) {
      this.#behind.data(from, bytes, nowNs);
      return;
    }
    this.#sinceNs ??= nowNs;
    this.#first.push(bytes);
    const found = this.#hello.push(bytes);
    if (found.kind === 'more') return;
    if (found.kind === 'tooLarge') this.#refuse();
    else this.#decide(found, nowNs);
  }

  resume(nowNs: bigint): void {
    this.#behind?.resume(nowNs);
  }

  end(from: Side, nowNs: bigint): void {
    if (this.#behind !== undefined) {
      this.#behind.end(from, nowNs);
      return;
    }
    this.#sink.add('closeDownstream');
    this.#refused = true;
  }

  abort(from: Side, nowNs: bigint, reason?: UpstreamFailure): void {
    if (this.#behind !== undefined) this.#behind.abort(from, nowNs, reason);
    else this.#refused = true;
  }

  tick(nowNs: bigint): void {
    if (this.#behind !== undefined) {
      this.#behind.tick(nowNs);
      return;
    }
    this.#sinceNs ??= nowNs;
    if (nowNs - this.#sinceNs >= HELLO_TIMEOUT_NS) this.#refuse();
  }

  #decide(found: { kind: 'tls'; serverName: string | undefined } | { kind: 'raw' }, nowNs: bigint): void {
    const first = Buffer.concat(this.#first);
    this.#first = [];
    const { remoteIdentity, localPort, ingress } = this.#connection;
    const serverName = found.kind === 'tls' ? found.serverName : undefined;
    const verdict = this.#policy()?.onPort(localPort, ingress).tls(remoteIdentity, serverName);
    if (!verdict?.allowed) {
      this.#deny(nowNs);
      return;
    }
    const { downstream, upstream } = found.kind === 'tls' ? verdict : {};
    const shown = downstream?.materials();
    if (downstream !== undefined && shown === undefined) {
      this.#refuse();
      return;
    }
    if (downstream !== undefined || upstream !== undefined)
      this.#sink.secure({
        downstream: shown,
        upstream: upstream && (upstream.materials() ?? 'missing'),
        ...{ serverName, first },
      });
    this.#behind = this.#makeBehind({ ...this.#connection, secured: shown !== undefined });
    this.#behind.open(nowNs);
    if (shown === undefined && !this.#behind.closed) this.#behind.data('downstream', first, nowNs);
  }

  /** Policy says no. */
  #deny(nowNs: bigint): void {
    if (this.#sink.logs) this.#sink.log(0, connectionDenied(this.#connection, nowNs));
    this.#refuse();
  }

  #refuse(): void {
    this.#sink.add('resetDownstream');
    this.#refused = true;
  }
}
