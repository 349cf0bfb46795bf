import type { Agent } from '@ciliate/agent';
import { identityMark, MARK_MAGIC_PROXY_EGRESS, MARK_MAGIC_PROXY_INGRESS, type Step } from '@ciliate/bpf';
import { type AccessLog, type HttpAccessLog, isHttpLog, type ProxyAction, RequestDecoder } from '@ciliate/envoy';
import { parseFrame, TCP_RST, TCP_SYN } from '@ciliate/packet';
import type { PeerAddress } from './flow.ts';
import { responseEnds } from './http_exchanges.ts';
import type { Node } from './node.ts';
import { seqDiff } from './stream.ts';
import type { TcpPlayer } from './tcp_player.ts';
import { TcpSocket } from './tcp_socket.ts';

/** The connection to the server: the proxy's socket, the server's, and what the server makes of the bytes. */
interface Upstream {
  /** Where the proxy speaks from. */
  local: PeerAddress;
  proxy: TcpSocket;
  server: TcpSocket;
  requests: RequestDecoder;
  /** The server's own policy redirects it to the proxy again: then this is the server's side of it. */
  second: ProxiedConnection | undefined;
  /** The proxy has closed it: what still comes is of no interest. */
  closing: boolean;
}

export type Redirect = Extract<Step, { kind: 'policy' }>;

