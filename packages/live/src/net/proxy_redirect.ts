import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Agent, Endpoint } from '@ciliate/agent';
import { identityMark, MARK_MAGIC_PROXY_EGRESS, MARK_MAGIC_PROXY_INGRESS } from '@ciliate/bpf';
import { encodePreamble, type Preamble, readPreamble } from '@ciliate/envoy';
import { parseFrame } from '@ciliate/packet';
import type { Network, Redirected } from './network.ts';
import { endsKey } from './socket_address.ts';
import { splice } from './splice.ts';

/** How long the proxy waits for a server. Cilium: proxy-connect-timeout. */
const CONNECT_TIMEOUT_MS = 2000;
const LOOPBACK = 0x7f00_0001;

/**
 * Connections that go to the L7 proxy: the client's ends at a socket of the node, whose bytes go on a real socket to a
 * worker; the worker's connection to the server comes back here, and goes on from the node's address, with the client's
 * identity in the mark, as in Cilium for a client on the same node. There the server's own policy may send it to the proxy
 * once more: then this end of it is the client.
 */
export class ProxyRedirect {
  readonly #agent: Agent;
  readonly #network: Network;
  readonly #ports: ReadonlyMap<number, number>;
  readonly #sockets = new Set<Socket>();
  /** By the number of the connection. */
  readonly #clients = new Map<number, Endpoint>();
  /** For whom the proxy has connections to servers, by their ends. */
  readonly #onward = new Map<string, Endpoint>();
  readonly #server: Server;
  #viaPort = 0;

  /** @param ports of the proxy's listeners, and where on loopback they are */
  constructor(agent: Agent, network: Network, ports: ReadonlyMap<number, number>) {
    this.#agent = agent;
    this.#network = network;
    this.#ports = ports;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#fromProxy(socket));
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject).listen(0, '127.0.0.1', resolve);
    });
    const address = this.#server.address();
    if (address !== null && typeof address === 'object') this.#viaPort = address.port;
  }

  /** The client's SYN. @param proxyPort of the listener */
  take({ client: pod, frame, endpointId, ingress, remoteIdentity }: Redirected, proxyPort: number): void {
    const parsed = parseFrame(frame);
    const { ip, tcp } = parsed;
    const source = { address: ip!.src, port: tcp!.srcPort };
    const server = { address: ip!.dst, port: tcp!.dstPort };
    const client = pod ?? this.#onward.get(endsKey(source, server));
    if (client === undefined) return;
    const own = this.#agent.endpointOfId(endpointId);
    const mark = ingress ? 0 : MARK_MAGIC_PROXY_EGRESS;
    const end = this.#network.host.take(parsed, (segment) => this.#network.toPod(segment, mark));
    const id = this.#agent.nextConnectionId();
    this.#clients.set(id, client);
    const connection = {
      ...{ id, endpointId, ingress, remoteIdentity },
      ...(own !== undefined && { localIdentity: own.identity }),
      localPort: tcp!.dstPort,
      source: { ip: ip!.src, port: tcp!.srcPort },
      destination: { ip: ip!.dst, port: tcp!.dstPort },
    };
    const port = this.#ports.get(proxyPort)!;
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true });
    this.#keep(socket);
    socket.once('close', () => this.#clients.delete(id));
    socket.write(encodePreamble({ connection, via: { ip: LOOPBACK, port: this.#viaPort } }));
    splice(socket, end);
    end.accept(tcp!);
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** The proxy's connection to a server, which says by its preamble to which. */
  #fromProxy(socket: Socket): void {
    this.#keep(socket);
    let bytes = Buffer.alloc(0);
    const read = (more: Buffer): void => {
      bytes = Buffer.concat([bytes, more]);
      const found = readPreamble(bytes);
      if (found.kind === 'more') return;
      socket.off('data', read);
      if (found.kind === 'malformed') socket.destroy();
      else this.#toServer(socket, found.preamble, bytes.subarray(found.length));
    };
    socket.on('error', () => socket.destroy());
    socket.on('data', read);
  }

  #toServer(socket: Socket, { connection: { id, ingress, destination } }: Preamble, first: Uint8Array): void {
    const client = this.#clients.get(id);
    if (client === undefined) {
      socket.destroy();
      return;
    }
    const mark = identityMark(client.identity, ingress ? MARK_MAGIC_PROXY_INGRESS : MARK_MAGIC_PROXY_EGRESS);
    const to = { address: destination.ip, port: destination.port };
    const send = (segment: Uint8Array): void => this.#network.toPod(segment, mark);
    const end = this.#network.host.open(this.#agent.nodeAddressFor(to.address), to, send);
    splice(socket, end);
    const ends = endsKey(end.local, to);
    this.#onward.set(ends, client);
    socket.once('close', () => this.#onward.delete(ends));
    const timer = setTimeout(() => socket.resetAndDestroy(), CONNECT_TIMEOUT_MS);
    socket.once('close', () => clearTimeout(timer));
    end.events!.onConnected = () => clearTimeout(timer);
    if (first.length > 0) end.write(first);
    end.connect();
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
  }
}
