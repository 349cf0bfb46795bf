import type { Agent } from '@ciliate/agent';
import { type AccessLog, type HttpAccessLog, isHttpLog, type ProxyAction } from '@ciliate/envoy';
import { parseFrame, TCP_RST, TCP_SYN } from '@ciliate/packet';
import type { PeerAddress } from './flow.ts';
import type { Node } from './node.ts';
import type { Redirect } from './redirect.ts';
import type { TcpPlayer } from './tcp_player.ts';
import { TcpSocket } from './tcp_socket.ts';
import { Upstream, type UpstreamEvents } from './upstream.ts';

/** Who is at the other end of a connection to the proxy: a pod, or the proxy itself on its way to a server. */
export interface ProxyClient {
  readonly player: TcpPlayer;
  /** That of the pod, also on the proxy's own connections for it. */
  readonly identity: number;
  readonly address: PeerAddress;
  /** The server's address and port, where the client's segments are headed. */
  readonly place: PeerAddress;
  readonly redirect: Redirect;
  /** The recorded exchange that this connection's n-th request belongs to. */
  exchangeOf(request: number): number;
  /** A segment goes to the client. */
  deliver(frame: Uint8Array, nowNs: bigint): Promise<void>;
}

/**
 * A connection that ends at the proxy, and the one the proxy opens to the server for it.
 *
 * The proxy's two sockets and the server's are emulated, with sequence numbers of their own; every segment between them
 * runs through the programs. As in Cilium for ends on the same node, the proxy speaks to the server from the node's
 * address, with the client's identity in the mark (cilium/proxy, bpf_metadata.cc: the original source address is only used
 * where the other end is on another node). If the server's policy redirects that connection, too, it ends at the proxy a
 * second time. The server gives its recorded answer to each request that reaches it, once; one that is outside what is
 * emulated gets the bytes without any program seeing them.
 */
export class ProxiedConnection {
  /** What the proxy reported: which of the connection's requests, from 0, and what of it; in order. */
  readonly log: { request: number; record: AccessLog }[] = [];
  /** The requests, by the same numbers, that the server answered. */
  readonly #answered = new Set<number>();
  readonly #agent: Agent;
  readonly #node: Node;
  readonly #player: TcpPlayer;
  readonly #id: number;
  readonly #client: ProxyClient;
  readonly #place: PeerAddress;
  readonly #down: TcpSocket;
  /** The client's SYN was answered; it may come again. */
  #accepted = false;
  /** Its connections to the server, one after the other. */
  readonly #ups: Upstream[] = [];
  #second: ProxiedConnection | undefined;
  /** Requests that reached the server whole. */
  #served = 0;
  #nowNs = 0n;

  constructor(agent: Agent, node: Node, client: ProxyClient) {
    this.#agent = agent;
    this.#node = node;
    this.#player = client.player;
    this.#id = agent.nextConnectionId();
    this.#client = client;
    this.#place = client.place;
    this.#down = new TcpSocket(client.place, client.address, initialSequence(agent.seed, this.#id, 0));
  }

  /** What the proxy said last about the request of a recorded exchange, and the decision that had sent it there. */
  judgement(exchange: number): { record: HttpAccessLog; redirect: Redirect } | undefined {
    const found = this.#judged().find(({ request }) => request === exchange);
    return this.#second?.judgement(exchange) ?? (found && { record: found.record, redirect: this.#client.redirect });
  }

  /** Did the server answer it? */
  wasAnswered(exchange: number): boolean {
    return this.#answered.has(exchange) || this.#second?.wasAnswered(exchange) === true;
  }

  get bytesFromClient(): number {
    return this.#down.received.bytes.length;
  }

  get bytesToServer(): number {
    return this.#ups.reduce((sum, { bytesToServer }) => sum + bytesToServer, this.#second?.bytesToServer ?? 0);
  }

