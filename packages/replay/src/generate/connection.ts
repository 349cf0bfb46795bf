import {
  IPPROTO_ICMP,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPV4,
  IPV6,
  type IpAddress,
  isIpv6,
} from '@ciliate/packet';
import type { Station, Target } from './cast.ts';
import type { Choice } from './chooser.ts';
import { type FrameBuilder, headerBytes } from './frame.ts';
import type { Random } from './random.ts';
import { SCRIPTS, type Script, type Turn } from './script.ts';

/** Who speaks to whom. */
export interface Ends {
  /** ICMP also stands for ICMPv6. */
  protocol: number;
  /** Where the client's frames are captured, and its end of the connection, in the family of `asked`. */
  client: Station;
  address: IpAddress;
  port: number;
  /** Whom the client asks. */
  asked: Target;
}

/** Who answers: where its frames are captured, its own end, and the address that it sees the client under. */
export interface Answerer {
  station: Station;
  end: Target;
  clientAddress: IpAddress;
}

/** So often a client tries to open a connection that nobody answers. */
const TRIES = 3;
const FROM_SERVER = 0.5;

/** One connection, packet by packet: opened, used while it is asked for packets, closed. */
export class Connection {
  readonly ends: Ends;
  readonly #script: Script;
  readonly #random: Random;
  /** By how many bytes packets are longer than those of IPv4. */
  readonly #extra: number;
  readonly #sizes: (random: Random) => number;
  #answer: Choice['answer'] = 'nobody';
  #answerer: Answerer | undefined;
  #isClosing = false;
  #step = 0;
  #sent = 0;
  #wasRequest = false;
  #clientNext: number;
  #serverNext: number;

  constructor(ends: Ends, random: Random, sizes: (random: Random) => number) {
    this.ends = ends;
    this.#script = SCRIPTS[ends.protocol]!;
    this.#random = random;
    this.#sizes = sizes;
    this.#extra = isIpv6(ends.address) ? IPV6.size - IPV4.size : 0;
    this.#clientNext = random.next();
    this.#serverNext = random.next();
  }

  /** Builds the client's first frame: what becomes of it says who answers. @returns where it is captured */
  first(frame: FrameBuilder): Station {
    const { opening, data } = this.#script;
    if (opening.length === 0) return this.#data(frame, data);
    const { what, size } = opening[0]!;
    return this.#build(frame, false, what, size + this.#extra, 0);
  }

  /** @param answerer undefined: nobody, or the proxy, whose frames no pod sends: then only the client's come */
  answeredBy(answer: Choice['answer'], answerer: Answerer | undefined): void {
    this.#answer = answer;
    this.#answerer = answerer;
    if (answer !== 'nobody' && this.#script.opening.length > 0) this.#done(this.#script.opening[0]!);
  }

  /** From now on `next` closes it. */
  close(): void {
    this.#isClosing = true;
  }

  /** Builds its next frame. @returns where that is captured; undefined: there is none any more */
  next(frame: FrameBuilder): Station | undefined {
    const { opening, closing, data } = this.#script;
    if (this.#answer === 'nobody' && opening.length > 0)
      return this.#isClosing || this.#sent >= TRIES ? undefined : this.first(frame);
    for (;;) {
      if (this.#step === opening.length && !this.#isClosing) return this.#data(frame, data);
      const turn = this.#step < opening.length ? opening[this.#step] : closing[this.#step - opening.length];
      if (turn === undefined) return undefined;
      if (!turn.fromServer || this.#answerer !== undefined) {
        this.#step++;
        return this.#build(frame, turn.fromServer, turn.what, turn.size + this.#extra, turn.advance);
      }
      this.#done(turn);
    }
  }

  /** A turn that happened without a frame of ours. */
  #done({ fromServer, advance }: Turn): void {
    this.#step++;
    if (fromServer) this.#serverNext = (this.#serverNext + advance) >>> 0;
    else this.#clientNext = (this.#clientNext + advance) >>> 0;
  }

  #data(frame: FrameBuilder, what: number): Station {
    const { protocol } = this.ends;
    let fromServer = this.#random.fraction() < FROM_SERVER;
    if (protocol === IPPROTO_ICMP) fromServer = this.#wasRequest;
    if (this.#answerer === undefined || this.#sent === 0) fromServer = false;
    this.#wasRequest = !fromServer;
    // The chunks of SCTP end on 4 bytes.
    const headers = headerBytes(protocol) + this.#extra;
    let size = Math.max(this.#sizes(this.#random), headers);
    if (protocol === IPPROTO_SCTP) size &= ~3;
    const advance = protocol === IPPROTO_TCP ? size - headers : 1;
    return this.#build(frame, fromServer, what, size, advance);
  }

  #build(frame: FrameBuilder, fromServer: boolean, what: number, size: number, advance: number): Station {
    const { protocol, client, address, port, asked } = this.ends;
    const server = fromServer ? this.#answerer! : undefined;
    const station = server?.station ?? client;
    const from = server?.end.address ?? address;
    const fromPort = server?.end.port ?? port;
    const to = server?.clientAddress ?? asked.address;
    const toPort = server === undefined ? asked.port : port;
    const seq = fromServer ? this.#serverNext : this.#clientNext;
    const ack = fromServer ? this.#clientNext : this.#serverNext;
    frame.setMacs(station.mac, station.hop);
    if (protocol === IPPROTO_TCP) frame.tcp(from, fromPort, to, toPort, seq, ack, what, size);
    else if (protocol === IPPROTO_UDP) frame.udp(from, fromPort, to, toPort, size);
    else if (protocol === IPPROTO_ICMP) frame.icmpEcho(from, to, fromServer, port, fromServer ? ack - 1 : seq, size);
    else frame.sctp(from, fromPort, to, toPort, this.#sent === 0 ? 0 : ack, what, seq, size);
    this.#sent++;
    if (fromServer) this.#serverNext = (seq + advance) >>> 0;
    else this.#clientNext = (seq + advance) >>> 0;
    return station;
  }
}
