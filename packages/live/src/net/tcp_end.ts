import { isIpv6, type ParsedTcp, TCP_ACK, TCP_FIN, TCP_PSH, TCP_RST, TCP_SYN, tcpSegment } from '@ciliate/packet';
import { seqDiff } from '@ciliate/replay';
import { SendBuffer } from './send_buffer.ts';
import type { SocketAddress } from './socket_address.ts';

/** Payload bytes of a full segment: an MTU of 1500 less IP and TCP headers. */
const MSS = { ipv4: 1460, ipv6: 1440 } as const;
const WINDOW = 0xffff;
/** Written bytes beyond which no more should be written before `onDrain`. */
const MAX_UNSENT = 256 * 1024;
/** Milliseconds; Linux: TCP_RTO_MIN, TCP_TIMEOUT_INIT, TCP_RTO_MAX. */
const RTO = { data: 200, handshake: 1000, max: 120_000 } as const;
/** Linux: tcp_syn_retries, tcp_synack_retries, tcp_retries2. */
const RETRIES = { 'syn-sent': 6, 'syn-received': 5, established: 15, closed: 0 } as const;

/** What the owner of a socket hears. After `onReset`, `onTimeout` and `onClosed` it hears nothing any more. */
export interface TcpEvents {
  onConnected?(): void;
  onData(bytes: Uint8Array): void;
  /** The peer sends no more. */
  onEnd(): void;
  onReset(): void;
  /** The peer stays silent, whatever is sent again. */
  onTimeout(): void;
  /** What was written has been taken: more may come. */
  onDrain(): void;
  /** Both sides are done. */
  onClosed(): void;
}

/**
 * One end of an emulated TCP connection over a network that keeps the order, but may drop: sequence numbers, windows,
 * retransmission with Linux's times. Segments go out by `send`, and come in by `receive`.
 */
export class TcpEnd {
  readonly local: SocketAddress;
  readonly remote: SocketAddress;
  events: TcpEvents | undefined;
  readonly #send: (frame: Uint8Array) => void;
  readonly #forget: () => void;
  readonly #buffer: SendBuffer;
  #state: keyof typeof RETRIES = 'syn-sent';
  /** The next sequence number to send, and what the peer may still take. */
  #next: number;
  #peerWindow = WINDOW;
  #received = 0;
  #peerEnded = false;
  #isPaused = false;
  #retries = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param forget called when the connection is over */
  constructor(
    { local, remote, isn }: { local: SocketAddress; remote: SocketAddress; isn: number },
    send: (frame: Uint8Array) => void,
    forget: () => void,
  ) {
    this.local = local;
    this.remote = remote;
    this.#send = send;
    this.#forget = forget;
    this.#next = isn >>> 0;
    this.#buffer = new SendBuffer((isn + 1) >>> 0);
  }

  get isFull(): boolean {
    return this.#buffer.length > MAX_UNSENT;
  }

  connect(): void {
    this.#transmit();
  }

  /** Answers a SYN. */
  accept({ seq, window }: ParsedTcp): void {
    this.#state = 'syn-received';
    this.#received = (seq + 1) >>> 0;
    this.#peerWindow = window;
    this.#transmit();
  }

