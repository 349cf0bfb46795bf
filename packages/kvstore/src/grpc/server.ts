import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { EmbeddedStore } from '../embedded.ts';
import { KvstoreError } from '../errors.ts';
import { kvService } from './kv_service.ts';
import { leaseService } from './lease_service.ts';
import { authService, clusterService, maintenanceService } from './member_services.ts';
import { method, methodsOf, type ServiceName } from './methods.ts';
import { fromBigint } from './schema.ts';
import type { Handlers, ServiceContext } from './unary.ts';
import { watchService } from './watch_service.ts';

export interface ServerTls {
  /** PEM. */
  cert: Buffer;
  key: Buffer;
  /** PEM: clients must show a certificate of this authority. */
  clientCa?: Buffer;
}

export interface KvstoreServerOptions {
  store: EmbeddedStore;
  /** `host:port`; port 0: any free one. */
  listen: string;
  tls?: ServerTls;
}

/** Larger messages are refused by the transport: etcd's request limit and 512 KiB for what surrounds it. */
const MAX_MESSAGE_BYTES = 2 * 1024 * 1024;
const EXPIRY_INTERVAL_MS = 200;
const CLUSTER_ID = 0x63696c69617465n;
const MEMBER_ID = 0x6b7673746f7265n;

/** An embedded store as etcd v3 over gRPC. Leases end on time while it runs. */
export class KvstoreServer {
  /** `host:port` with the port that was bound. */
  readonly address: string;
  readonly #server: Server;
  readonly #timers: Set<NodeJS.Timeout>;

  private constructor(server: Server, address: string, timers: Set<NodeJS.Timeout>) {
    this.#server = server;
    this.address = address;
    this.#timers = timers;
  }

  /** @throws BAD_INPUT: the address or the certificates cannot be used */
  static async start({ store, listen, tls }: KvstoreServerOptions): Promise<KvstoreServer> {
    const server = new Server({
      'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
      'grpc.max_send_message_length': -1,
    });
    const timers = new Set<NodeJS.Timeout>();
    const every: ServiceContext['every'] = (intervalMs, call) => {
      const timer = setInterval(call, intervalMs);
      timers.add(timer);
      return () => {
        clearInterval(timer);
        timers.delete(timer);
      };
    };
    const fixed = { cluster_id: fromBigint(CLUSTER_ID), member_id: fromBigint(MEMBER_ID), raft_term: 2 };
    const header: ServiceContext['header'] = (revision) => ({ ...fixed, revision });
    const scheme = tls === undefined ? 'http' : 'https';
    const context: ServiceContext = { store, header, memberId: MEMBER_ID, clientUrl: `${scheme}://${listen}`, every };
    add(server, 'KV', kvService(context));
    add(server, 'Lease', leaseService(context));
    add(server, 'Watch', watchService(context));
    add(server, 'Cluster', clusterService(context));
    add(server, 'Maintenance', maintenanceService(context));
    add(server, 'Auth', authService(context));
    const port = await bind(server, listen, tls);
    every(EXPIRY_INTERVAL_MS, () => store.expireLeases());
    return new KvstoreServer(server, `${listen.slice(0, listen.lastIndexOf(':'))}:${port}`, timers);
  }

  /** Ends all calls; the store stays open. */
  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#server.forceShutdown();
  }
}

function add<S extends ServiceName>(server: Server, service: S, handlers: Handlers): void {
  const definition = Object.fromEntries(methodsOf(service).map((name) => [name, method(service, name)]));
  server.addService(definition, handlers);
}

async function bind(server: Server, listen: string, tls: ServerTls | undefined): Promise<number> {
  try {
    const credentials =
      tls === undefined
        ? ServerCredentials.createInsecure()
        : ServerCredentials.createSsl(
            tls.clientCa ?? null,
            [{ cert_chain: tls.cert, private_key: tls.key }],
            tls.clientCa !== undefined,
          );
    return await new Promise<number>((resolve, reject) => {
      server.bindAsync(listen, credentials, (error, port) => (error === null ? resolve(port) : reject(error)));
    });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new KvstoreError('BAD_INPUT', `cannot listen at ${listen}: ${why}`, {}, { cause });
  }
}
