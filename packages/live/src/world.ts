import { once } from 'node:events';
import { type AddressInfo, connect, type Server } from 'node:net';
import { formatIp, parseIp } from '@ciliate/packet';
import { splice } from './net/splice.ts';
import type { TcpEnd } from './net/tcp_end.ts';
import { httpEcho } from './servers/http_servers.ts';

/** Somebody outside of the cluster. */
export interface WorldHost {
  readonly name: string;
  readonly address: string;
}

/** Stand-ins for hosts outside of the cluster: each answers on every TCP port with an HTTP echo. Nothing leaves this machine. */
export class WorldServers {
  /** Absolute names without the dot at the end, and their addresses. */
  readonly names: ReadonlyMap<string, readonly string[]>;
  readonly #hosts: readonly WorldHost[];
  readonly #servers = new Map<string, Server>();

  constructor(hosts: readonly WorldHost[]) {
    this.#hosts = hosts;
    const byName = Map.groupBy(hosts, ({ name }) => name.toLowerCase().replace(/\.$/, ''));
    this.names = new Map([...byName].map(([name, own]) => [name, own.map(({ address }) => address)]));
  }

  async listen(): Promise<void> {
    for (const { name, address } of this.#hosts) {
      const server = httpEcho(name).listen(0, '127.0.0.1');
      await once(server, 'listening');
      this.#servers.set(formatIp(parseIp(address)!), server);
    }
  }

  /** Takes a connection to one of the hosts. @returns false: there is none with that address */
  accept(end: TcpEnd): boolean {
    const server = this.#servers.get(formatIp(end.local.address));
    if (server === undefined) return false;
    const { port } = server.address() as AddressInfo;
    splice(connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true }), end);
    return true;
  }

  async close(): Promise<void> {
    for (const server of this.#servers.values()) server.close();
  }
}
