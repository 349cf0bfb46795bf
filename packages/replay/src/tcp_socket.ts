import {
  isIpv6,
  type ParsedTcp,
  parseFrame,
  TCP_ACK,
  TCP_FIN,
  TCP_PSH,
  TCP_RST,
  TCP_SYN,
  tcpSegment,
} from '@ciliate/packet';
import type { PeerAddress } from './flow.ts';
import { SegmentStream } from './stream.ts';

/** Payload bytes of a full segment: an MTU of 1500 less IP and TCP headers. */
const MSS = { ipv4: 1460, ipv6: 1440 } as const;

/**
 * One end of a TCP connection on a network that neither loses nor reorders: sequence numbers and segments, no timers, no
 * windows. Used where the emulator itself ends a connection (the proxy) or answers from a recording behind the proxy.
 */
export class TcpSocket {
  readonly received = new SegmentStream();
  readonly isn: number;
  readonly #local: PeerAddress;
  readonly #remote: PeerAddress;
  #next: number;

  constructor(local: PeerAddress, remote: PeerAddress, isn: number) {
    this.#local = local;
    this.#remote = remote;
    this.isn = isn >>> 0;
    this.#next = this.isn;
  }

  /** Takes a segment in. @returns the new bytes in order */
  receive(tcp: ParsedTcp, payload: Uint8Array): Uint8Array {
    return this.received.add(tcp, payload);
  }

  syn(): Uint8Array {
    return this.#segment(TCP_SYN);
  }

  /** Nothing but an acknowledgement. */
  ack(): Uint8Array {
    return this.#segment(0);
  }

  fin(): Uint8Array {
    return this.#segment(TCP_FIN);
  }

  reset(): Uint8Array {
    return this.#segment(TCP_RST);
  }

  /** The bytes as full segments. */
  data(bytes: Uint8Array): Uint8Array[] {
    const segments: Uint8Array[] = [];
    const mss = isIpv6(this.#local.address) ? MSS.ipv6 : MSS.ipv4;
    for (let at = 0; at < bytes.length; at += mss)
      segments.push(this.#segment(at + mss < bytes.length ? 0 : TCP_PSH, bytes.subarray(at, at + mss)));
    return segments;
  }

  #segment(flags: number, payload?: Uint8Array): Uint8Array {
    const heard = this.received.isn !== undefined;
    const frame = tcpSegment({
      src: this.#local.address,
      dst: this.#remote.address,
      srcPort: this.#local.port,
      dstPort: this.#remote.port,
      seq: this.#next,
      ack: heard ? this.received.next : 0,
      flags: flags | (heard ? TCP_ACK : 0),
      ...(payload === undefined ? {} : { payload }),
    });
    const consumed = (payload?.length ?? 0) + ((flags & (TCP_SYN | TCP_FIN)) !== 0 ? 1 : 0);
    this.#next = (this.#next + consumed) >>> 0;
    return frame;
  }
}

/** A segment arrives at a socket. @returns its new bytes */
export function receive(socket: TcpSocket, frame: Uint8Array): Uint8Array {
  const { tcp, payload } = parseFrame(frame);
  return socket.receive(tcp!, payload);
}
