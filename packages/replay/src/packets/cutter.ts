import type { Memory } from '@ciliate/maps';
import { CaptureError, type CaptureInterface } from '@ciliate/packet';
import type { BatchRing } from './batch_ring.ts';
import { CaptureView } from './capture_view.ts';
import { Interfaces, RECEIVED } from './interfaces.ts';
import type { Places } from './places.ts';
import { BATCH_BYTES, BATCH_PACKETS, ENTRY, type PacketsTask, UNSTEERED } from './protocol.ts';
import { dependsOnOthers, type Steering } from './steering.ts';
import { TraceState } from './trace_state.ts';
import { mixWords } from './word_table.ts';

const MAX_SECONDS = 0xffff_ffff;

/**
 * Reads the next piece of a capture into a batch, finds its packets, and the hook of each. To which shard it belongs is found
 * later, but for fragments, which need each other, and but where only a share of the shards is judged.
 */
export class Cutter {
  /** Milliseconds: in reading the file, and in all else. */
  readMs = 0;
  cutMs = 0;
  readonly #memory: Memory;
  readonly #places: Places;
  readonly #ring: BatchRing;
  readonly #steering: Steering;
  readonly #task: PacketsTask;
  readonly #state: TraceState;
  readonly #view: CaptureView;
  /** Other processes judge some of the shards. */
  readonly #isShare: boolean;
  #interfaces: Interfaces;
  #declared: readonly CaptureInterface[];
  // Of the state, while a batch is filled.
  #packets = 0;
  #bytes = 0;
  #received = 0;
  #fingerprint = 0;
  #isFirstPass = true;
  #firstSecond = 0;
  #lastSecond = 0;
  #shift = 0;

  /** @throws CaptureError */
  constructor(memory: Memory, places: Places, ring: BatchRing, steering: Steering, task: PacketsTask) {
    this.#memory = memory;
    this.#places = places;
    this.#ring = ring;
    this.#steering = steering;
    this.#task = task;
    this.#state = TraceState.attach(memory, task.capture.state);
    this.#view = new CaptureView(ring, task.capture.path);
    this.#isShare = task.owners.some((owner) => owner < 0);
    this.#declared = this.#view.interfaces;
    this.#interfaces = this.#newInterfaces();
  }

  close(): void {
    this.#view.close();
  }

  /** Learns what this batch declares. */
  see(batch: number): void {
    this.#view.see(batch);
  }

  /**
   * Fills the ring's next batch and publishes it; this thread has the turn to do so, which it gives up.
   * @returns number of the batch; -1 where a pass ended instead. @throws CaptureError
   */
  fill(): number {
    const state = this.#state;
    const began = performance.now();
    const read = this.readMs;
    const batch = this.#ring.next;
    try {
      this.#view.see(batch - 1);
      this.#view.begin(state.pass);
      this.#load();
      return this.#read(batch) ? batch : -1;
    } finally {
      this.cutMs += performance.now() - began - (this.readMs - read);
    }
  }

