import type { ConnectionSession, SessionOptions, SessionSink } from './carrier.ts';
import { KafkaSession } from './kafka/session.ts';
import type { CompiledPolicy } from './network_policy.ts';
import type { ProxyConnection } from './protocol.ts';
import { Session } from './session.ts';
import { PassSession } from './tls/pass_session.ts';
import { TlsSession } from './tls/session.ts';

/** What connections speak; `tls`: nobody looks further than the first flight of its client. */
export type L7Parser = 'http' | 'kafka' | 'tls';

const SESSIONS = { http: Session, kafka: KafkaSession, tls: PassSession } as const satisfies Record<L7Parser, unknown>;

/** The session of a connection, behind one that looks at TLS if rules about the client do now. */
export function sessionFor(
  parser: L7Parser,
  connection: ProxyConnection,
  options: SessionOptions,
  policy: () => CompiledPolicy | undefined,
  sink: SessionSink,
): ConnectionSession {
  const { remoteIdentity, localPort, ingress } = connection;
  const make = (about: ProxyConnection): ConnectionSession => new SESSIONS[parser](about, options, policy, sink);
  if (!policy()?.onPort(localPort, ingress).looksAtTls(remoteIdentity)) return make(connection);
  return new TlsSession(connection, policy, sink, make);
}
