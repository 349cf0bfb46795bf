import { statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { type Agent, AgentError, CT_SHARDS } from '@ciliate/agent';
import type { DatapathConfig } from '@ciliate/bpf';
import { NULL } from '@ciliate/maps';
import { CaptureError } from '@ciliate/packet';
import { Piscina } from 'piscina';
import type { WorkerInit } from '../protocol.ts';
import { BatchFiller } from './batch_ring.ts';
import { Dispatcher } from './dispatcher.ts';
import { EventStream } from './event_stream.ts';
import { FlowsOutput } from './flows_output.ts';
import { flushConnections } from './flush.ts';
import { addLatency, newLatency, percentile } from './latency.ts';
import { type Output, PcapOutput } from './pcap_output.ts';
import { Places } from './places.ts';
import { BATCHES, type PacketsTask, type WorkerResult } from './protocol.ts';
import { type PacketsResult, packetsResult, type Share, type Timings } from './result.ts';

export interface ReplayPacketsOptions {
  /** Threads, at most one for each shard; default: one for each core. With the host firewall one. */
  workers?: number;
  /** How often the trace is gone through, one pass after the other in time too; default 1. */
  loop?: number;
  /** Only this share of the connections. `of` is at most the number of shards. */
  share?: Share;
  /** Files to write: pcapng of what left and what was dropped; Hubble flows as JSON lines, `-` for the standard output. */
  writePcap?: string;
  flows?: string;
  /** Ends the run early; what was judged until then is the result. */
  signal?: AbortSignal;
  /** Called now and then with the packets read so far. */
  onProgress?: (packets: number) => void;
  /** What the programs are compiled with; default: as the agent's. */
  config?: DatapathConfig;
}

/** Packets that are timed together. */
const TIMED_TOGETHER = 64;
/** Rows of each shard's flow table: half a million connections in all. */
const FLOW_ROWS = 32_768;
const IDLE_WAIT_MS = 100;
/** A worker whose events find no room waits for us. */
const FLOWS_WAIT_MS = 2;

/**
 * Judges each packet of a capture as it stands, in the order of the trace. The file is read in pieces, so memory does not
 * grow with it; packets are steered by their connection to one of 16 shards, and shards to workers, so the result is
 * the same for any number of workers. Forgets all connections before and after.
 * @throws CaptureError for a capture that cannot be read or holds no packet; AgentError BAD_INPUT for a share that cannot be
 */
export async function replayPackets(
  agent: Agent,
  path: string,
  options: ReplayPacketsOptions = {},
): Promise<PacketsResult> {
  const run = new Run(agent, path, options);
  try {
    return await run.all();
  } finally {
    await run.close();
  }
}

class Run {
  readonly #agent: Agent;
  readonly #path: string;
  readonly #options: ReplayPacketsOptions;
  readonly #workers: number;
  readonly #ring: BatchFiller;
  readonly #streams: EventStream[] = [];
  readonly #outputs: Output[] = [];
  readonly #config: DatapathConfig;
  readonly #owners: number[];
  #flows: FlowsOutput | undefined;
  #dispatcher: Dispatcher | undefined;
  #pool: Piscina | undefined;
  #tasks: Promise<WorkerResult[]> | undefined;
  /** Batches whose results were given to the outputs. */
  #told = 0;
  #failure: { error: unknown } | undefined;

  constructor(agent: Agent, path: string, options: ReplayPacketsOptions) {
    this.#agent = agent;
    this.#path = path;
    this.#options = options;
    this.#config = options.config ?? agent.config;
    // What the node itself sends shares NAT's map with all shards: the order of the packets counts.
    const workers = this.#config.hostFirewall ? 1 : (options.workers ?? availableParallelism());
    this.#workers = Math.min(workers, CT_SHARDS);
    this.#owners = ownersOf(this.#workers, options.share);
    this.#ring = BatchFiller.create(agent.memory, this.#workers, options.writePcap !== undefined);
  }

  async all(): Promise<PacketsResult> {
    const { flows, writePcap, loop = 1, signal } = this.#options;
    for (const output of [flows, writePcap]) if (output !== undefined) checkOutput(this.#path, output);
    const agent = this.#agent;
    flushConnections(agent.memory, CT_SHARDS);
    const places = new Places(agent.memory);
    const shards = CT_SHARDS;
    const dispatcherOptions = { path: this.#path, config: this.#config, shards, owners: this.#owners, passes: loop };
    const dispatcher = new Dispatcher(agent, places, this.#ring, dispatcherOptions);
    this.#dispatcher = dispatcher;
    if (writePcap !== undefined) this.#outputs.push(new PcapOutput(agent, writePcap, dispatcher.interfaces));
    if (flows !== undefined) {
      for (let i = 0; i < this.#workers; i++) this.#streams.push(EventStream.create(agent.memory));
      this.#flows = new FlowsOutput(agent, flows, this.#streams);
      this.#outputs.push(this.#flows);
    }
    this.#startWorkers();
    const began = performance.now();
    while (!dispatcher.isOver && !signal?.aborted) await this.#fillOne(dispatcher);
    this.#ring.end();
    await this.#until(() => this.#ring.finished, this.#ring.next);
    const elapsedNs = (performance.now() - began) * 1e6;
    const workers = await this.#tasks!;
    const { trace, received } = dispatcher;
    if (trace.packets === 0) throw new CaptureError(this.#path, 'holds no packet');
    const complete = dispatcher.isOver;
    const share = this.#options.share ?? null;
    const result = packetsResult(agent, { trace, loop, share, complete, received, workers });
    if (this.#flows !== undefined) this.#flows.lost(result.events.lost);
    return { ...result, timings: this.#timings(workers, elapsedNs, result.judged.packets, dispatcher) };
  }

  async close(): Promise<void> {
    this.#ring.end();
    await this.#pool?.destroy();
    for (const output of this.#outputs) output.close();
    for (const stream of this.#streams) stream.destroy();
    this.#dispatcher?.close();
    this.#ring.destroy();
    flushConnections(this.#agent.memory, CT_SHARDS);
  }

  #startWorkers(): void {
    const { memory, seed } = this.#agent;
    const workerData: WorkerInit = { memory: memory.wasm, seed, config: this.#config };
    const filename = new URL('worker.ts', import.meta.url).href;
    const count = this.#workers;
    this.#pool = new Piscina({ filename, workerData, minThreads: count, maxThreads: count });
    const tasks = Array.from({ length: count }, (_, worker): PacketsTask => {
      const events = this.#streams[worker]?.address ?? NULL;
      return { ring: this.#ring.layout, worker, owners: this.#owners, batch: TIMED_TOGETHER, events, flows: FLOW_ROWS };
    });
    this.#tasks = Promise.all(tasks.map((task): Promise<WorkerResult> => this.#pool!.run(task)));
    this.#tasks.catch((error: unknown) => {
      this.#failure = { error };
    });
  }

  async #fillOne(dispatcher: Dispatcher): Promise<void> {
    const ring = this.#ring;
    await this.#until(() => ring.finished, ring.next - BATCHES + 1);
    const count = dispatcher.fill();
    if (count > 0) ring.publish(count);
    this.#options.onProgress?.(dispatcher.trace.packets);
    await new Promise(setImmediate); // for signals
  }

  /** Waits until so many batches are done, and gives what is done to the outputs. @throws what a worker died of */
  async #until(done: () => number, wanted: number): Promise<void> {
    for (;;) {
      this.#flows?.collect();
      while (this.#told < done()) {
        for (const output of this.#outputs) output.batch(this.#ring, this.#told);
        this.#told++;
      }
      if (this.#failure !== undefined) throw this.#failure.error;
      if (done() >= wanted) return;
      await this.#ring.progress(wanted, this.#flows === undefined ? IDLE_WAIT_MS : FLOWS_WAIT_MS);
    }
  }

  #timings(workers: readonly WorkerResult[], elapsedNs: number, packets: number, dispatcher: Dispatcher): Timings {
    const latency = newLatency();
    for (const one of workers) addLatency(latency, one.latency);
    const sum = (of: (one: WorkerResult) => number): number => workers.reduce((total, one) => total + of(one), 0);
    const programs = sum((one) => one.busyNs);
    return {
      workers: this.#workers,
      elapsedNs,
      packetsPerSecond: (packets / elapsedNs) * 1e9,
      nsPerPacket: {
        mean: packets === 0 ? 0 : programs / packets,
        p50: percentile(latency, 0.5),
        p90: percentile(latency, 0.9),
        p99: percentile(latency, 0.99),
        p999: percentile(latency, 0.999),
      },
      batch: TIMED_TOGETHER,
      clockNs: clockNs() / TIMED_TOGETHER,
      reading: dispatcher.readMs * 1e6,
      steering: dispatcher.steerMs * 1e6,
      programs,
      waiting: sum((one) => one.waitedNs),
      residentBytes: process.resourceUsage().maxRSS * 1024,
    };
  }
}

/** @throws AgentError BAD_INPUT if that would empty the capture before it is read */
function checkOutput(capture: string, output: string): void {
  const [from, to] = [capture, output].map((path) => statSync(path, { throwIfNoEntry: false }));
  if (from !== undefined && from.ino === to?.ino && from.dev === to.dev)
    throw new AgentError('BAD_INPUT', `${output}: the capture itself, which cannot be written while it is read`, {
      output,
    });
}

/** The worker of each shard; -1: not of this share. */
function ownersOf(workers: number, share: Share | undefined): number[] {
  const { index, of } = share ?? { index: 0, of: 1 };
  if (!(of >= 1 && of <= CT_SHARDS && index >= 0 && index < of))
    throw new AgentError(
      'BAD_INPUT',
      `share ${index}/${of}: a trace has ${CT_SHARDS} shards of connections, so shares are 0/${of} to ${of - 1}/${of} of at most ${CT_SHARDS}`,
      { index, of },
    );
  let next = 0;
  return Array.from({ length: CT_SHARDS }, (_, shard) => (shard % of === index ? next++ % workers : -1));
}

/** What it costs to ask the clock before and after. */
function clockNs(): number {
  const rounds: number[] = [];
  for (let round = 0; round < 9; round++) {
    const began = performance.now();
    for (let i = 0; i < 1000; i++) performance.now();
    rounds.push((performance.now() - began) * 1e3);
  }
  return rounds.sort((a, b) => a - b)[rounds.length >> 1]!;
}
