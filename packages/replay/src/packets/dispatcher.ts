import type { Agent } from '@ciliate/agent';
import type { DatapathConfig } from '@ciliate/bpf';
import type { Memory } from '@ciliate/maps';
import { CaptureError, type CaptureInterface, type OpenCursor, openCursor } from '@ciliate/packet';
import type { BatchFiller } from './batch_ring.ts';
import { Interfaces, RECEIVED } from './interfaces.ts';
import type { Places } from './places.ts';
import { BATCH_BYTES, BATCH_PACKETS, ENTRY, UNSTEERED } from './protocol.ts';
import { dependsOnOthers, Steering } from './steering.ts';
import { mixWords } from './word_table.ts';

const MAX_SECONDS = 0xffff_ffff;

export interface DispatcherOptions {
  path: string;
  config: DatapathConfig;
  shards: number;
  /** Worker of each shard; -1: another process judges them. */
  owners: readonly number[];
  passes: number;
}

/** What was read of the trace. */
export interface TraceSummary {
  /** Of all passes, whoever judges them. */
  packets: number;
  bytes: number;
  /** Of lengths and times, so that results of other traces are told apart. */
  fingerprint: number;
}

/**
 * Reads a capture, finds each packet's hook, and fills batches with it. To which shard it belongs the workers find, but for
 * fragments, and but where only a share of the shards is judged.
 */
export class Dispatcher {
  readonly trace: TraceSummary = { packets: 0, bytes: 0, fingerprint: 0 };
  /** Packets that pods received, of the shards that are judged here. */
  received = 0;
  /** Milliseconds: in reading the file, and in all else. */
  readMs = 0;
  steerMs = 0;
  /** Those that the first pass has come to, and so in the end all. */
  readonly interfaces: readonly CaptureInterface[];
  readonly #agent: Agent;
  readonly #memory: Memory;
  readonly #places: Places;
  readonly #ring: BatchFiller;
  readonly #options: DispatcherOptions;
  readonly #steering: Steering;
  /** Other processes judge some of the shards. */
  readonly #isShare: boolean;
  #capture: OpenCursor;
  #interfaces: Interfaces;
  /** The cursor stands on a packet that has no place yet. */
  #pending = false;
  #isOver = false;
  #pass = 0;
  #firstSecond = MAX_SECONDS;
  #lastSecond = 0;
  #shift = 0;

  /** @throws CaptureError */
  constructor(agent: Agent, places: Places, ring: BatchFiller, options: DispatcherOptions) {
    this.#agent = agent;
    this.#memory = agent.memory;
    this.#places = places;
    this.#ring = ring;
    this.#options = options;
    this.#steering = new Steering(places, options.config, options.shards);
    this.#isShare = options.owners.some((owner) => owner < 0);
    this.#capture = openCursor(options.path, BATCH_BYTES);
    this.interfaces = this.#capture.interfaces;
    this.#interfaces = new Interfaces(agent, places, this.interfaces);
  }

  /** All packets of all passes are in batches. */
  get isOver(): boolean {
    return this.#isOver;
  }

  close(): void {
    this.#capture.cursor.close();
  }

  /** Fills the ring's next batch. @returns how many entries it has; 0 is possible before the end. @throws CaptureError */
  fill(): number {
    const { cursor } = this.#capture;
    if (!this.#pending) {
      const began = performance.now();
      const found = cursor.nextInBuffer() || cursor.next();
      this.readMs += performance.now() - began;
      if (!found) {
        this.#endPass();
        return 0;
      }
      this.#arrive();
    }
    const began = performance.now();
    const count = this.#fillFromBuffer();
    this.steerMs += performance.now() - began;
    return count;
  }

  /** Counts the packet that the cursor has come to. */
  #arrive(): void {
    const { seconds, nanoseconds, length, number } = this.#capture.cursor;
    if (!(seconds >= 0 && seconds + this.#shift <= MAX_SECONDS))
      throw new CaptureError(this.#options.path, `packet ${number}: its time is not in 1970..2106`, { packet: number });
    this.trace.packets++;
    this.trace.bytes += length;
    this.#pending = true;
    if (this.#pass > 0) return;
    if (seconds < this.#firstSecond) this.#firstSecond = seconds;
    if (seconds > this.#lastSecond) this.#lastSecond = seconds;
    this.trace.fingerprint = mixWords(this.trace.fingerprint ^ length, mixWords(seconds, nanoseconds)) >>> 0;
  }

  /** The next pass begins in the second after the last of this one. */
  #endPass(): void {
    this.#pass++;
    this.#isOver = this.#pass >= this.#options.passes || this.trace.packets === 0;
    if (this.#isOver) return;
    this.#shift += this.#lastSecond - this.#firstSecond + 1;
    this.#capture.cursor.close();
    this.#capture = openCursor(this.#options.path, BATCH_BYTES);
    this.#interfaces = new Interfaces(this.#agent, this.#places, this.#capture.interfaces);
  }

  #fillFromBuffer(): number {
    const { cursor } = this.#capture;
    const { u8, u32 } = this.#memory;
    const { owners } = this.#options;
    const ring = this.#ring;
    const steering = this.#steering;
    const entries = ring.entries(ring.next);
    ring.begin();
    const bytes = cursor.bytes;
    const from = cursor.at;
    const room = ring.room(from);
    let end = from;
    let count = 0;
    while (count < BATCH_PACKETS) {
      if (!this.#pending) {
        if (!cursor.nextInBuffer()) break;
        this.#arrive();
      }
      const { at, length } = cursor;
      if (at + length - from > BATCH_BYTES) break;
      this.#pending = false;
      let shard: number = UNSTEERED;
      if (this.#isShare || dependsOnOthers(bytes, at, length)) {
        steering.steer(bytes, at, length);
        shard = steering.shard;
        if (owners[shard]! < 0) continue;
      }
      const hook = this.#interfaces.hookOf(cursor.interfaceId, bytes, at, length);
      if (hook === RECEIVED) {
        this.received++;
        continue;
      }
      const entry = entries + count * ENTRY.words;
      u32[entry + ENTRY.at] = room + at - from;
      u32[entry + ENTRY.length] = length;
      u32[entry + ENTRY.shard] = shard;
      u32[entry + ENTRY.hook] = hook;
      u32[entry + ENTRY.endpoint] = this.#interfaces.endpoint;
      u32[entry + ENTRY.seconds] = cursor.seconds + this.#shift;
      u32[entry + ENTRY.nanoseconds] = cursor.nanoseconds;
      u32[entry + ENTRY.number] = this.trace.packets;
      u32[entry + ENTRY.flowLow] = steering.flowLow;
      u32[entry + ENTRY.flowHigh] = steering.flowHigh;
      u32[entry + ENTRY.interface] = cursor.interfaceId;
      end = at + length;
      count++;
    }
    if (count > 0) u8.set(bytes.subarray(from, end), room);
    return count;
  }
}
