import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { addressBeside, type Endpoint, podName } from '@ciliate/agent';
import { formatIp } from '@ciliate/packet';
import type { Network } from '../net/network.ts';
import type { SocketAddress } from '../net/socket_address.ts';
import { splice } from '../net/splice.ts';
import type { Resolver } from './resolver.ts';
import { methodReply, readGreeting, readRequest, SOCKS_REPLY, socksReply } from './socks_request.ts';
import { WaitingClient } from './waiting_client.ts';

export interface PodFrontParts {
  readonly network: Network;
  readonly resolver: Resolver;
  /** Where the pod asks, in a family that it has. */
  readonly dnsServer: (pod: Endpoint) => SocketAddress | undefined;
  /** What a failure seen through SOCKS stands for, for the user. */
  readonly onNote: (pod: string, text: string) => void;
}

/** How long a datagram to the cluster's DNS waits for its answer. */
const DNS_WAIT_MS = 10_000;

/** Where real clients become a pod: a SOCKS5 server, and a port for native DNS over UDP and TCP. Both on loopback. */
export class PodFront {
  readonly pod: Endpoint;
  readonly #parts: PodFrontParts;
  readonly #socks: Server;
  readonly #dns: DatagramSocket = createSocket('udp4');
  readonly #dnsOverTcp: Server;
  readonly #sockets = new Set<Socket>();

  static async start(pod: Endpoint, parts: PodFrontParts): Promise<PodFront> {
    const front = new PodFront(pod, parts);
    front.#socks.listen(0, '127.0.0.1');
    front.#dnsOverTcp.listen(0, '127.0.0.1');
    await Promise.all([once(front.#socks, 'listening'), once(front.#dnsOverTcp, 'listening')]);
    front.#dns.bind((front.#dnsOverTcp.address() as AddressInfo).port, '127.0.0.1');
    await once(front.#dns, 'listening');
    return front;
  }

  private constructor(pod: Endpoint, parts: PodFrontParts) {
    this.pod = pod;
    this.#parts = parts;
    this.#socks = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#greet(socket));
    this.#dnsOverTcp = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#toDns(socket));
    this.#dns.on('message', (query, { address, port }) => this.#askDns(query, address, port));
  }

  get socksPort(): number {
    return (this.#socks.address() as AddressInfo).port;
  }

  get dnsPort(): number {
    return this.#dns.address().port;
  }

  close(): void {
    this.#socks.close();
    this.#dns.close();
    this.#dnsOverTcp.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #greet(socket: Socket): void {
    this.#keep(socket);
    socket.on('error', () => socket.destroy());
    let bytes = Buffer.alloc(0);
    let isGreeted = false;
    const read = (more: Buffer): void => {
      bytes = Buffer.concat([bytes, more]);
      if (!isGreeted) {
        const greeting = readGreeting(bytes);
        if (greeting.kind === 'malformed') socket.destroy();
        if (greeting.kind !== 'read') return;
        socket.write(methodReply(greeting.ok));
        if (!greeting.ok) socket.end();
        isGreeted = true;
        bytes = bytes.subarray(greeting.length);
      }
      const request = readRequest(bytes);
      if (request.kind === 'malformed') socket.destroy();
      if (request.kind !== 'read') return;
      socket.off('data', read);
      if (request.reply !== 0) socket.end(socksReply(request.reply));
      else void this.#connect(socket, request.host, request.port, bytes.subarray(request.length));
    };
    socket.on('data', read);
  }

  async #connect(socket: Socket, host: string, port: number, first: Uint8Array): Promise<void> {
    const waiting = new WaitingClient(socket, first);
    const found = await this.#parts.resolver.resolve(this.pod, host);
    if (waiting.hasLeft) return;
    if (found.kind === 'failed') {
      this.#note(`${host}: name does not resolve (${found.why}); natively curl's exit 6, through SOCKS its exit 97`);
      socket.end(socksReply(SOCKS_REPLY.hostUnreachable));
      return;
    }
    const own = addressBeside(this.pod, found.address);
    if (own === undefined) {
      this.#note(`${host}: the pod has no address in the family of ${formatIp(found.address)}`);
      socket.end(socksReply(SOCKS_REPLY.networkUnreachable));
      return;
    }
    const to = `${host}:${port}${formatIp(found.address) === host ? '' : ` (${formatIp(found.address)})`}`;
    const end = this.#parts.network.stackOf(this.pod).open(own, { address: found.address, port });
    waiting.onLeft = () => end.reset();
    const refuse = (code: number, note: string): void => {
      this.#note(note);
      socket.end(socksReply(code));
    };
    end.events = {
      ...IGNORED,
      onConnected: () => {
        const early = waiting.done();
        socket.write(socksReply(SOCKS_REPLY.succeeded));
        splice(socket, end);
        for (const bytes of early) end.write(bytes);
      },
      onReset: () =>
        refuse(SOCKS_REPLY.refused, `${to}: connection refused; natively curl's exit 7, through SOCKS its exit 97`),
      onTimeout: () =>
        refuse(
          SOCKS_REPLY.ttlExpired,
          `${to}: connection timed out; natively curl's exit 28, through SOCKS its exit 97`,
        ),
    };
    end.connect();
  }

  /** A native question: as it is, in a datagram of the pod. */
  #askDns(query: Uint8Array, address: string, port: number): void {
    const server = this.#parts.dnsServer(this.pod);
    if (server === undefined) return;
    const stack = this.#parts.network.stackOf(this.pod);
    const stop = stack.ask(addressBeside(this.pod, server.address)!, server, query, (answer) =>
      this.#dns.send(answer, port, address, () => {}),
    );
    setTimeout(stop, DNS_WAIT_MS).unref();
  }

  /** Native questions over TCP: as they are, on a connection of the pod. */
  #toDns(socket: Socket): void {
    this.#keep(socket);
    const server = this.#parts.dnsServer(this.pod);
    if (server === undefined) {
      socket.destroy();
      return;
    }
    const end = this.#parts.network.stackOf(this.pod).open(addressBeside(this.pod, server.address)!, server);
    splice(socket, end);
    end.connect();
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
  }

  #note(text: string): void {
    this.#parts.onNote(podName(this.pod), text);
  }
}

const IGNORED = { onData: () => {}, onEnd: () => {}, onDrain: () => {}, onClosed: () => {} };
