import type { EmbeddedStore } from '../embedded.ts';
import { KvstoreError } from '../errors.ts';
import { GrpcServer, parseListen, type Route, type ServerTls } from './http2_server.ts';
import { kvService } from './kv_service.ts';
import { leaseService } from './lease_service.ts';
import { authService, clusterService, maintenanceService } from './member_services.ts';
import { method, methodsOf, type ServiceName } from './methods.ts';
import { fromBigint } from './schema.ts';
import type { Handlers, ServiceContext, StreamHandler, UnaryHandler } from './service.ts';
import { watchService } from './watch_service.ts';

export type { ServerTls };

export interface KvstoreServerOptions {
  store: EmbeddedStore;
  /** `host:port`; port 0: any free one. */
  listen: string;
  tls?: ServerTls;
}

const EXPIRY_INTERVAL_MS = 200;
const CLUSTER_ID = 0x63696c69617465n;
const MEMBER_ID = 0x6b7673746f7265n;

/** An embedded store as etcd v3 over gRPC. Leases end on time while it runs. */
export class KvstoreServer {
  /** `host:port` with the port that was bound. */
  readonly address: string;
  readonly #server: GrpcServer;
  readonly #timers: Set<NodeJS.Timeout>;

  private constructor(server: GrpcServer, address: string, timers: Set<NodeJS.Timeout>) {
    this.#server = server;
    this.address = address;
    this.#timers = timers;
  }

  /** @throws BAD_INPUT: the address or the certificates cannot be used */
  static async start({ store, listen, tls }: KvstoreServerOptions): Promise<KvstoreServer> {
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
    const { server, port } = await bind(routesOf(context), listen, tls);
    every(EXPIRY_INTERVAL_MS, () => store.expireLeases());
    return new KvstoreServer(server, `${listen.slice(0, listen.lastIndexOf(':'))}:${port}`, timers);
  }

  /** Ends all calls; the store stays open. */
  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#server.close();
  }
}

/** All methods of etcd's services, by their paths. */
export function routesOf(context: ServiceContext): Map<string, Route> {
  const routes = new Map<string, Route>();
  const add = <S extends ServiceName>(service: S, handlers: Handlers): void => {
    for (const name of methodsOf(service)) {
      const found = method(service, name);
      const handler = handlers[name]!;
      const kind = found.isStream ? { stream: handler as StreamHandler } : { unary: handler as UnaryHandler };
      routes.set(found.path, { method: found, ...kind });
    }
  };
  add('KV', kvService(context));
  add('Lease', leaseService(context));
  add('Watch', watchService(context));
  add('Cluster', clusterService(context));
  add('Maintenance', maintenanceService(context));
  add('Auth', authService(context));
  return routes;
}

async function bind(
  routes: Map<string, Route>,
  listen: string,
  tls: ServerTls | undefined,
): Promise<{ server: GrpcServer; port: number }> {
  const { host, port } = parseListen(listen);
  try {
    const server = new GrpcServer(routes, tls);
    return { server, port: await server.listen(host, port) };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new KvstoreError('BAD_INPUT', `cannot listen at ${listen}: ${why}`, {}, { cause });
  }
}