  /** @returns false at the end of the file */
  #read(batch: number): boolean {
    const ring = this.#ring;
    const state = this.#state;
    const { cursor } = this.#view;
    const { declared } = cursor;
    const room = ring.room(batch);
    const buffer = this.#memory.u8.subarray(room, room + BATCH_BYTES);
    const { pass } = state;
    const from = state.position === 0 ? this.#view.start : state.position;
    cursor.seek(from, state.number, buffer);
    const began = performance.now();
    const found = cursor.next();
    this.readMs += performance.now() - began;
    if (!found) {
      this.#endPass();
      return false;
    }
    if (this.#declared !== this.#view.interfaces) {
      this.#declared = this.#view.interfaces;
      this.#interfaces = this.#newInterfaces();
    }
    ring.begin();
    const count = cursor.bytes === buffer ? this.#cut(batch, room) : this.#cutOne(batch, room);
    this.#save();
    this.#view.saw(batch);
    ring.publish(count, { pass, from, to: cursor.position, declares: cursor.declared !== declared });
    return true;
  }

  #newInterfaces(): Interfaces {
    const { pods, tunnels } = this.#task.capture;
    return new Interfaces(pods, this.#places, this.#declared, tunnels);
  }

  /** The next pass begins in the second after the last of this one. */
  #endPass(): void {
    const state = this.#state;
    state.pass++;
    state.position = 0;
    state.number = 0;
    if (state.pass >= this.#task.capture.passes || state.packets === 0) this.#ring.end();
    else state.shift += state.lastSecond - state.firstSecond + 1;
  }

  #load(): void {
    const state = this.#state;
    this.#packets = state.packets;
    this.#bytes = state.bytes;
    this.#received = state.received;
    this.#fingerprint = state.fingerprint;
    this.#isFirstPass = state.pass === 0;
    this.#firstSecond = state.firstSecond;
    this.#lastSecond = state.lastSecond;
    this.#shift = state.shift;
  }

  #save(): void {
    const state = this.#state;
    state.position = this.#view.cursor.position;
    state.number = this.#view.cursor.number;
    state.packets = this.#packets;
    state.bytes = this.#bytes;
    state.received = this.#received;
    state.fingerprint = this.#fingerprint;
    state.firstSecond = this.#firstSecond;
    state.lastSecond = this.#lastSecond;
  }

  /** All packets of the buffer, in which the cursor stands on one. @returns how many entries they have */
  #cut(batch: number, room: number): number {
    const { cursor } = this.#view;
    const entries = this.#ring.entries(batch);
    let count = 0;
    do {
      if (this.#packet(entries + count * ENTRY.words, room + cursor.at)) count++;
    } while (count < BATCH_PACKETS && cursor.nextInBuffer());
    return count;
  }

  /** A packet in a block that is larger than a batch. */
  #cutOne(batch: number, room: number): number {
    const { bytes, at, length } = this.#view.cursor;
    this.#memory.u8.set(bytes.subarray(at, at + length), room);
    return this.#packet(this.#ring.entries(batch), room) ? 1 : 0;
  }

  /** Makes an entry of the packet that the cursor has come to, which lies at `at`. @returns false if it is not judged here */
  #packet(entry: number, at: number): boolean {
    const { cursor } = this.#view;
    const { u8, u32 } = this.#memory;
    const { length, interfaceId } = cursor;
    this.#arrive();
    const steering = this.#steering;
    let shard: number = UNSTEERED;
    if (this.#isShare || dependsOnOthers(u8, at, length)) {
      steering.steer(u8, at, length);
      shard = steering.shard;
      if (this.#task.owners[shard]! < 0) return false;
    }
    const hook = this.#interfaces.hookOf(interfaceId, u8, at, length);
    if (hook === RECEIVED) {
      this.#received++;
      return false;
    }
    u32[entry + ENTRY.at] = at;
    u32[entry + ENTRY.length] = length;
    u32[entry + ENTRY.shard] = shard;
    u32[entry + ENTRY.hook] = hook;
    u32[entry + ENTRY.endpoint] = this.#interfaces.endpoint;
    u32[entry + ENTRY.seconds] = cursor.seconds + this.#shift;
    u32[entry + ENTRY.nanoseconds] = cursor.nanoseconds;
    u32[entry + ENTRY.number] = this.#packets;
    u32[entry + ENTRY.flowLow] = steering.flowLow;
    u32[entry + ENTRY.flowHigh] = steering.flowHigh;
    u32[entry + ENTRY.interface] = interfaceId;
    return true;
  }

  /** Counts the packet. */
  #arrive(): void {
    const { seconds, nanoseconds, length, number } = this.#view.cursor;
    if (!(seconds >= 0 && seconds + this.#shift <= MAX_SECONDS))
      throw new CaptureError(this.#task.capture.path, `packet ${number}: its time is not in 1970..2106`, {
        packet: number,
      });
    this.#packets++;
    this.#bytes += length;
    if (!this.#isFirstPass) return;
    if (seconds < this.#firstSecond) this.#firstSecond = seconds;
    if (seconds > this.#lastSecond) this.#lastSecond = seconds;
    this.#fingerprint = mixWords(this.#fingerprint ^ length, mixWords(seconds, nanoseconds)) >>> 0;
  }
}
