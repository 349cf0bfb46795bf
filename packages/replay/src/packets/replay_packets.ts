import { statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { type Agent, AgentError, CT_SHARDS } from '@ciliate/agent';
import type { DatapathConfig } from '@ciliate/bpf';
import { NULL } from '@ciliate/maps';
import { CaptureError } from '@ciliate/packet';
import { Piscina } from 'piscina';
import type { WorkerInit } from '../protocol.ts';
import { BatchRing } from './batch_ring.ts';
import { CaptureView } from './capture_view.ts';
import { EventStream } from './event_stream.ts';
import { FlowsOutput } from './flows_output.ts';
import { flushConnections } from './flush.ts';
import { FragmentTable } from './fragment_table.ts';
import { addLatency, newLatency, percentile } from './latency.ts';
import { type Output, PcapOutput } from './pcap_output.ts';
import { podInterfaces } from './pod_interfaces.ts';
import type { CaptureFailure, PacketsTask, WorkerResult } from './protocol.ts';
import { type PacketsResult, packetsResult, type Share, type Timings } from './result.ts';
import { TraceState } from './trace_state.ts';

export interface ReplayPacketsOptions {
  /** Threads, at most one for each shard; default: one for each core. */
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
const PROGRESS_MS = 20;
/** A worker whose events find no room waits for us. */
const OUTPUTS_WAIT_MS = 2;

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
  readonly #ring: BatchRing;
  readonly #state: TraceState;
  readonly #fragments: FragmentTable;
  readonly #streams: EventStream[] = [];
  readonly #outputs: Output[] = [];
  readonly #config: DatapathConfig;
  readonly #owners: number[];
  #view: CaptureView | undefined;
  #flows: FlowsOutput | undefined;
  #pool: Piscina | undefined;
  /** Batches whose results were given to the outputs. */
  #told = 0;

  constructor(agent: Agent, path: string, options: ReplayPacketsOptions) {
    this.#agent = agent;
    this.#path = path;
    this.#options = options;
    this.#config = options.config ?? agent.config;
    this.#workers = Math.min(options.workers ?? availableParallelism(), CT_SHARDS);
    this.#owners = ownersOf(this.#workers, options.share);
    const { flows, writePcap } = options;
    const isTold = flows !== undefined || writePcap !== undefined;
    this.#ring = BatchRing.create(agent.memory, this.#workers, writePcap !== undefined, isTold);
    this.#state = TraceState.create(agent.memory);
    this.#fragments = FragmentTable.create(agent.memory);
  }

  async all(): Promise<PacketsResult> {
    const { flows, writePcap, loop = 1, signal, onProgress } = this.#options;
    for (const output of [flows, writePcap]) if (output !== undefined) checkOutput(this.#path, output);
    const agent = this.#agent;
    flushConnections(agent.memory, CT_SHARDS);
    const view = new CaptureView(this.#ring, this.#path);
    this.#view = view;
    if (writePcap !== undefined) this.#outputs.push(new PcapOutput(agent, writePcap, view));
    if (flows !== undefined) {
      for (let i = 0; i < this.#workers; i++) this.#streams.push(EventStream.create(agent.memory));
      this.#flows = new FlowsOutput(agent, flows, this.#streams);
      this.#outputs.push(this.#flows);
    }
    const state = this.#state;
    const began = performance.now();
    const tasks = this.#startWorkers(loop);
    const watch = setInterval(() => {
      onProgress?.(state.packets);
      if (signal?.aborted) this.#ring.end();
    }, PROGRESS_MS);
    try {
      if (this.#outputs.length > 0) await this.#tellAll(tasks);
      const results = await tasks;
      const elapsedNs = (performance.now() - began) * 1e6;
      return this.#result(results, elapsedNs, loop);
    } finally {
      clearInterval(watch);
    }
  }

  async close(): Promise<void> {
    this.#ring.end();
    await this.#pool?.destroy();
    for (const output of this.#outputs) output.close();
    for (const stream of this.#streams) stream.destroy();
    this.#view?.close();
    this.#fragments.destroy();
    this.#state.destroy();
    this.#ring.destroy();
    flushConnections(this.#agent.memory, CT_SHARDS);
  }

  /** @returns what they saw. @throws CaptureError, and what a worker died of */
  async #startWorkers(passes: number): Promise<WorkerResult[]> {
    const { memory, seed } = this.#agent;
    const workerData: WorkerInit = { memory: memory.wasm, seed, config: this.#config };
    const filename = new URL('worker.ts', import.meta.url).href;
    const count = this.#workers;
    const pool = new Piscina({ filename, workerData, minThreads: count, maxThreads: count });
    this.#pool = pool;
    const [state, fragments] = [this.#state.address, this.#fragments.address];
    const tunnels = this.#config.tunnelMode;
    const capture = { path: this.#path, passes, pods: podInterfaces(this.#agent), tunnels, state, fragments };
    const [ring, owners] = [this.#ring.layout, this.#owners];
    const runs = Array.from({ length: count }, (_, worker): Promise<WorkerResult | CaptureFailure> => {
      const events = this.#streams[worker]?.address ?? NULL;
      const task: PacketsTask = { ring, capture, worker, owners, batch: TIMED_TOGETHER, events, flows: FLOW_ROWS };
      return pool.run(task);
    });
    const ends = await Promise.all(runs);
    return ends.map((end) => {
      if ('problem' in end) throw new CaptureError(this.#path, end.problem, end.context);
      return end;
    });
  }

  /** Gives to the outputs what is done, until the workers are. */
  async #tellAll(tasks: Promise<unknown>): Promise<void> {
    let isOver = false;
    const over = (): void => {
      isOver = true;
    };
    const end = tasks.then(over, over);
    for (;;) {
      const wasOver = isOver;
      const { signal } = this.#ring;
      this.#flows?.collect();
      for (const { finished } = this.#ring; this.#told < finished; this.#told++) {
        for (const output of this.#outputs) output.batch(this.#ring, this.#told);
        this.#ring.tell(this.#told);
      }
      if (wasOver) return;
      await Promise.race([end, this.#ring.change(signal, OUTPUTS_WAIT_MS)]);
    }
  }

  #result(workers: readonly WorkerResult[], elapsedNs: number, loop: number): PacketsResult {
    const trace = this.#state.summary;
    if (trace.packets === 0) throw new CaptureError(this.#path, 'holds no packet');
    const { pass, received } = this.#state;
    const share = this.#options.share ?? null;
    const result = packetsResult(this.#agent, { trace, loop, share, complete: pass >= loop, received, workers });
    this.#flows?.lost(result.events.lost);
    return { ...result, timings: this.#timings(workers, elapsedNs, result.judged.packets) };
  }

  #timings(workers: readonly WorkerResult[], elapsedNs: number, packets: number): Timings {
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
      reading: sum((one) => one.readNs),
      steering: sum((one) => one.steerNs),
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
