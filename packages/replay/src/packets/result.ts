import type { Agent } from '@ciliate/agent';
import { dropReason } from '@ciliate/bpf';
import { IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP, parseIp } from '@ciliate/packet';
import { TOP_FLOWS } from './packet_worker.ts';
import { FATES, type FlowRow, HOOKS, type WorkerResult } from './protocol.ts';
import { addTallies, emptyTally } from './tally.ts';
import type { TraceSummary } from './trace_state.ts';

/** How many packets, and the bytes of their frames. */
export interface Amount {
  packets: number;
  bytes: number;
}

/** What became of a packet. */
export type Fate = (typeof FATES)[number];

/** A connection, named by its first packet; `source` and `destination` are `namespace/name` or an address. */
export interface PacketFlow extends Amount {
  /** `TCP`, ..., or the number. */
  protocol: string;
  source: string;
  sourcePort: number;
  destination: string;
  destinationPort: number;
  /** Packets by what became of them; those that are 0 are left out. */
  fates: Partial<Record<Fate, number>>;
  /** Of its last dropped packet. */
  lastDrop?: { code: number; reason: string };
  /** Place of its first packet in the trace. */
  firstPacket: number;
}

/** What the packets of a trace, or of a share of its connections, met. All but `timings` is the same in every run. */
export interface PacketsResult {
  kind: 'ciliate replay packets';
  /** The whole trace, all passes of it. */
  trace: TraceSummary;
  loop: number;
  seed: number;
  /** Which share of the connections this is; null: all. */
  share: Share | null;
  /** False if the run was ended before the trace was. */
  complete: boolean;
  judged: Amount;
  /** Packets that pods received: judged where they were sent, not again. */
  received: number;
  hooks: Record<(typeof HOOKS)[number], Amount>;
  fates: Record<Fate, Amount>;
  drops: ({ code: number; reason: string } & Amount)[];
  /** `top`: those with the most packets, up to 100. `forgotten`: small ones that had no place in the table any more. */
  flows: { connections: number; forgotten: number; top: PacketFlow[] };
  /** Events of the programs: read by somebody, and lost for want of a reader or of room. */
  events: { read: number; lost: number };
  /** Of what became of each packet. */
  checksum: number;
  timings?: Timings;
}

export interface Share {
  /** 0-based. */
  index: number;
  of: number;
}

/** Nanoseconds, unless the name says otherwise. */
export interface Timings {
  workers: number;
  elapsedNs: number;
  packetsPerSecond: number;
  /** Of one packet in the programs: the share named took no longer, as means over `batch` packets each. */
  nsPerPacket: { mean: number; p50: number; p90: number; p99: number; p999: number };
  batch: number;
  /** What asking the clock twice adds to each packet's time. */
  clockNs: number;
  /** Of all workers together. */
  reading: number;
  steering: number;
  programs: number;
  waiting: number;
  residentBytes: number;
}

export interface Judged {
  trace: TraceSummary;
  loop: number;
  share: Share | null;
  complete: boolean;
  received: number;
  workers: readonly WorkerResult[];
}

/** Puts what the workers saw together. */
export function packetsResult(agent: Agent, judged: Judged): PacketsResult {
  const { trace, loop, share, complete, received, workers } = judged;
  const tally = workers.map((one) => one.tally).reduce(addTallies, emptyTally());
  const amounts = <N extends string>(names: readonly N[], counts: readonly (readonly [number, number])[]) =>
    Object.fromEntries(names.map((name, i) => [name, { packets: counts[i]![0], bytes: counts[i]![1] }])) as Record<
      N,
      Amount
    >;
  const sum = (of: (one: WorkerResult) => number): number => workers.reduce((total, one) => total + of(one), 0);
  const flows = workers.flatMap((one) => one.flows).map((row) => packetFlow(agent, row));
  return {
    kind: 'ciliate replay packets',
    trace: { ...trace },
    loop,
    seed: agent.seed,
    share,
    complete,
    judged: {
      packets: tally.fates.reduce((total, [packets]) => total + packets, 0),
      bytes: tally.fates.reduce((total, [, bytes]) => total + bytes, 0),
    },
    received,
    hooks: amounts(HOOKS, tally.hooks),
    fates: amounts(FATES, tally.fates),
    drops: Object.entries(tally.drops)
      .map(([code, [packets, bytes]]) => ({ code: Number(code), reason: dropReason(Number(code)), packets, bytes }))
      .sort((a, b) => b.packets - a.packets || a.code - b.code),
    flows: {
      connections: sum((one) => one.flowTotals.connections),
      forgotten: sum((one) => one.flowTotals.forgotten),
      top: topFlows(flows),
    },
    events: { read: sum((one) => one.events.read), lost: sum((one) => one.events.lost) },
    checksum: tally.checksum,
  };
}

/** The largest, earlier ones first among equals. */
export const topFlows = (flows: readonly PacketFlow[]): PacketFlow[] =>
  [...flows].sort((a, b) => b.packets - a.packets || a.firstPacket - b.firstPacket).slice(0, TOP_FLOWS);

const PROTOCOLS: Readonly<Record<number, string>> = {
  [IPPROTO_ICMP]: 'ICMP',
  [IPPROTO_TCP]: 'TCP',
  [IPPROTO_UDP]: 'UDP',
  [IPPROTO_ICMPV6]: 'ICMPv6',
  [IPPROTO_SCTP]: 'SCTP',
};

function packetFlow(agent: Agent, row: FlowRow): PacketFlow {
  const fates: PacketFlow['fates'] = {};
  for (const [i, count] of row.fates.entries()) if (count > 0) fates[FATES[i]!] = count;
  return {
    protocol: PROTOCOLS[row.protocol] ?? `${row.protocol}`,
    source: nameOf(agent, row.source, row.sourcePort),
    sourcePort: row.sourcePort,
    destination: nameOf(agent, row.destination, row.destinationPort),
    destinationPort: row.destinationPort,
    packets: row.packets,
    bytes: row.bytes,
    fates,
    ...(row.lastDrop === 0 ? {} : { lastDrop: { code: row.lastDrop, reason: dropReason(row.lastDrop) } }),
    firstPacket: row.first,
  };
}

/** `namespace/name` of the pod or service at an address, or the address. */
function nameOf(agent: Agent, text: string, port: number): string {
  const address = parseIp(text)!;
  const service = agent.resolver.serviceOf(address, port);
  return service === undefined ? agent.nameOf(address) : `svc/${service.namespace}/${service.name}`;
}
