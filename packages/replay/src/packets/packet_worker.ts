import { type DatapathConfig, ShardCollector, Skb } from '@ciliate/bpf';
import { EventRing, type Memory, NULL, Reader } from '@ciliate/maps';
import { defaultRoute } from '../host_stack.ts';
import { BatchRing } from './batch_ring.ts';
import { Cutter } from './cutter.ts';
import { EventStream } from './event_stream.ts';
import { FlowTable } from './flow_table.ts';
import { FragmentTable } from './fragment_table.ts';
import { newLatency, recordLatency } from './latency.ts';
import { NodePath, ShardDatapath } from './node_path.ts';
import { Places } from './places.ts';
import { ENTRY, FATE_DROPPED, type FlowRow, type PacketsTask, UNSTEERED, type WorkerResult } from './protocol.ts';
import { Steering } from './steering.ts';
import { Counters } from './tally.ts';

/** Of a shard's ring: what the events of one packet need, when someone reads them; else so little that none stay. */
const RING_BYTES = 16 * 1024;
const NO_READER_BYTES = 64;
const NS_PER_MS = 1e6;
/** How many rows of each shard's flow table are told. */
export const TOP_FLOWS = 100;

/** What one worker does: the packets of its shards, batch by batch, each as it stands. */
export class PacketWorker {
  readonly #memory: Memory;
  readonly #task: PacketsTask;
  readonly #ring: BatchRing;
  readonly #cutter: Cutter;
  readonly #fragments: FragmentTable;
  readonly #skb: Skb;
  readonly #shards: readonly number[];
  readonly #path: NodePath;
  readonly #steering: Steering;
  readonly #datapaths: (ShardDatapath | undefined)[] = [];
  readonly #tables: (FlowTable | undefined)[] = [];
  readonly #collectors: (ShardCollector | undefined)[] = [];
  readonly #events: EventStream | undefined;
  readonly #counters = new Counters();
  readonly #latency = newLatency();
  #read = 0;
  #number = 0;
  #steerMs = 0;
  #busyMs = 0;
  #waitedMs = 0;

