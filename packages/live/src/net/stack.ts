import {
  type IpAddress,
  type ParsedFrame,
  type ParsedTcp,
  parseFrame,
  TCP_ACK,
  TCP_FIN,
  TCP_RST,
  TCP_SYN,
  tcpSegment,
  udpDatagram,
} from '@ciliate/packet';
import { endsKey, type SocketAddress } from './socket_address.ts';
import { TcpEnd } from './tcp_end.ts';

/** Sends a frame. */
export type Send = (frame: Uint8Array) => void;
/** Takes a connection: sets its events. @returns false: nobody listens, the client is told so */
export type Accept = (end: TcpEnd, frame: Uint8Array) => boolean;
/** Takes a datagram; `reply` sends one back. */
export type OnDatagram = (payload: Uint8Array, from: SocketAddress, reply: (payload: Uint8Array) => void) => void;

const FIRST_EPHEMERAL_PORT = 32_768;
const EPHEMERAL_PORTS = 28_232;

/** Transport sockets of one pod, of the node, or of the world outside: packets in, packets out. */
export class Stack {
  readonly #send: Send;
  readonly #isnOf: () => number;
  readonly #tcp = new Map<string, TcpEnd>();
  readonly #udp = new Map<string, OnDatagram>();
  /** Asked about each connection that comes. */
  accept: Accept = () => false;
  /** Asked about each datagram that no socket waits for. */
  onDatagram: ((to: SocketAddress) => OnDatagram | undefined) | undefined;
  #nextPort = 0;

  /** @param isnOf the next initial sequence number */
  constructor(send: Send, isnOf: () => number) {
    this.#send = send;
    this.#isnOf = isnOf;
  }

  /** Opens a connection; the caller sets its events, then calls its `connect`. @param send another way for its segments */
  open(from: IpAddress, remote: SocketAddress, send = this.#send): TcpEnd {
    let local = { address: from, port: this.#port() };
    while (this.#tcp.has(endsKey(local, remote))) local = { address: from, port: this.#port() };
    return this.#add(local, remote, send);
  }

  /** Answers a SYN that the stack was not asked about, as a transparent proxy does. */
  take({ ip, tcp }: ParsedFrame, send: Send): TcpEnd {
    const local = { address: ip!.dst, port: tcp!.dstPort };
    return this.#add(local, { address: ip!.src, port: tcp!.srcPort }, send);
  }

  /**
   * Sends a datagram from a port of its own and waits for answers.
   * @returns a function that ends the wait
   */
  ask(
    from: IpAddress,
    to: SocketAddress,
    payload: Uint8Array,
    onAnswer: (payload: Uint8Array) => void,
    send = this.#send,
  ): () => void {
    let local = { address: from, port: this.#port() };
    while (this.#udp.has(endsKey(local, to))) local = { address: from, port: this.#port() };
    const key = endsKey(local, to);
    this.#udp.set(key, onAnswer);
    send(udpDatagram({ src: from, srcPort: local.port, dst: to.address, dstPort: to.port, payload }));
    return () => void this.#udp.delete(key);
  }

  /** Does a socket of the stack wait for such packets? */
  has({ ip, tcp, udp }: ParsedFrame): boolean {
    const l4 = tcp ?? udp;
    if (ip === undefined || l4 === undefined) return false;
    const key = endsKey({ address: ip.dst, port: l4.dstPort }, { address: ip.src, port: l4.srcPort });
    return tcp === undefined ? this.#udp.has(key) : this.#tcp.has(key);
  }

  receive(frame: Uint8Array): void {
    const parsed = parseFrame(frame);
    const { ip, tcp, udp, payload } = parsed;
    if (ip === undefined) return;
    if (tcp !== undefined) this.#receiveTcp(ip.src, ip.dst, tcp, payload, frame);
    if (udp === undefined) return;
    const local = { address: ip.dst, port: udp.dstPort };
    const remote = { address: ip.src, port: udp.srcPort };
    const handler = this.#udp.get(endsKey(local, remote)) ?? this.onDatagram?.(local);
    handler?.(payload.slice(), remote, (answer) =>
      this.#send(
        udpDatagram({
          src: local.address,
          srcPort: local.port,
          dst: remote.address,
          dstPort: remote.port,
          payload: answer,
        }),
      ),
    );
  }

  /** Ends every connection without a word. */
  destroy(): void {
    for (const end of [...this.#tcp.values()]) end.destroy();
    this.#udp.clear();
  }

  #receiveTcp(src: IpAddress, dst: IpAddress, tcp: ParsedTcp, payload: Uint8Array, frame: Uint8Array): void {
    const local = { address: dst, port: tcp.dstPort };
    const remote = { address: src, port: tcp.srcPort };
    const known = this.#tcp.get(endsKey(local, remote));
    if (known !== undefined) {
      known.receive(tcp, payload.slice());
      return;
    }
    if ((tcp.flags & (TCP_SYN | TCP_ACK)) === TCP_SYN) {
      const end = this.#add(local, remote, this.#send);
      if (this.accept(end, frame)) {
        end.accept(tcp);
        return;
      }
      end.destroy();
    }
    if ((tcp.flags & TCP_RST) === 0) this.#send(resetFor(local, remote, tcp, payload.length));
  }

  #add(local: SocketAddress, remote: SocketAddress, send: Send): TcpEnd {
    const key = endsKey(local, remote);
    const end = new TcpEnd({ local, remote, isn: this.#isnOf() }, send, () => void this.#tcp.delete(key));
    this.#tcp.set(key, end);
    return end;
  }

  #port(): number {
    return FIRST_EPHEMERAL_PORT + (this.#nextPort++ % EPHEMERAL_PORTS);
  }
}

/** What a stack answers to a segment that no socket takes. RFC 9293, 3.5.2. */
export function resetFor(local: SocketAddress, remote: SocketAddress, tcp: ParsedTcp, length: number): Uint8Array {
  const ends = { src: local.address, srcPort: local.port, dst: remote.address, dstPort: remote.port };
  if ((tcp.flags & TCP_ACK) !== 0) return tcpSegment({ ...ends, seq: tcp.ack, flags: TCP_RST });
  const consumed = length + Number((tcp.flags & TCP_SYN) !== 0) + Number((tcp.flags & TCP_FIN) !== 0);
  return tcpSegment({ ...ends, seq: 0, ack: (tcp.seq + consumed) >>> 0, flags: TCP_RST | TCP_ACK });
}
