import type { Agent, Endpoint } from '@ciliate/agent';
import { identityMark, MARK_MAGIC_PROXY_INGRESS } from '@ciliate/bpf';
import { type HttpAccessLog, type ProxyAction, RequestDecoder } from '@ciliate/envoy';
import { parseFrame, TCP_RST, TCP_SYN } from '@ciliate/packet';
import type { PeerAddress } from './flow.ts';
import { responseEnds } from './http_exchanges.ts';
import type { Node } from './node.ts';
import { seqDiff } from './stream.ts';
import type { TcpPlayer } from './tcp_player.ts';
import { TcpSocket } from './tcp_socket.ts';

/** The connection to the server: the proxy's socket, the server's, and what the server makes of the bytes. */
interface Upstream {
  proxy: TcpSocket;
  server: TcpSocket;
  requests: RequestDecoder;
}

/**
 * A connection that ends at the proxy, and the one the proxy opens to the server for it.
 *
 * The proxy's two sockets and the server's are emulated, with sequence numbers of their own; every segment between them
 * runs through the programs. As in Cilium for a client on the same node, the proxy speaks to the server from the node's
 * address, with the client's identity in the mark (cilium/proxy, bpf_metadata.cc: the original source address is only used
 * for clients on other nodes). The server gives its recorded answer to each request that reaches it, once.
 */
export class ProxiedConnection {
  /** What the proxy reported: which of the connection's requests, from 0, and what of it; in order. */
  readonly log: { request: number; record: HttpAccessLog }[] = [];
  /** The requests, by the same numbers, that the server answered. */
  readonly answered = new Set<number>();
  readonly #agent: Agent;
  readonly #node: Node;
  readonly #player: TcpPlayer;
  readonly #id: number;
  readonly #client: Endpoint;
  /** The server's address and port, where the client's segments were headed. */
  readonly #place: PeerAddress;
  readonly #down: TcpSocket;
  /** The client's SYN was answered; it may come again. */
  #accepted = false;
  #up: Upstream | undefined;
  #connects = 0;
  #bytesToServer = 0;
  /** Requests that reached the server whole. */
  #served = 0;
  #nowNs = 0n;

  constructor(agent: Agent, node: Node, player: TcpPlayer, client: Endpoint, place: PeerAddress) {
    this.#agent = agent;
    this.#node = node;
    this.#player = player;
    this.#id = agent.nextConnectionId();
    this.#client = client;
    this.#place = place;
    this.#down = new TcpSocket(place, player.conversation.client, initialSequence(agent.seed, this.#id, 0));
  }

  get bytesFromClient(): number {
    return this.#down.received.bytes.length;
  }

  get bytesToServer(): number {
    return this.#bytesToServer;
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
    if (bytes.length > 0 || finished) this.#toClient(this.#down.ack());
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
    const { client } = this.#player.conversation;
    this.#toClient(this.#down.syn());
    await this.#perform(
      await this.#agent.proxy.open(
        {
          id: this.#id,
          endpointId: this.#player.backend!.id,
          ingress: true,
          remoteIdentity: this.#client.identity,
          localIdentity: this.#player.backend!.identity,
          localPort: this.#place.port,
          source: { ip: client.address, port: client.port },
          destination: { ip: this.#place.address, port: this.#place.port },
        },
        this.#nowNs,
      ),
    );
  }

  async #perform(actions: readonly ProxyAction[]): Promise<void> {
    for (const action of actions) {
      switch (action.type) {
        case 'log':
          this.log.push({ request: action.request, record: action.record });
          this.#node.log(action.record);
          break;
        case 'downstream':
          for (const frame of this.#down.data(action.bytes)) this.#toClient(frame);
          break;
        case 'closeDownstream':
          this.#toClient(this.#down.fin());
          break;
        case 'resetDownstream':
          this.#toClient(this.#down.reset());
          break;
        case 'upstream':
          for (const frame of this.#connection().proxy.data(action.bytes)) await this.#toServer(frame);
          break;
        case 'closeUpstream':
          this.#closeUpstream('proxy');
          break;
      }
    }
  }

  #toClient(frame: Uint8Array): void {
    const fate = this.#node.toPod(this.#client, frame, 0, this.#nowNs);
    if (fate.kind === 'delivered') this.#player.reachClient(fate.frame);
  }

  /** The connection to the server; the first request opens it, and the first after it has ended opens another. */
  #connection(): Upstream {
    if (this.#up !== undefined) return this.#up;
    const connect = ++this.#connects;
    const local = { address: this.#agent.nodeAddressFor(this.#place.address), port: ephemeralPort(this.#id, connect) };
    const { seed } = this.#agent;
    const proxy = new TcpSocket(local, this.#place, initialSequence(seed, this.#id, 2 * connect));
    const server = new TcpSocket(this.#place, local, initialSequence(seed, this.#id, 2 * connect + 1));
    this.#up = { proxy, server, requests: new RequestDecoder() };
    this.#reachServer(proxy.syn());
    this.#reachProxy(server.syn());
    this.#reachServer(proxy.ack());
    return this.#up;
  }

  /** A segment of the proxy to the server. @returns the new bytes that arrived */
  #reachServer(frame: Uint8Array): Uint8Array {
    const mark = identityMark(this.#client.identity, MARK_MAGIC_PROXY_INGRESS);
    const fate = this.#node.toPod(this.#player.backend!, frame, mark, this.#nowNs);
    const bytes = fate.kind === 'delivered' ? receive(this.#up!.server, fate.frame) : NOTHING;
    this.#bytesToServer += bytes.length;
    return bytes;
  }

  /** A segment of the server to the proxy, whose socket the host's stack finds. @returns the new bytes that arrived */
  #reachProxy(frame: Uint8Array): Uint8Array {
    const fate = this.#node.fromPod(this.#player.backend!, frame, this.#nowNs);
    return fate.kind === 'stack' ? receive(this.#up!.proxy, fate.frame) : NOTHING;
  }

  /** Data of the proxy to the server, which answers each request that is complete by it. */
  async #toServer(frame: Uint8Array): Promise<void> {
    const { requests } = this.#up!;
    for (const _request of requests.feed(this.#reachServer(frame))) await this.#answer();
  }

  /** The recorded answer to the request that just reached the server. */
  async #answer(): Promise<void> {
    const passed = this.log.filter(({ record }) => record.entryType === 'Request');
    const { request } = passed[this.#served++]!;
    const response = this.#player.exchanges[request]?.response;
    if (response === undefined || this.#up === undefined) return;
    this.answered.add(request);
    const { server, proxy } = this.#up;
    const { bytes } = this.#player.conversation.streams.server;
    for (const frame of server.data(bytes.subarray(response.start, response.end))) {
      const arrived = this.#reachProxy(frame);
      this.#reachServer(proxy.ack());
      if (arrived.length > 0)
        await this.#perform(await this.#agent.proxy.data(this.#id, 'upstream', arrived, this.#nowNs));
    }
    if (!response.untilClose) return;
    this.#closeUpstream('server');
    await this.#perform(await this.#agent.proxy.end(this.#id, 'upstream', this.#nowNs));
  }

  /** No more requests for this connection to the server, or the server's response ends with it: both sides close. */
  #closeUpstream(first: 'proxy' | 'server'): void {
    if (this.#up === undefined) return;
    const { proxy, server } = this.#up;
    if (first === 'proxy') {
      this.#reachServer(proxy.fin());
      this.#reachProxy(server.fin());
      this.#reachServer(proxy.ack());
    } else {
      this.#reachProxy(server.fin());
      this.#reachServer(proxy.fin());
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
