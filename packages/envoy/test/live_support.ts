import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import {
  encodeDiscoveryResponse,
  encodePreamble,
  type L7Parser,
  type LoggedRequest,
  type NetworkPolicy,
  type ProxyConnection,
  ProxyServer,
  type ProxyServerOptions,
} from '../src/index.ts';
import { connection, SEED } from './support.ts';

/** For what happens sooner or later, however busy the machine. */
export const PATIENT = { timeout: 30_000 };
export const LOOPBACK = 0x7f000001;

/** What is opened in a test, closed after it. */
export class Scope {
  readonly #closers: (() => unknown)[] = [];

  onClose(close: () => unknown): void {
    this.#closers.push(close);
  }

  async close(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) await close();
  }
}

/** A server of the test's own. @returns its port */
export async function httpServer(scope: Scope, listener: RequestListener): Promise<number> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  scope.onClose(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

export async function tcpServer(scope: Scope, listener: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createTcpServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    listener(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  scope.onClose(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

export interface Live {
  readonly proxy: ProxyServer;
  readonly port: number;
  readonly log: LoggedRequest[];
}

/** A proxy with one listener and these policies. */
export async function liveProxy(
  scope: Scope,
  policies: readonly NetworkPolicy[],
  options: Partial<ProxyServerOptions> = {},
  parser: L7Parser = 'http',
): Promise<Live> {
  const log: LoggedRequest[] = [];
  const proxy = await ProxyServer.start({ seed: SEED, onAccessLog: (entries) => log.push(...entries), ...options });
  scope.onClose(() => proxy.stop());
  const answer = await proxy.applyPolicy(encodeDiscoveryResponse('1', policies));
  if (!answer.ack) throw new Error(answer.reason);
  return { proxy, port: await proxy.listen({ name: `cilium-${parser}-ingress`, parser }), log };
}

let connections = 0;

/** A client of the proxy: what the agent's side would open for it. */
export class Client {
  readonly socket: Socket;
  received = '';
  /** How the connection ended, for the client. */
  ended: 'open' | 'closed' | 'reset' = 'open';
  readonly #changed = new Set<() => void>();

  /** @param server port on loopback where the proxy finds the server */
  constructor(scope: Scope, proxyPort: number, server: number, over: Partial<ProxyConnection> = {}) {
    this.socket = connect({ host: '127.0.0.1', port: proxyPort, noDelay: true });
    scope.onClose(() => this.socket.destroy());
    const about = connection({ id: ++connections, destination: { ip: LOOPBACK, port: server }, ...over });
    this.socket.write(encodePreamble({ connection: about, via: undefined }));
    this.socket.setEncoding('latin1');
    this.socket.on('data', (text: string) => {
      this.received += text;
      this.#wake();
    });
    this.socket.on('end', () => {
      this.ended = 'closed';
      this.#wake();
    });
    this.socket.on('error', () => {
      this.ended = 'reset';
      this.#wake();
    });
  }

  send(text: string): this {
    this.socket.write(text, 'latin1');
    return this;
  }

  /** Resolves when what was received, or how it ended, is so; rejects if the connection ends otherwise. */
  async until(check: RegExp | 'closed' | 'reset'): Promise<string> {
    const done = (): boolean => (typeof check === 'string' ? this.ended === check : check.test(this.received));
    while (!done()) {
      if (this.ended !== 'open')
        throw new Error(`the connection ended (${this.ended}) before ${check}: ${JSON.stringify(this.received)}`);
      await new Promise<void>((resolve) => this.#changed.add(resolve));
    }
    return this.received;
  }

  #wake(): void {
    for (const resolve of this.#changed) resolve();
    this.#changed.clear();
  }
}