/** The decision that sent a packet to the proxy. @param steps of such a packet */
export const redirectOf = (steps: readonly Step[]): Redirect =>
  steps.findLast((step) => step.kind === 'policy' && step.proxyPort > 0) as Redirect;

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
  #up: Upstream | undefined;
  #second: ProxiedConnection | undefined;
  #connects = 0;
  #bytesToServer = 0;
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
    return this.#bytesToServer + (this.#second?.bytesToServer ?? 0);
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

  /**
   * The proxy's sequence number for a place in the server's recorded stream: the same place in the same response.
   * @param closes the client ends the connection by this segment, so it need not have seen the server's end
   * @returns undefined if what is acknowledged has not reached the client
   */
  acknowledgement(recorded: number, closes: boolean): number | undefined {
    const live = this.#player.atClient;
    const stream = this.#player.conversation.streams.server;
    if (live.isn === undefined || stream.isn === undefined) return undefined;
    const place = seqDiff(recorded, stream.isn) - 1;
    const first = live.isn + 1;
    if (place > stream.bytes.length && !closes) return live.finished ? live.next : undefined;
    if (place <= 0) return first >>> 0;
    const recordings = this.#player.exchanges.flatMap(({ response }) => (response === undefined ? [] : [response]));
    const liveEnds = responseEnds(live.bytes, this.#player.exchanges);
    const index = recordings.findIndex(({ end }) => place <= end);
    const last = index === -1 ? recordings.length - 1 : index;
    const liveStart = last <= 0 ? 0 : liveEnds[last - 1];
    if (recordings[last] === undefined || liveStart === undefined) return undefined;
    const { finalStart, end } = recordings[last];
    const liveEnd = liveEnds[last];
    // Of interim responses the proxy sends its own "100 Continue", and no other: all that came is acknowledged.
    if (liveEnd === undefined) return place <= finalStart ? (first + live.bytes.length) >>> 0 : undefined;
    return (first + Math.max(liveStart, liveEnd - Math.max(0, end - place))) >>> 0;
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
          await this.#closeUpstream('proxy');
          break;
      }
    }
  }

  async #send(bytes: Uint8Array): Promise<void> {
    const up = await this.#connection();
    if (up !== undefined) for (const frame of up.proxy.data(bytes)) await this.#toServer(frame);
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
    if (this.#up !== undefined) return this.#up;
    const connect = ++this.#connects;
    const local = { address: this.#agent.nodeAddressFor(this.#place.address), port: ephemeralPort(this.#id, connect) };
    const { seed } = this.#agent;
    const proxy = new TcpSocket(local, this.#place, initialSequence(seed, this.#id, 2 * connect));
    const server = new TcpSocket(this.#place, local, initialSequence(seed, this.#id, 2 * connect + 1));
    const up: Upstream = { local, proxy, server, requests: new RequestDecoder(), second: undefined, closing: false };
    this.#up = up;
    await this.#reachServer(proxy.syn());
    // The proxy that took it has answered and been acknowledged.
    if (up.second !== undefined) return up;
    if (server.received.isn === undefined) {
      this.#up = undefined;
      return undefined;
    }
    this.#reachProxy(server.syn());
    await this.#reachServer(proxy.ack());
    return up;
  }

  /** A segment of the proxy to the server. @returns the new bytes that arrived */
  async #reachServer(frame: Uint8Array): Promise<Uint8Array> {
    const up = this.#up!;
    const { backend } = this.#player;
    if (backend === undefined) return this.#atServer(up, frame);
    const magic = this.#client.redirect.direction === 'ingress' ? MARK_MAGIC_PROXY_INGRESS : MARK_MAGIC_PROXY_EGRESS;
    const fate = this.#node.toPod(backend, frame, identityMark(this.#client.identity, magic), this.#nowNs);
    if (fate.kind === 'delivered') return this.#atServer(up, fate.frame);
    if (fate.kind === 'proxy') {
      up.second ??= this.#secondProxy(up, redirectOf(fate.steps));
      await up.second.fromClient(fate.frame, this.#nowNs);
    }
    return NOTHING;
  }

  #atServer(up: Upstream, frame: Uint8Array): Uint8Array {
    const bytes = receive(up.server, frame);
    this.#bytesToServer += bytes.length;
    return bytes;
  }

  /** The proxy at the server's side takes this connection: what is a server for one is a client for the other. */
  #secondProxy(up: Upstream, redirect: Redirect): ProxiedConnection {
    const passed = this.#passed().length - 1; // the request that opens the connection is logged already
    const { identity, player, place } = this.#client;
    this.#second = new ProxiedConnection(this.#agent, this.#node, {
      ...{ player, identity, address: up.local, place, redirect },
      exchangeOf: (request) => this.#passed()[passed + request]!.request,
      deliver: (frame) => this.#fromSecond(up, frame),
    });
    return this.#second;
  }

  /** A segment of the proxy at the server's side, over the node's own stack: no program sees it. */
  async #fromSecond(up: Upstream, frame: Uint8Array): Promise<void> {
    const { tcp } = parseFrame(frame);
    const ended = up.proxy.received.finished;
    const bytes = receive(up.proxy, frame);
    if (up.closing) return;
    if ((tcp!.flags & TCP_RST) !== 0) {
      this.#up = undefined;
      await this.#perform(await this.#agent.proxy.abort(this.#id, 'upstream', this.#nowNs));
      return;
    }
    const ends = up.proxy.received.finished && !ended;
    if (bytes.length > 0 || ends || (tcp!.flags & TCP_SYN) !== 0) await this.#reachServer(up.proxy.ack());
    if (bytes.length > 0) await this.#perform(await this.#agent.proxy.data(this.#id, 'upstream', bytes, this.#nowNs));
    if (ends) await this.#perform(await this.#agent.proxy.end(this.#id, 'upstream', this.#nowNs));
  }

  /** A segment of the server to the proxy, whose socket the host's stack finds. @returns the new bytes that arrived */
  #reachProxy(frame: Uint8Array): Uint8Array {
    const { backend } = this.#player;
    if (backend === undefined) return receive(this.#up!.proxy, frame);
    const fate = this.#node.fromPod(backend, frame, this.#nowNs);
    return fate.kind === 'stack' ? receive(this.#up!.proxy, fate.frame) : NOTHING;
  }

  /** Data of the proxy to the server, which answers each request that is complete by it. */
  async #toServer(frame: Uint8Array): Promise<void> {
    if (this.#up === undefined) return; // the server's side has ended it meanwhile
    const { requests } = this.#up;
    const arrived = await this.#reachServer(frame);
    for (const _request of requests.feed(arrived)) await this.#answer();
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
  async #answer(): Promise<void> {
    const { request } = this.#passed()[this.#served++]!;
    const response = this.#player.exchanges[request]?.response;
    if (response === undefined || this.#up === undefined) return;
    this.#answered.add(request);
    const { server, proxy } = this.#up;
    const { bytes } = this.#player.conversation.streams.server;
    for (const frame of server.data(bytes.subarray(response.start, response.end))) {
      const arrived = this.#reachProxy(frame);
      await this.#reachServer(proxy.ack());
      if (arrived.length > 0)
        await this.#perform(await this.#agent.proxy.data(this.#id, 'upstream', arrived, this.#nowNs));
    }
    if (!response.untilClose) return;
    await this.#closeUpstream('server');
    await this.#perform(await this.#agent.proxy.end(this.#id, 'upstream', this.#nowNs));
  }

  /** No more requests for this connection to the server, or the server's response ends with it: both sides close. */
  async #closeUpstream(first: 'proxy' | 'server'): Promise<void> {
    if (this.#up === undefined) return;
    const { proxy, server, second } = this.#up;
    this.#up.closing = true;
    if (second !== undefined) {
      await this.#reachServer(proxy.fin());
    } else if (first === 'proxy') {
      await this.#reachServer(proxy.fin());
      this.#reachProxy(server.fin());
      await this.#reachServer(proxy.ack());
    } else {
      this.#reachProxy(server.fin());
      await this.#reachServer(proxy.fin());
      this.#reachProxy(server.ack());
    }
    this.#up = undefined;
  }
}

const NOTHING = new Uint8Array(0);

/** A segment arrives at a socket. @returns its new bytes */
function receive(socket: TcpSocket, frame: Uint8Array): Uint8Array {
  const { tcp, payload } = parseFrame(frame);
  return socket.receive(tcp!, payload);
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
