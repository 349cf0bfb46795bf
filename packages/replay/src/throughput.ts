import { availableParallelism, cpus } from 'node:os';
import { type Agent, AgentError, CT_SHARDS } from '@ciliate/agent';
import { cilFromContainer, Datapath, Skb, type Step } from '@ciliate/bpf';
import { EventRing } from '@ciliate/maps';
import { Piscina } from 'piscina';
import { KEY, type KeysInMemory, type Measurement, type Task, type WorkerInit } from './protocol.ts';
import { type RecordedPacket, record, type TracePacket } from './recording.ts';
import { freeTrace, putTrace } from './trace_memory.ts';

export interface ThroughputOptions {
  /** Of each of the four measurements. */
  durationMs: number;
  /** Threads of the parallel measurements, at most MAX_WORKERS; default: one for each core. */
  workers?: number;
}

/** One measurement. `perSecond` adds up over the workers; the times are of one worker. All 0 if there was nothing to do. */
export interface Rate {
  workers: number;
  perSecond: number;
  nsPerOperation: number;
  /** Of these, what the loop itself takes: reading keys or copying the packet, and the checksum. */
  overheadNs: number;
}

export interface ThroughputResult {
  /** Of `policyCanAccess`: a verdict takes up to two lookups in the policy map's LPM trie. */
  lookups: { questions: number; single: Rate; parallel: Rate };
  /** Of whole packets through `cilFromContainer`, mode packets: each as it was recorded, policy and conntrack included. */
  packets: { packets: number; single: Rate; parallel: Rate };
  /** Of the verdicts; one worker and many gave the same. */
  checksums: { lookups: number; packets: number };
  node: string;
  cpu: string;
  seed: number;
}

const RING_BYTES = 64 * 1024;
/** As many readers as the shared memory has room for (`Reader` of maps). */
export const MAX_WORKERS = 64;

/**
 * Measures policy lookups on the questions that the trace's packets ask, and whole packets, by one worker and by all,
 * which share the agent's maps. Forgets all connections before and after.
 * @throws AgentError BAD_INPUT if no pod sent any of the packets; Error if any verdict differs between passes or between
 *   one worker and many
 */
export async function measureThroughput(
  agent: Agent,
  packets: Iterable<TracePacket>,
  options: ThroughputOptions,
): Promise<ThroughputResult> {
  const { durationMs, workers = Math.min(availableParallelism(), MAX_WORKERS) } = options;
  const recorded = [...packets].map((packet) => record(agent, packet));
  if (recorded.every(({ sender }) => sender === undefined))
    throw new AgentError(
      'BAD_INPUT',
      'no pod of the cluster sent a packet of the capture: there is nothing to measure',
    );
  const keys = putKeys(agent, recorded);
  const trace = putTrace(agent, recorded);
  const workerData: WorkerInit = { memory: agent.memory.wasm, seed: agent.seed, config: agent.config };
  const filename = new URL('worker.ts', import.meta.url).href;
  const pool = new Piscina({ filename, workerData, minThreads: workers, maxThreads: workers });
  const run = (tasks: Task[]): Promise<Measurement[]> => Promise.all(tasks.map((task) => pool.run(task)));
  const lookups = (count: number) =>
    run(Array.from({ length: count }, () => ({ kind: 'lookups', keys, durationMs }) as const));
  const forward = (count: number) =>
    run(shardsOf(count).map((shards) => ({ kind: 'packets', trace, shards, durationMs }) as const));
  try {
    const [lookup] = await lookups(1);
    const allLookups = await lookups(workers);
    agent.flushConntrack();
    const [packet] = await forward(1);
    agent.flushConntrack();
    const allPackets = await forward(workers);
    const whole = allPackets.reduce((sum, { checksum }) => (sum + checksum) | 0, 0);
    const same = whole === packet!.checksum && allLookups.every(({ checksum }) => checksum === lookup!.checksum);
    const steady = [lookup!, packet!, ...allLookups, ...allPackets].every(({ mismatches }) => mismatches === 0);
    if (!same || !steady) throw new Error('verdicts differ between passes or workers: the measurement is worthless');
    return {
      lookups: { questions: keys.count, single: rate([lookup!]), parallel: rate(allLookups) },
      packets: { packets: trace.count, single: rate([packet!]), parallel: rate(allPackets) },
      checksums: { lookups: lookup!.checksum, packets: packet!.checksum },
      node: process.version,
      cpu: cpus()[0]?.model ?? 'unknown',
      seed: agent.seed,
    };
  } finally {
    await pool.destroy();
    agent.flushConntrack();
    freeTrace(agent.memory, trace);
    agent.memory.free(keys.index, Math.max(8, keys.count * KEY.words * 4));
  }
}

/** All shards, dealt out to `workers`. */
const shardsOf = (workers: number): number[][] =>
  Array.from({ length: workers }, (_, worker) =>
    Array.from({ length: CT_SHARDS }, (_, shard) => shard).filter((shard) => shard % workers === worker),
  );

function rate(measurements: readonly Measurement[]): Rate {
  const busy = measurements.filter(({ operations }) => operations > 0);
  const operations = Math.max(
    1,
    busy.reduce((sum, one) => sum + one.operations, 0),
  );
  if (operations === 0) return { workers: measurements.length, perSecond: 0, nsPerOperation: 0, overheadNs: 0 };
  const sum = (of: (one: Measurement) => number): number => busy.reduce((total, one) => total + of(one), 0);
  return {
    workers: measurements.length,
    perSecond: sum((one) => (one.operations / one.elapsedNs) * 1e9),
    nsPerOperation: sum((one) => one.elapsedNs) / operations,
    overheadNs: sum((one) => one.overheadNs) / operations,
  };
}

/** The questions that policy is asked while the trace's packets run once through the programs. */
function putKeys(agent: Agent, packets: readonly RecordedPacket[]): KeysInMemory {
  const { memory } = agent;
  const asked: Extract<Step, { kind: 'policy' }>[] = [];
  const events = EventRing.create(memory, RING_BYTES);
  const datapath = new Datapath(memory, { shard: 0, events, seed: agent.seed, config: agent.config });
  const skb = new Skb(memory);
  agent.flushConntrack();
  datapath.steps = { push: (step) => step.kind === 'policy' && asked.push(step) };
  for (const { sender, frame, timeNs } of packets) {
    if (sender === undefined) continue;
    memory.nowNs = timeNs;
    skb.load(frame, sender.ifindex);
    cilFromContainer(datapath, datapath.program(sender.id)!, skb);
  }
  agent.flushConntrack();
  const index = memory.alloc(Math.max(8, asked.length * KEY.words * 4));
  asked.forEach((step, i) => {
    const at = (index >> 2) + i * KEY.words;
    memory.u32[at + KEY.map] = datapath.program(step.endpoint)!.policy.address;
    memory.u32[at + KEY.identity] = step.remoteIdentity;
    memory.u32[at + KEY.egress] = step.direction === 'egress' ? 1 : 0;
    memory.u32[at + KEY.protocol] = step.protocol;
    memory.u32[at + KEY.dport] = step.dport;
  });
  datapath.destroy();
  events.destroy();
  skb.destroy();
  return { index, count: asked.length };
}
