import {
  IPPROTO_ICMP,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  TCP_ACK,
  TCP_FIN,
  TCP_PSH,
  TCP_SYN,
} from '@ciliate/packet';

/** One packet of how a connection is opened or closed. */
export interface Turn {
  fromServer: boolean;
  /** TCP flags, or the type of an SCTP chunk. */
  what: number;
  /** Bytes of the packet over IPv4. */
  size: number;
  /** How far it moves its sender's sequence number. */
  advance: number;
}

/** How connections of a protocol are opened and closed; `data` is what carries data, as `Turn.what`. */
export interface Script {
  opening: readonly Turn[];
  data: number;
  closing: readonly Turn[];
}

const turn = (from: 'client' | 'server', what: number, size: number, advance = 0): Turn => ({
  fromServer: from === 'server',
  what,
  size,
  advance,
});

const TCP_BYTES = 40;
/** Chunk types of RFC 9260. */
const [DATA, INIT, INIT_ACK, SHUTDOWN, SHUTDOWN_ACK, COOKIE_ECHO, COOKIE_ACK, SHUTDOWN_COMPLETE] = [
  0, 1, 2, 7, 8, 10, 11, 14,
];

export const SCRIPTS: Readonly<Record<number, Script>> = {
  [IPPROTO_TCP]: {
    opening: [
      turn('client', TCP_SYN, TCP_BYTES, 1),
      turn('server', TCP_SYN | TCP_ACK, TCP_BYTES, 1),
      turn('client', TCP_ACK, TCP_BYTES),
    ],
    data: TCP_ACK | TCP_PSH,
    closing: [
      turn('client', TCP_FIN | TCP_ACK, TCP_BYTES, 1),
      turn('server', TCP_FIN | TCP_ACK, TCP_BYTES, 1),
      turn('client', TCP_ACK, TCP_BYTES),
    ],
  },
  // 32 bytes of headers and, in front of data, 16 of the chunk.
  [IPPROTO_SCTP]: {
    opening: [
      turn('client', INIT, 52),
      turn('server', INIT_ACK, 52),
      turn('client', COOKIE_ECHO, 40),
      turn('server', COOKIE_ACK, 36),
    ],
    data: DATA,
    closing: [turn('client', SHUTDOWN, 40), turn('server', SHUTDOWN_ACK, 36), turn('client', SHUTDOWN_COMPLETE, 36)],
  },
  [IPPROTO_UDP]: { opening: [], data: 0, closing: [] },
  [IPPROTO_ICMP]: { opening: [], data: 0, closing: [] },
};
