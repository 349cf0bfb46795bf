import type { Address } from '@ciliate/maps';
import type { PodInterface } from './interfaces.ts';

/** Everything that crosses a thread boundary in mode packets. Frames and what became of them lie in the shared memory. */

/** Words (u32) of one packet's entry in a batch: 64 bytes, so that two workers never write to one cache line. */
export const ENTRY = {
  words: 16,
  /** Address and bytes of the frame as it was recorded. */
  at: 0,
  length: 1,
  /** The shard of its connection, at first UNSTEERED where any thread may say; the hook (HOOK_*) that it comes in by. */
  shard: 2,
  hook: 3,
  /** Of HOOK_FROM_CONTAINER the endpoint's id, of HOOK_FROM_OVERLAY the sender's identity; else of no meaning. */
  endpoint: 4,
  /** Its time: since 1970. */
  seconds: 5,
  nanoseconds: 6,
  /** 1-based place in the trace; counts on over the passes of a loop. */
  number: 7,
  /** Which connection it belongs to: 64 bits of hash. */
  flowLow: 8,
  flowHigh: 9,
  /** Interface of the capture. */
  interface: 10,
  // Written by the worker:
  /** FATE_* in bits 0..7, drop code in 8..15, extended error in 16..23. */
  fate: 11,
  /** Where it went: interface index, proxy port (host order) or VNI, by its fate. */
  to: 12,
  /** The frame as it left; valid only if frames are kept and it was not dropped. */
  outAt: 13,
  outLength: 14,
} as const;

export const UNSTEERED = 0xffff;

/** The hook that a packet comes in by. */
export const HOOK_FROM_CONTAINER = 0;
export const HOOK_FROM_NETDEV = 1;
export const HOOK_FROM_HOST = 2;
export const HOOK_FROM_OVERLAY = 3;
export const HOOKS = ['from-container', 'from-netdev', 'from-host', 'from-overlay'] as const;

/** What became of a packet. */
export const FATE_TO_ENDPOINT = 0;
export const FATE_TO_NETWORK = 1;
export const FATE_TO_OVERLAY = 2;
export const FATE_ANSWERED = 3;
export const FATE_TO_PROXY = 4;
export const FATE_TO_STACK = 5;
export const FATE_DROPPED = 6;
export const FATES = [
  'to-endpoint',
  'to-network',
  'to-overlay',
  'answered',
  'to-proxy',
  'to-stack',
  'dropped',
] as const;

/** How many batches there are at a time; a batch is what one piece of the file holds. */
export const BATCHES = 8;
export const BATCH_BYTES = 1 << 19;
export const BATCH_PACKETS = 8192;
/** What a program may add to a frame: the headers of a tunnel, or an ICMP error around the first bytes. */
export const GROWTH_BYTES = 640;

/** Where the batches and the words that threads wait on lie. */
export interface RingLayout {
  readonly control: Address;
  /** First batch; each takes `batchBytes`. */
  readonly batches: Address;
  readonly batchBytes: number;
  readonly workers: number;
  /** Bytes behind each batch for frames that grew; 0: frames are not kept. */
  readonly growth: number;
  /** Another thread reads each batch when it is done. */
  readonly isTold: boolean;
}

/** The capture, and what its reading needs; the same for all workers. */
export interface CaptureTask {
  path: string;
  /** How often it is gone through. */
  passes: number;
  pods: readonly PodInterface[];
  /** What pods of other nodes send comes by the tunnel. */
  tunnels: boolean;
  /** See trace_state.ts and fragment_table.ts. */
  state: Address;
  fragments: Address;
}

/** One worker's work, until the ring ends. */
export interface PacketsTask {
  ring: RingLayout;
  capture: CaptureTask;
  worker: number;
  /** Worker of each shard. */
  owners: readonly number[];
  /** Packets that are timed together. */
  batch: number;
  /** Where to write events; NULL: nobody reads them. */
  events: Address;
  /** Rows of the flow table for each shard. */
  flows: number;
}

/** Packets and bytes. */
export type Count = [packets: number, bytes: number];

/** What a worker has seen. Those of several workers add up. */
export interface Tally {
  hooks: Count[];
  fates: Count[];
  /** By drop code. */
  drops: Record<number, Count>;
  /** Of all fates, with the packets' numbers. */
  checksum: number;
}

/** A connection, by its first packet. */
export interface FlowRow {
  /** IPPROTO_*. */
  protocol: number;
  /** Text of the addresses; ports are 0 where there are none. */
  source: string;
  sourcePort: number;
  destination: string;
  destinationPort: number;
  packets: number;
  bytes: number;
  /** Packets by fate. */
  fates: number[];
  /** Code of the last drop; 0: none. */
  lastDrop: number;
  /** Number of the first packet. */
  first: number;
}

/** Connections that had no place in the table any more, all of them small. */
export interface FlowTotals {
  connections: number;
  forgotten: number;
}

export interface WorkerResult {
  tally: Tally;
  /** The largest of each shard, largest first. */
  flows: FlowRow[];
  flowTotals: FlowTotals;
  events: { read: number; lost: number };
  /** Packets by their time: see latency.ts. */
  latency: Uint32Array;
  /** Nanoseconds in reading the capture, in finding packets and their shards, in the programs, and in waiting. */
  readNs: number;
  steerNs: number;
  busyNs: number;
  waitedNs: number;
}

/** Of a capture that cannot be read: the parts of its CaptureError, which as an object would arrive as another one. */
export interface CaptureFailure {
  problem: string;
  context: Readonly<Record<string, string | number>>;
}
