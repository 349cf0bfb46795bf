import type { Endpoint } from '@ciliate/agent';
import { identityMark, MARK_MAGIC_PROXY_EGRESS, MARK_MAGIC_PROXY_INGRESS } from '@ciliate/bpf';
import { RequestDecoder } from '@ciliate/envoy';
import { parseFrame, TCP_RST, TCP_SYN } from '@ciliate/packet';
import type { PeerAddress } from './flow.ts';
import type { Node } from './node.ts';
import { type Redirect, redirectOf } from './redirect.ts';
import { receive, type TcpSocket } from './tcp_socket.ts';

/** The connection that a proxy opens to a server, and for whom. */
export interface UpstreamEnds {
  readonly node: Node;
  /** undefined: the server is outside of what is emulated. */
  readonly backend: Endpoint | undefined;
  /** That of the pod that speaks, in the mark of the proxy's segments. */
  readonly identity: number;
  /** Of the policy that sent the pod to this proxy. */
  readonly direction: Redirect['direction'];
  /** Where the proxy speaks from. */
  readonly local: PeerAddress;
  readonly proxy: TcpSocket;
  readonly server: TcpSocket;
}

/** The proxy at the server's side, as far as it concerns the one at the client's. */
export interface SecondProxy {
  /** A segment of the first proxy reaches it. */
  fromClient(frame: Uint8Array, nowNs: bigint): Promise<void>;
}

/** What the proxy hears, and is asked. */
export interface UpstreamEvents {
  nowNs(): bigint;
  onData(bytes: Uint8Array): Promise<void>;
  /** The server sends no more. */
  onEnd(): Promise<void>;
  onReset(): Promise<void>;
  /** A request has reached the server whole. @returns its recorded answer, if there is one */
  answer(): { readonly bytes: Uint8Array; readonly untilClose: boolean } | undefined;
  /** The server's own policy redirects the connection. @param deliver takes what that proxy says to this one */
  second(redirect: Redirect, local: PeerAddress, deliver: (frame: Uint8Array) => Promise<void>): SecondProxy;
}

/**
 * A proxy's connection to the server: two emulated sockets, and every segment between them runs through the programs, to a
 * server that gives its recorded answer to each request that reaches it, or to the proxy at the server's side. A server
 * that is outside of what is emulated gets the bytes without any program seeing them.
 */
export class Upstream {
  /** Over, by whomever: what still comes is of no interest. */
  closed = false;
  /** How many bytes arrived at the server. */
  bytesToServer = 0;
  readonly #ends: UpstreamEnds;
  readonly #events: UpstreamEvents;
  readonly #requests = new RequestDecoder();
  #second: SecondProxy | undefined;

  constructor(ends: UpstreamEnds, events: UpstreamEvents) {
    this.#ends = ends;
    this.#events = events;
  }

  /** @returns false: nobody answered, since policy drops it */
  async open(): Promise<boolean> {
    const { proxy, server } = this.#ends;
    await this.#reachServer(proxy.syn());
    if (this.#second !== undefined) return true; // it has answered and been acknowledged
    if (server.received.isn === undefined) return false;
    this.#reachProxy(server.syn());
    await this.#reachServer(proxy.ack());
    return true;
  }

  /** Bytes of the proxy; the server answers each request that is complete by them. */
  async send(bytes: Uint8Array): Promise<void> {
    for (const frame of this.#ends.proxy.data(bytes)) {
      if (this.closed) return; // by the server's side, meanwhile
      const arrived = await this.#reachServer(frame);
      for (const _request of this.#requests.feed(arrived)) await this.#answer();
    }
  }

  /** No more requests, or the server's response ends with the connection: both sides close. */
  async close(first: 'proxy' | 'server'): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    const { proxy, server } = this.#ends;
    if (this.#second !== undefined) {
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
  }

  async #answer(): Promise<void> {
    const answer = this.#events.answer();
    if (answer === undefined) return;
    const { server, proxy } = this.#ends;
    for (const frame of server.data(answer.bytes)) {
      const arrived = this.#reachProxy(frame);
      await this.#reachServer(proxy.ack());
      if (arrived.length > 0) await this.#events.onData(arrived);
    }
    if (!answer.untilClose) return;
    await this.close('server');
    await this.#events.onEnd();
  }

  /** A segment of the proxy to the server. @returns the new bytes that arrived */
  async #reachServer(frame: Uint8Array): Promise<Uint8Array> {
    const { node, backend, identity, direction, local } = this.#ends;
    const nowNs = this.#events.nowNs();
    if (backend === undefined) return this.#atServer(frame);
    const magic = direction === 'ingress' ? MARK_MAGIC_PROXY_INGRESS : MARK_MAGIC_PROXY_EGRESS;
    const fate = node.toPod(backend, frame, identityMark(identity, magic), nowNs);
    if (fate.kind === 'delivered') return this.#atServer(fate.frame);
    if (fate.kind === 'proxy') {
      this.#second ??= this.#events.second(redirectOf(fate.steps), local, (segment) => this.#fromSecond(segment));
      await this.#second.fromClient(fate.frame, nowNs);
    }
    return NOTHING;
  }

  #atServer(frame: Uint8Array): Uint8Array {
    const bytes = receive(this.#ends.server, frame);
    this.bytesToServer += bytes.length;
    return bytes;
  }

  /** A segment of the server to the proxy, whose socket the host's stack finds. @returns the new bytes that arrived */
  #reachProxy(frame: Uint8Array): Uint8Array {
    const { node, backend, proxy } = this.#ends;
    if (backend === undefined) return receive(proxy, frame);
    const fate = node.fromPod(backend, frame, this.#events.nowNs());
    return fate.kind === 'stack' ? receive(proxy, fate.frame) : NOTHING;
  }

  /** A segment of the proxy at the server's side, over the node's own stack: no program sees it. */
  async #fromSecond(frame: Uint8Array): Promise<void> {
    const { proxy } = this.#ends;
    const { tcp } = parseFrame(frame);
    const ended = proxy.received.finished;
    const bytes = receive(proxy, frame);
    if (this.closed) return;
    if ((tcp!.flags & TCP_RST) !== 0) {
      this.closed = true;
      await this.#events.onReset();
      return;
    }
    const ends = proxy.received.finished && !ended;
    if (bytes.length > 0 || ends || (tcp!.flags & TCP_SYN) !== 0) await this.#reachServer(proxy.ack());
    if (bytes.length > 0) await this.#events.onData(bytes);
    if (ends) await this.#events.onEnd();
  }
}

const NOTHING = new Uint8Array(0);
