import type { Address, Memory } from '@ciliate/maps';

/** What was read of the trace. */
export interface TraceSummary {
  /** Of all passes, whoever judges them. */
  packets: number;
  bytes: number;
  /** Of lengths and times, so that results of other traces are told apart. */
  fingerprint: number;
}

/** Numbers are indices of f64. */
const STATE = {
  position: 0,
  number: 1,
  pass: 2,
  packets: 3,
  bytes: 4,
  fingerprint: 5,
  received: 6,
  first: 7,
  last: 8,
  shift: 9,
} as const;
const BYTES = 10 * 8;

/** How far the reading of a trace is, in the shared memory: only the thread that fills a batch may change it. */
export class TraceState {
  readonly address: Address;
  readonly #memory: Memory;
  readonly #words: Float64Array;

  private constructor(memory: Memory, address: Address) {
    this.#memory = memory;
    this.address = address;
    this.#words = new Float64Array(memory.buffer, address, BYTES / 8);
  }

  /** @throws MapError ENOMEM */
  static create(memory: Memory): TraceState {
    const state = new TraceState(memory, memory.alloc(BYTES));
    state.firstSecond = Number.POSITIVE_INFINITY;
    return state;
  }

  /** In another thread. */
  static attach(memory: Memory, address: Address): TraceState {
    return new TraceState(memory, address);
  }

  get summary(): TraceSummary {
    return { packets: this.packets, bytes: this.bytes, fingerprint: this.fingerprint };
  }

  destroy(): void {
    this.#memory.free(this.address, BYTES);
  }

  /** Byte offset in the file of what comes next, and the number of the packet before it; 0 at the beginning of a pass. */
  get position(): number {
    return this.#words[STATE.position]!;
  }
  set position(value: number) {
    this.#words[STATE.position] = value;
  }

  get number(): number {
    return this.#words[STATE.number]!;
  }
  set number(value: number) {
    this.#words[STATE.number] = value;
  }

  /** 0-based. */
  get pass(): number {
    return this.#words[STATE.pass]!;
  }
  set pass(value: number) {
    this.#words[STATE.pass] = value;
  }

  /** Of all passes, as in the summary. */
  get packets(): number {
    return this.#words[STATE.packets]!;
  }
  set packets(value: number) {
    this.#words[STATE.packets] = value;
  }

  get bytes(): number {
    return this.#words[STATE.bytes]!;
  }
  set bytes(value: number) {
    this.#words[STATE.bytes] = value;
  }

  get fingerprint(): number {
    return this.#words[STATE.fingerprint]!;
  }
  set fingerprint(value: number) {
    this.#words[STATE.fingerprint] = value;
  }

  /** Packets that pods received, of the shards that are judged here. */
  get received(): number {
    return this.#words[STATE.received]!;
  }
  set received(value: number) {
    this.#words[STATE.received] = value;
  }

  /** Seconds of the first and last packet of the first pass, since 1970. */
  get firstSecond(): number {
    return this.#words[STATE.first]!;
  }
  set firstSecond(value: number) {
    this.#words[STATE.first] = value;
  }

  get lastSecond(): number {
    return this.#words[STATE.last]!;
  }
  set lastSecond(value: number) {
    this.#words[STATE.last] = value;
  }

  /** Seconds that are added to the times of this pass. */
  get shift(): number {
    return this.#words[STATE.shift]!;
  }
  set shift(value: number) {
    this.#words[STATE.shift] = value;
  }
}
