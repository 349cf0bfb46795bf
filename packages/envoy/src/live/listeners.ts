import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { threadId } from 'node:worker_threads';
import type { L7Parser } from '../sessions.ts';
import { LiveConnection } from './connection.ts';
import { acceptWithIntake, type Intake } from './intake.ts';
import { type Preamble, readPreamble } from './preamble.ts';
import type { ListenerSpec } from './protocol.ts';
import type { Runtime } from './runtime.ts';

/** How long a connection may take to say what it is. Envoy's listener_filters_timeout. */
const PREAMBLE_TIMEOUT_MS = 15_000;
const NOTHING = new Uint8Array(0);

/** The listening sockets of one worker. Ports are shared with the other workers: the kernel spreads the connections. */
export class Listeners {
  readonly #runtime: Runtime;
  readonly #servers = new Map<string, Server>();
  /** Connections that have not said what they are. */
  readonly #waiting = new Set<Socket>();
  #assumedCount = 0;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** @returns the port @throws the system's error, as EADDRINUSE */
  async listen({ name, port, parser, assume }: ListenerSpec): Promise<number> {
    const server = createServer();
    server.listen({ host: '127.0.0.1', port, reusePort: true, backlog: 1024 });
    await once(server, 'listening');
    acceptWithIntake(server, (socket, intake) => {
      if (assume === undefined) this.#accept(socket, intake, parser);
      else new LiveConnection(socket, intake, this.#assumed(socket, assume), this.#runtime, parser).open(NOTHING);
    });
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

  #assumed(socket: Socket, { connection, via }: Preamble): Preamble {
    const source = { ip: parseIp(socket.remoteAddress), port: socket.remotePort ?? 0 };
    return { connection: { ...connection, id: threadId * 2 ** 20 + this.#assumedCount++, source }, via };
  }

  #accept(socket: Socket, intake: Intake, parser: L7Parser | undefined): void {
    let bytes: Buffer = Buffer.alloc(0);
    const timer = setTimeout(() => socket.destroy(), PREAMBLE_TIMEOUT_MS);
    const leave = (): void => {
      intake.take = undefined;
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
      socket.off('end', giveUp).off('error', giveUp).off('close', leave);
      new LiveConnection(socket, intake, found.preamble, this.#runtime, parser).open(bytes.subarray(found.length));
    };
    intake.take = read;
    socket.on('end', giveUp);
    socket.on('error', giveUp);
    socket.on('close', leave);
  }
}

/** @param text dotted; undefined if the peer has gone already */
const parseIp = (text = '0.0.0.0'): number => text.split('.').reduce((ip, part) => ((ip << 8) | Number(part)) >>> 0, 0);
