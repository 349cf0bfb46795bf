import { DEFAULT_NODE } from '@ciliate/bpf';
import { IPPROTO_ICMP, isIpv6 } from '@ciliate/packet';
import type { Cast, Station, Target } from './cast.ts';
import type { Choice, Chooser } from './chooser.ts';
import { type Answerer, Connection, type Ends } from './connection.ts';
import type { FrameBuilder } from './frame.ts';
import { type GenerateOptions, newSizes, PEERS, type Peers, PROTOCOLS, type Protocol } from './options.ts';
import { type Random, WeightedChoice } from './random.ts';

const PROTOCOL_NAMES = Object.keys(PROTOCOLS) as Protocol[];
const FIRST_PORT = 32_768;
const PORTS = 28_232; // as Linux chooses by default: up to 60999

/** Connections that were opened, by who spoke to whom, their protocol and who answered. */
export interface Opened {
  peers: Record<Peers, number>;
  protocols: Record<Protocol, number>;
  answers: Record<Choice['answer'], number>;
}

/** Opens connections between those who take part in the trace. */
export class Players {
  readonly opened: Opened = {
    peers: { service: 0, pod: 0, world: 0, inbound: 0 },
    protocols: { tcp: 0, udp: 0, icmp: 0, sctp: 0 },
    answers: { server: 0, proxy: 0, nobody: 0 },
  };
  readonly #cast: Cast;
  readonly #chooser: Chooser;
  readonly #random: Random;
  readonly #peers: WeightedChoice;
  readonly #mix: WeightedChoice;
  readonly #ports = new Map<Station, number>();
  readonly #sizes: (random: Random) => number;

  constructor(cast: Cast, chooser: Chooser, random: Random, options: GenerateOptions) {
    this.#cast = cast;
    this.#chooser = chooser;
    this.#random = random;
    this.#peers = new WeightedChoice(PEERS.map((peers) => options.peers[peers]));
    this.#mix = new WeightedChoice(PROTOCOL_NAMES.map((name) => options.mix[name]));
    this.#sizes = newSizes(options.sizes);
  }

  /** Builds the first frame of a new connection. @param seconds its time. @returns the connection, and where the frame is captured */
  open(frame: FrameBuilder, seconds: number): { connection: Connection; station: Station } {
    const name = PROTOCOL_NAMES[this.#mix.pick(this.#random)]!;
    const { peers, ends } = this.#ends(PEERS[this.#peers.pick(this.#random)]!, PROTOCOLS[name]);
    const connection = new Connection(ends, this.#random, this.#sizes);
    const station = connection.first(frame);
    const choice = this.#chooser.choose(station, frame.bytes, frame.length, seconds);
    connection.answeredBy(choice.answer, choice.answer === 'server' ? this.#answerer(ends, choice) : undefined);
    this.opened.peers[peers]++;
    this.opened.protocols[name]++;
    this.opened.answers[choice.answer]++;
    return { connection, station };
  }

  /** Where there is no such service or pod: as near as there is. */
  #ends(wanted: Peers, protocol: number): { peers: Peers; ends: Ends } {
    const cast = this.#cast;
    if (wanted === 'inbound') {
      const ofIpv6 = cast.anyFamily();
      const port = this.#portOf(cast.network);
      const asked = cast.anyService(protocol, ofIpv6, true) ?? cast.anyServer(protocol, ofIpv6)!;
      const ends = {
        protocol,
        client: cast.network,
        address: cast.worldHost(ofIpv6),
        port,
        asked: withId(asked, protocol, port),
      };
      return { peers: wanted, ends };
    }
    const client = cast.anyPod();
    const ofIpv6 = cast.anyFamily(client);
    const address = client.addresses.find((one) => isIpv6(one) === ofIpv6)!;
    const port = this.#portOf(client);
    const service = wanted === 'service' ? cast.anyService(protocol, ofIpv6, false) : undefined;
    const pod = wanted === 'world' || service !== undefined ? undefined : cast.anyServer(protocol, ofIpv6, client);
    const asked = service ?? pod ?? cast.worldServer(ofIpv6);
    const peers = service !== undefined ? 'service' : pod !== undefined ? 'pod' : 'world';
    return { peers, ends: { protocol, client, address, port, asked: withId(asked, protocol, port) } };
  }

  /** One after the other, so that none is used again before all others were. */
  #portOf(client: Station): number {
    const before = this.#ports.get(client) ?? this.#random.below(PORTS);
    this.#ports.set(client, (before + 1) % PORTS);
    return FIRST_PORT + before;
  }

  /** The frames of a service's backend come from its own address; a pod that is its own backend sees the loopback address. */
  #answerer(ends: Ends, { endpoint, backend }: Choice): Answerer {
    const station = this.#cast.stationOf(endpoint);
    const isHairpin = backend !== undefined && !isIpv6(ends.address) && backend.address === ends.address;
    return { station, end: backend ?? ends.asked, clientAddress: isHairpin ? LOOPBACK : ends.address };
  }
}

/** An echo has the same identifier at both ends. */
const withId = (asked: Target, protocol: number, id: number): Target =>
  protocol === IPPROTO_ICMP ? { ...asked, port: id } : asked;

const swap = (be32: number): number =>
  ((be32 << 24) | ((be32 & 0xff00) << 8) | ((be32 >>> 8) & 0xff00) | (be32 >>> 24)) >>> 0;
const LOOPBACK = swap(DEFAULT_NODE.serviceLoopbackIpv4);
