import { IPPROTO_ICMP, IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP } from '@ciliate/packet';
import type { Random } from './random.ts';
import { WeightedChoice } from './random.ts';

/** Protocols of connections, and who speaks to whom. */
export const PROTOCOLS = { tcp: IPPROTO_TCP, udp: IPPROTO_UDP, icmp: IPPROTO_ICMP, sctp: IPPROTO_SCTP } as const;
export const PEERS = ['service', 'pod', 'world', 'inbound'] as const;
export type Protocol = keyof typeof PROTOCOLS;
export type Peers = (typeof PEERS)[number];

/** How long IP packets are, bytes: the simple IMIX, or any length from `min` to `max` alike. */
export type Sizes = 'imix' | { min: number; max: number };
export const MIN_SIZE = 40;
export const MAX_SIZE = 9000;

export interface GenerateOptions {
  packets: number;
  /** Connections at a time. */
  flows: number;
  /** Of the Zipf distribution of packets over these connections; 0: all alike. */
  skew: number;
  /** Packets, and new connections, a second of the trace's time. */
  rate: number;
  newFlows: number;
  /** Weights of connections: pods with services, with other pods, with the world, and the world with the cluster. */
  peers: Record<Peers, number>;
  /** Weights of connections. */
  mix: Record<Protocol, number>;
  sizes: Sizes;
  /** Shares of all packets, 0..1. */
  synFlood: number;
  scan: number;
  /** Time of the first packet: seconds since 1970. */
  start: number;
}

export const DEFAULT_OPTIONS: GenerateOptions = {
  packets: 1_000_000,
  flows: 1000,
  skew: 1,
  rate: 100_000,
  newFlows: 1000,
  peers: { service: 60, pod: 20, world: 15, inbound: 5 },
  mix: { tcp: 80, udp: 15, icmp: 4, sctp: 1 },
  sizes: 'imix',
  synFlood: 0,
  scan: 0,
  start: Date.UTC(2025, 0, 1) / 1000,
};

/** Bytes of IP packets, and how often they are: 7 : 4 : 1. */
const IMIX = { bytes: [40, 576, 1500], weights: [7, 4, 1] } as const;

/** Draws lengths of IP packets. */
export function newSizes(sizes: Sizes): (random: Random) => number {
  if (sizes !== 'imix') return (random) => sizes.min + random.below(sizes.max - sizes.min + 1);
  const choice = new WeightedChoice(IMIX.weights);
  return (random) => IMIX.bytes[choice.pick(random)]!;
}
