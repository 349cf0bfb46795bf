import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { LiveConnection } from './connection.ts';
import { readPreamble } from './preamble.ts';
import type { ListenerSpec } from './protocol.ts';
import type { Runtime } from './runtime.ts';

/** How long a connection may take to say what it is. Envoy's listener_filters_timeout. */
const PREAMBLE_TIMEOUT_MS = 15_000;

/** The listening sockets of one worker. Ports are shared with the other workers: the kernel spreads the connections. */
export class Listeners {
  readonly #runtime: Runtime;
  readonly #servers = new Map<string, Server>();
  /** Connections that have not said what they are. */
  readonly #waiting = new Set<Socket>();

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** @returns the port @throws the system's error, as EADDRINUSE */
  async listen({ name, port }: ListenerSpec): Promise<number> {
    const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => this.#accept(socket));
    server.listen({ host: '127.0.0.1', port, reusePort: true, backlog: 1024 });
    await once(server, 'listening');
    this.#servers.set(name, server);
    return (server.address() as AddressInfo).port;
  }

  /** Connections that are open stay. */
  close(name: string): void {
    this.#servers.get(name)?.close();
    this.#servers.delete(name);
  }

  /** Ends all connections, too. */
  closeAll(): void {
    for (const name of [...this.#servers.keys()]) this.close(name);
    for (const socket of this.#waiting) socket.destroy();
    for (const connection of [...this.#runtime.connections]) connection.destroy();
  }

  #accept(socket: Socket): void {
    let bytes: Buffer = Buffer.alloc(0);
    const timer = setTimeout(() => socket.destroy(), PREAMBLE_TIMEOUT_MS);
    const leave = (): void => {
      clearTimeout(timer);
      this.#waiting.delete(socket);
    };
    this.#waiting.add(socket);
    const giveUp = (): void => {
      leave();
      socket.destroy();
    };
    const read = (more: Buffer): void => {
      bytes = bytes.length === 0 ? more : Buffer.concat([bytes, more]);
      const found = readPreamble(bytes);
      if (found.kind === 'more') return;
      leave();
      if (found.kind === 'malformed') {
        socket.resetAndDestroy();
        return;
      }
      socket.removeAllListeners();
      new LiveConnection(socket, found.preamble, this.#runtime).open(bytes.subarray(found.length));
    };
    socket.on('data', read);
    socket.on('end', giveUp);
    socket.on('error', giveUp);
    socket.on('close', leave);
  }
}