  /** A segment of the client reaches the proxy. */
  async fromClient(frame: Uint8Array, nowNs: bigint): Promise<void> {
    this.#nowNs = nowNs;
    const { tcp, payload } = parseFrame(frame);
    if ((tcp!.flags & TCP_RST) !== 0)
      return this.#perform(await this.#agent.proxy.abort(this.#id, 'downstream', nowNs));
    const opens = (tcp!.flags & TCP_SYN) !== 0;
    if (!opens && !this.#accepted) return; // no socket takes it
    const finishedBefore = this.#down.received.finished;
    const bytes = this.#down.receive(tcp!, payload);
    if (opens && !this.#accepted) await this.#accept();
    const finished = this.#down.received.finished && !finishedBefore;
    if (bytes.length > 0 || finished) await this.#toClient(this.#down.ack());
    if (bytes.length > 0) await this.#perform(await this.#agent.proxy.data(this.#id, 'downstream', bytes, nowNs));
    if (finished) await this.#perform(await this.#agent.proxy.end(this.#id, 'downstream', nowNs));
  }

  async #accept(): Promise<void> {
    this.#accepted = true;
    const { address, identity, redirect } = this.#client;
    await this.#toClient(this.#down.syn());
    const ingress = redirect.direction === 'ingress';
    const pod = ingress
      ? this.#player.backend!
      : this.#agent.endpointOfAddress(this.#player.conversation.client.address)!;
    const connection = {
      ...{ id: this.#id, endpointId: pod.id, ingress, localIdentity: pod.identity, localPort: this.#place.port },
      remoteIdentity: ingress ? identity : redirect.remoteIdentity,
      source: { ip: address.address, port: address.port },
      destination: { ip: this.#place.address, port: this.#place.port },
    };
    await this.#perform(await this.#agent.proxy.open(connection, this.#nowNs));
  }

  async #perform(actions: readonly ProxyAction[]): Promise<void> {
    for (const action of actions) {
      switch (action.type) {
        case 'log':
          this.log.push({ request: this.#client.exchangeOf(action.request), record: action.record });
          this.#node.log(action.record);
          break;
        case 'downstream':
          for (const frame of this.#down.data(action.bytes)) await this.#toClient(frame);
          break;
        case 'closeDownstream':
          await this.#toClient(this.#down.fin());
          break;
        case 'resetDownstream':
          await this.#toClient(this.#down.reset());
          break;
        case 'upstream':
          await this.#send(action.bytes);
          break;
        case 'closeUpstream':
          await this.#ups.at(-1)?.close('proxy');
          break;
      }
    }
  }

  async #send(bytes: Uint8Array): Promise<void> {
    const up = await this.#connection();
    if (up !== undefined) await up.send(bytes);
    else await this.#perform(await this.#agent.proxy.abort(this.#id, 'upstream', this.#nowNs, 'connection timeout'));
  }

  #toClient(frame: Uint8Array): Promise<void> {
    return this.#client.deliver(frame, this.#nowNs);
  }

  /**
   * The connection to the server; the first request opens it, and the first after it has ended opens another.
   * @returns undefined if the server's policy drops it
   */
  async #connection(): Promise<Upstream | undefined> {
    const last = this.#ups.at(-1);
    if (last?.closed === false) return last;
    const connect = this.#ups.length + 1;
    const { seed } = this.#agent;
    const { player, identity, redirect } = this.#client;
    const local = { address: this.#agent.nodeAddressFor(this.#place.address), port: ephemeralPort(this.#id, connect) };
    const proxy = new TcpSocket(local, this.#place, initialSequence(seed, this.#id, 2 * connect));
    const server = new TcpSocket(this.#place, local, initialSequence(seed, this.#id, 2 * connect + 1));
    const ends = { identity, direction: redirect.direction, backend: player.backend, local, proxy, server };
    const up = new Upstream({ node: this.#node, ...ends }, this.#upstreamEvents());
    this.#ups.push(up);
    if (await up.open()) return up;
    up.closed = true;
    return undefined;
  }

  #upstreamEvents(): UpstreamEvents {
    const { proxy } = this.#agent;
    const nowNs = (): bigint => this.#nowNs;
    return {
      nowNs,
      onData: async (bytes) => this.#perform(await proxy.data(this.#id, 'upstream', bytes, nowNs())),
      onEnd: async () => this.#perform(await proxy.end(this.#id, 'upstream', nowNs())),
      onReset: async () => this.#perform(await proxy.abort(this.#id, 'upstream', nowNs())),
      answer: () => this.#answer(),
      second: (redirect, local, deliver) => this.#secondProxy(redirect, local, deliver),
    };
  }

  /** The proxy at the server's side takes this connection: what is a server for one is a client for the other. */
  #secondProxy(redirect: Redirect, address: PeerAddress, deliver: ProxyClient['deliver']): ProxiedConnection {
    const passed = this.#passed().length - 1; // the request that opens the connection is logged already
    const { identity, player, place } = this.#client;
    this.#second = new ProxiedConnection(this.#agent, this.#node, {
      ...{ player, identity, address, place, redirect, deliver },
      exchangeOf: (request) => this.#passed()[passed + request]!.request,
    });
    return this.#second;
  }

  #passed(): { request: number; record: HttpAccessLog }[] {
    return this.#judged().filter(({ record }) => record.entryType === 'Request');
  }

  /** The requests about which policy was asked. */
  #judged(): { request: number; record: HttpAccessLog }[] {
    return this.log.flatMap(({ request, record }) =>
      isHttpLog(record) && record.entryType !== 'Response' ? [{ request, record }] : [],
    );
  }

  /** The recorded answer to the request that just reached the server. */
  #answer(): ReturnType<UpstreamEvents['answer']> {
    const { request } = this.#passed()[this.#served++]!;
    const response = this.#player.exchanges[request]?.response;
    if (response === undefined) return undefined;
    this.#answered.add(request);
    const { bytes } = this.#player.conversation.streams.server;
    return { bytes: bytes.subarray(response.start, response.end), untilClose: response.untilClose };
  }
}

/** A socket's first sequence number: a function of the seed, the connection and which of its sockets it is. */
function initialSequence(seed: number, connection: number, socket: number): number {
  return Math.imul(seed ^ Math.imul(connection + 1, 0x85ebca6b) ^ socket, 0x9e3779b1) >>> 0;
}

const FIRST_EPHEMERAL_PORT = 32_768;
const EPHEMERAL_PORTS = 28_232;
/** The port the proxy connects from: another one for each connection it opens. */
const ephemeralPort = (connection: number, connect: number): number =>
  FIRST_EPHEMERAL_PORT + ((connection * 7 + connect) % EPHEMERAL_PORTS);