  constructor(memory: Memory, seed: number, config: DatapathConfig, task: PacketsTask) {
    this.#memory = memory;
    this.#task = task;
    this.#ring = BatchRing.attach(memory, task.ring);
    this.#skb = new Skb(memory);
    this.#path = new NodePath(this.#skb);
    this.#fragments = FragmentTable.attach(memory, task.capture.fragments);
    const places = new Places(memory);
    this.#steering = new Steering(places, config, task.owners.length, this.#fragments);
    this.#cutter = new Cutter(memory, places, this.#ring, this.#steering, task);
    this.#shards = task.owners.flatMap((owner, shard) => (owner === task.worker ? [shard] : []));
    this.#events = task.events === NULL ? undefined : EventStream.attach(memory, task.events);
    const fib = defaultRoute(config.node.netdev.ifindex);
    for (const shard of this.#shards) {
      const events = EventRing.create(memory, this.#events === undefined ? NO_READER_BYTES : RING_BYTES);
      this.#datapaths[shard] = new ShardDatapath(memory, { shard, seed, config, events, fib });
      this.#tables[shard] = new FlowTable(memory, task.flows);
      this.#collectors[shard] = new ShardCollector(memory, shard);
    }
  }

  /** Works until the ring ends. @returns what it saw. @throws CaptureError */
  run(): WorkerResult {
    const reader = Reader.join(this.#memory);
    try {
      for (let batch = 0; ; ) {
        reader.pause();
        const asked = performance.now();
        const turn = this.#ring.turn(batch);
        const began = performance.now();
        this.#waitedMs += began - asked;
        if (turn === 'end') return this.result();
        if (turn === 'fill') {
          this.fill();
          continue;
        }
        reader.quiet();
        this.work(batch);
        this.#busyMs += performance.now() - began;
        this.#ring.finish(this.#task.worker, batch++);
      }
    } finally {
      reader.leave(); // a reader that stays would hold up the writer for ever
    }
  }

  /** Fills the next batch, as it is this worker's turn to. @throws CaptureError */
  fill(): void {
    let batch = -1;
    try {
      batch = this.#cutter.fill();
    } catch (error) {
      this.#ring.end();
      throw error;
    } finally {
      if (batch < 0) this.#ring.giveUp();
    }
    if (batch < 0) return;
    const began = performance.now();
    this.#steer(batch);
    this.#ring.steered(batch);
    this.#steerMs += performance.now() - began;
  }

  /** Finds the shards of a batch's packets, and lists the packets of each worker. */
  #steer(batch: number): void {
    const { u8, u16, u32 } = this.#memory;
    const { owners, ring } = this.#task;
    const steering = this.#steering;
    const count = this.#ring.count(batch);
    const entries = this.#ring.entries(batch);
    for (let worker = 0; worker < ring.workers; worker++) u16[this.#ring.list(batch, worker)] = 0;
    for (let index = 0; index < count; index++) {
      const entry = entries + index * ENTRY.words;
      if (u32[entry + ENTRY.shard] === UNSTEERED) {
        steering.steer(u8, u32[entry + ENTRY.at]!, u32[entry + ENTRY.length]!);
        u32[entry + ENTRY.shard] = steering.shard;
        u32[entry + ENTRY.flowLow] = steering.flowLow;
        u32[entry + ENTRY.flowHigh] = steering.flowHigh;
      }
      const list = this.#ring.list(batch, owners[u32[entry + ENTRY.shard]!]!);
      u16[list + ++u16[list]!] = index;
    }
  }

  /** The worker's packets of one batch, which is steered. */
  work(batch: number): void {
    this.#cutter.see(batch);
    const { u16 } = this.#memory;
    const list = this.#ring.list(batch, this.#task.worker);
    const count = u16[list]!;
    const entries = this.#ring.entries(batch);
    const size = this.#task.batch;
    for (let from = 1; from <= count; from += size) {
      const end = Math.min(from + size, count + 1);
      const began = performance.now();
      for (let i = from; i < end; i++) this.#packet(batch, entries + u16[list + i]! * ENTRY.words);
      recordLatency(this.#latency, ((performance.now() - began) * NS_PER_MS) / (end - from), end - from);
    }
  }

  #packet(batch: number, entry: number): void {
    const { u32, i32 } = this.#memory;
    const path = this.#path;
    const shard = u32[entry + ENTRY.shard]!;
    const at = u32[entry + ENTRY.at]!;
    const length = u32[entry + ENTRY.length]!;
    const hook = u32[entry + ENTRY.hook]!;
    const number = u32[entry + ENTRY.number]!;
    const dp = this.#datapaths[shard]!;
    dp.seconds = u32[entry + ENTRY.seconds]!;
    const collector = this.#collectors[shard]!;
    if (dp.seconds >= collector.nextSeconds) collector.run(dp.seconds);
    path.run(dp, hook, u32[entry + ENTRY.endpoint]!, at, length);
    const { fate, dropCode, to } = path;
    this.#tables[shard]!.add(
      i32[entry + ENTRY.flowLow]!,
      i32[entry + ENTRY.flowHigh]!,
      at,
      length,
      number,
      fate,
      dropCode,
    );
    this.#counters.add(hook, fate, dropCode, length, number, to ^ (fate === FATE_DROPPED ? 0 : this.#skb.len << 16));
    u32[entry + ENTRY.fate] = fate | (dropCode << 8) | (path.extError << 16);
    u32[entry + ENTRY.to] = to;
    if (this.#task.ring.growth > 0 && fate !== FATE_DROPPED) this.#keepFrame(batch, entry, at, length);
    if (this.#events !== undefined) this.#tellEvents(dp, number);
  }

  /** In the place of the frame that came, if it is no longer. */
  #keepFrame(batch: number, entry: number, at: number, length: number): void {
    const { u8, u32 } = this.#memory;
    const { data, len } = this.#skb;
    const to = len <= length ? at : this.#ring.grow(batch, len);
    u8.copyWithin(to, data, data + len);
    u32[entry + ENTRY.outAt] = to;
    u32[entry + ENTRY.outLength] = len;
  }

  #tellEvents(dp: ShardDatapath, number: number): void {
    this.#number = number;
    dp.events.drain(this.#tell);
  }

  readonly #tell = (event: Uint8Array): void => {
    this.#read++;
    this.#events!.write(this.#number, event);
  };

  result(): WorkerResult {
    const flows: FlowRow[] = this.#tables.flatMap((table) => table?.top(TOP_FLOWS) ?? []);
    const flowTotals = { connections: 0, forgotten: 0 };
    let lost = 0;
    for (const shard of this.#shards) {
      const { connections, forgotten } = this.#tables[shard]!.totals;
      flowTotals.connections += connections;
      flowTotals.forgotten += forgotten;
      lost += this.#datapaths[shard]!.events.lost;
    }
    return {
      tally: this.#counters.tally,
      flows,
      flowTotals,
      events: { read: this.#read, lost },
      latency: this.#latency,
      readNs: this.#cutter.readMs * NS_PER_MS,
      steerNs: (this.#cutter.cutMs + this.#steerMs) * NS_PER_MS,
      busyNs: this.#busyMs * NS_PER_MS,
      waitedNs: this.#waitedMs * NS_PER_MS,
    };
  }

  /** Gives its memory back; the maps stay. */
  destroy(): void {
    for (const dp of this.#datapaths) {
      if (dp === undefined) continue;
      dp.events.destroy();
      dp.destroy();
    }
    this.#cutter.close();
    this.#fragments.detach();
    this.#path.destroy();
    this.#skb.destroy();
  }
}