  write(bytes: Uint8Array): void {
    if (this.#state === 'closed') return;
    this.#buffer.write(bytes);
    if (this.#state === 'established') this.#transmit();
  }

  /** No more will be written. */
  finish(): void {
    if (this.#state === 'closed' || this.#buffer.finished) return;
    this.#buffer.finish();
    if (this.#state === 'established') this.#transmit();
  }

  reset(): void {
    if (this.#state === 'closed') return;
    if (this.#state !== 'syn-sent') this.#segment(TCP_RST);
    this.#close();
  }

  /** Forgets the connection without a word. */
  destroy(): void {
    this.#close();
  }

  /** The owner takes no more for now. */
  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    if (this.#state === 'established') this.#segment(0);
  }

  receive(tcp: ParsedTcp, payload: Uint8Array): void {
    if (this.#state === 'closed') return;
    if ((tcp.flags & TCP_RST) !== 0) {
      // Only one that answers what was sent: an old one is not ours.
      if (this.#state === 'syn-sent' && tcp.ack !== this.#buffer.start) return;
      this.#fail('onReset');
      return;
    }
    if ((tcp.flags & TCP_SYN) !== 0) this.#onSyn(tcp);
    else if (this.#state !== 'syn-sent') this.#onSegment(tcp, payload);
  }

  #onSyn(tcp: ParsedTcp): void {
    if (this.#state === 'syn-sent' && (tcp.flags & TCP_ACK) !== 0 && tcp.ack === this.#buffer.start) {
      this.#received = (tcp.seq + 1) >>> 0;
      this.#peerWindow = tcp.window;
      this.#establish();
      this.#segment(0);
      this.#transmit();
    } else if (this.#state === 'syn-received') this.#transmit(true);
    else if (this.#state === 'established') this.#segment(0);
  }

  #onSegment(tcp: ParsedTcp, payload: Uint8Array): void {
    if (this.#state === 'syn-received' && tcp.ack === this.#buffer.start) this.#establish();
    this.#onAck(tcp);
    const ends = (tcp.flags & TCP_FIN) !== 0;
    if (payload.length === 0 && !ends) return;
    const known = seqDiff(this.#received, tcp.seq);
    const fresh = known >= 0 && known < payload.length + Number(ends) && !this.#peerEnded;
    if (fresh) {
      const bytes = payload.subarray(known);
      this.#received = (this.#received + bytes.length + Number(ends)) >>> 0;
      this.#peerEnded = ends;
      if (bytes.length > 0) this.events?.onData(bytes);
    }
    if (this.#state !== 'established') return;
    this.#segment(0);
    if (fresh && ends) this.events?.onEnd();
    this.#closeIfDone();
  }

  #onAck({ ack, window }: ParsedTcp): void {
    const opened = this.#peerWindow === 0 && window > 0;
    this.#peerWindow = window;
    const wasFull = this.isFull;
    if (this.#buffer.acknowledge(ack)) {
      if (seqDiff(this.#next, ack) < 0) this.#next = ack;
      this.#retries = 0;
      this.#stopTimer();
    } else if (!opened) return;
    this.#transmit();
    if (wasFull && !this.isFull) this.events?.onDrain();
    this.#closeIfDone();
  }

  #establish(): void {
    this.#state = 'established';
    this.#next = this.#buffer.start;
    this.#retries = 0;
    this.#stopTimer();
    this.events?.onConnected?.();
  }

  /** Sends what may be sent. @param again from the first byte that is not acknowledged */
  #transmit(again = false): void {
    if (this.#state === 'closed') return;
    if (this.#state !== 'established') {
      this.#next = (this.#buffer.start - 1) >>> 0;
      this.#segment(TCP_SYN);
      this.#startTimer();
      return;
    }
    const buffer = this.#buffer;
    if (again) this.#next = buffer.start;
    const mss = isIpv6(this.remote.address) ? MSS.ipv6 : MSS.ipv4;
    const allowed = again ? Math.max(1, this.#peerWindow) : this.#peerWindow;
    for (;;) {
      const at = seqDiff(this.#next, buffer.start);
      const bytes = buffer.read(at, Math.min(mss, allowed - at));
      const isLast = at + bytes.length === buffer.length;
      const fin = isLast && buffer.finished && !buffer.isDone;
      if (bytes.length === 0 && !fin) break;
      this.#segment((fin ? TCP_FIN : 0) | (isLast && bytes.length > 0 ? TCP_PSH : 0), bytes);
      this.#next = (this.#next + bytes.length + Number(fin)) >>> 0;
      if (fin) break;
    }
    if (!buffer.isDone) this.#startTimer();
  }

  #startTimer(): void {
    if (this.#timer !== undefined) return;
    const first = this.#state === 'established' ? RTO.data : RTO.handshake;
    const waitMs = Math.min(RTO.max, first * 2 ** this.#retries);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (++this.#retries > RETRIES[this.#state]) this.#fail('onTimeout');
      else this.#transmit(true);
    }, waitMs);
  }

  #stopTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #segment(flags: number, payload?: Uint8Array): void {
    const heard = this.#state !== 'syn-sent';
    this.#send(
      tcpSegment({
        ...{ src: this.local.address, srcPort: this.local.port, dst: this.remote.address, dstPort: this.remote.port },
        seq: this.#next,
        ack: heard ? this.#received : 0,
        flags: flags | (heard ? TCP_ACK : 0),
        window: this.#isPaused ? 0 : WINDOW,
        ...(payload !== undefined && payload.length > 0 && { payload }),
      }),
    );
  }

  #closeIfDone(): void {
    if (!this.#peerEnded || !this.#buffer.isDone || !this.#buffer.finished || this.#state === 'closed') return;
    const { events } = this;
    this.#close();
    events?.onClosed();
  }

  #fail(how: 'onReset' | 'onTimeout'): void {
    const { events } = this;
    this.#close();
    events?.[how]();
  }

  #close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#stopTimer();
    this.events = undefined;
    this.#forget();
  }
}
