import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ObjectStore, Pod } from '@ciliate/k8s';
import { splice } from '../net/splice.ts';
import type { TcpEnd } from '../net/tcp_end.ts';
import { COMMAND_ANNOTATION, certificateOf, type ServerDeclaration } from './declaration.ts';
import { deathstar, httpEcho, httpsEcho } from './http_servers.ts';

/** The real servers of one pod, each on a port of loopback that is reached only through the pod's emulated address. */
export class PodServers {
  readonly #servers: Server[] = [];
  readonly #children: ChildProcess[] = [];
  /** Port of the pod → port on loopback. */
  readonly #ports = new Map<number, number>();
  readonly #sockets = new Set<Socket>();

  /** @param store has the secrets with certificates @throws InputError for one that is not there */
  static async start(pod: Pod, declarations: readonly ServerDeclaration[], store: ObjectStore): Promise<PodServers> {
    const servers = new PodServers();
    for (const { kind, port } of declarations) {
      if (kind === 'command') servers.#ports.set(port, await servers.#run(pod, port));
      else if (kind !== 'dns') servers.#ports.set(port, await servers.#listen(serverFor(kind, pod, store)));
    }
    return servers;
  }

  /** Takes a connection to a port of the pod. @returns false: nobody serves it */
  accept(end: TcpEnd): boolean {
    const port = this.#ports.get(end.local.port);
    if (port === undefined) return false;
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true });
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    splice(socket, end);
    return true;
  }

  async close(): Promise<void> {
    for (const server of this.#servers) server.close();
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(this.#children.map(stop));
  }

  async #listen(server: Server): Promise<number> {
    this.#servers.push(server);
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }

  /** The user's own server, in a process group of its own, so that all of it ends with the pod. */
  async #run({ metadata }: Pod, podPort: number): Promise<number> {
    const port = await freePort();
    const env = { ...process.env, PORT: `${port}`, POD_PORT: `${podPort}`, POD_NAME: metadata.name };
    const command = metadata.annotations[COMMAND_ANNOTATION]!;
    const child = spawn('sh', ['-c', command], { env, detached: true, stdio: ['ignore', 'ignore', 'inherit'] });
    child.on('error', () => {}); // whoever connects finds nobody
    this.#children.push(child);
    await listening(port, child);
    return port;
  }
}

function serverFor(kind: Exclude<ServerDeclaration['kind'], 'dns' | 'command'>, pod: Pod, store: ObjectStore): Server {
  const name = `${pod.metadata.namespace}/${pod.metadata.name}`;
  switch (kind) {
    case 'deathstar':
      return deathstar();
    case 'http-echo':
      return httpEcho(name);
    case 'https-echo':
      return httpsEcho(name, certificateOf(pod, store));
    case 'tcp-echo':
      return createServer({ allowHalfOpen: true }, (socket) => {
        socket.on('error', () => {});
        socket.pipe(socket);
      });
  }
}

/** How long a command may take until it listens, and how often it is looked. */
const START_MS = 10_000;
const LOOK_MS = 25;

/** Resolves when somebody listens, the command has ended, or took too long: then whoever connects finds nobody. */
async function listening(port: number, child: ChildProcess): Promise<void> {
  for (let waited = 0; waited < START_MS && child.exitCode === null && child.pid !== undefined; waited += LOOK_MS) {
    const probe = connect({ host: '127.0.0.1', port });
    const isThere = await new Promise<boolean>((resolve) => {
      probe.on('connect', () => resolve(true)).on('error', () => resolve(false));
    });
    probe.destroy();
    if (isThere) return;
    await sleep(LOOK_MS);
  }
}

/** A port that nobody has now. */
async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

const KILL_AFTER_MS = 2000;

async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  const signal = (name: NodeJS.Signals): void => {
    try {
      process.kill(-child.pid!, name);
    } catch {
      // it has ended
    }
  };
  signal('SIGTERM');
  const timer = setTimeout(() => signal('SIGKILL'), KILL_AFTER_MS);
  await ended;
  clearTimeout(timer);
}
