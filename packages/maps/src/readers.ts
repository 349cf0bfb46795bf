import { MapError } from './errors.ts';
import type { Memory } from './memory.ts';

/**
 * Quiet points: how a writer knows that no reader still looks at an entry it has unlinked (the kernel's RCU; here the
 * readers say so themselves, between packets, as in userspace-RCU's QSBR).
 *
 * `epoch` counts the writers' questions. A reader's slot holds the epoch it has last seen at a quiet point, when it
 * held no address. An entry unlinked before the epoch became E is free once every slot is at E or later.
 * Slots stand 64 bytes apart, so that readers do not share a cache line.
 */
export const READERS = { epoch: 44, slots: 4096, stride: 64, count: 64 } as const;
const FREE = 0;
const PAUSED = 1;
const FIRST_EPOCH = 2;

const slotIndex = (slot: number): number => (READERS.slots + slot * READERS.stride) >> 2;

export function initReaders(words: Int32Array): void {
  words[READERS.epoch >> 2] = FIRST_EPOCH;
}

/**
 * A thread that looks maps up while another one writes them. Between joining (or `quiet`) and the next `quiet`, no
 * address it got from a lookup is used for anything else. A thread that is the writer itself needs none, as long as
 * it holds no value address across its own writes.
 */
export class Reader {
  /** 0..63; what to pass to `Reader.expel` if this thread dies. */
  readonly slot: number;
  private readonly words: Int32Array;
  private readonly at: number;
  private seen: number;

  private constructor(words: Int32Array, slot: number) {
    this.words = words;
    this.slot = slot;
    this.at = slotIndex(slot);
    this.seen = PAUSED;
    this.quiet();
  }

  /**
   * @param writes this thread also writes maps between its quiet points, as a BPF program does. It never waits for readers then,
   *               of which it is one: what it takes out piles up instead, until the memory is full.
   * @throws MapError EBUSY if 64 readers have joined already
   */
  static join(memory: Memory, { writes = false }: { writes?: boolean } = {}): Reader {
    const words = memory.i32;
    for (let slot = 0; slot < READERS.count; slot++) {
      if (Atomics.compareExchange(words, slotIndex(slot), FREE, PAUSED) !== FREE) continue;
      if (writes) memory.waits = false;
      return new Reader(words, slot);
    }
    throw new MapError('EBUSY', 'too many readers', { limit: READERS.count });
  }

  /** Forget a reader whose thread has ended without `leave`; else writers would wait for it. */
  static expel(memory: Memory, slot: number): void {
    Atomics.store(memory.i32, slotIndex(slot), FREE);
  }

  /** "I hold no address now": call between packets. Also ends a pause. Allocates nothing. */
  quiet(): void {
    const epoch = Atomics.load(this.words, READERS.epoch >> 2);
    if (epoch === this.seen) return;
    this.seen = epoch;
    Atomics.store(this.words, this.at, epoch);
  }

  /** As `quiet`, and it stays so until the next `quiet`: call before waiting for work. */
  pause(): void {
    this.seen = PAUSED;
    Atomics.store(this.words, this.at, PAUSED);
  }

  leave(): void {
    this.seen = PAUSED;
    Atomics.store(this.words, this.at, FREE);
  }
}

/** @returns the epoch that every reader must reach before what was unlinked up to now is free */
export function nextEpoch(words: Int32Array): number {
  const epoch = (Atomics.add(words, READERS.epoch >> 2, 1) + 1) | 0;
  // FREE and PAUSED are no epochs; met once in 2^32 questions.
  return epoch === FREE || epoch === PAUSED ? nextEpoch(words) : epoch;
}

/** Whether no reader is behind `epoch`. */
export function allReached(words: Int32Array, epoch: number): boolean {
  for (let slot = 0; slot < READERS.count; slot++) if (isBehind(words, slot, epoch)) return false;
  return true;
}

export function waitForReaders(words: Int32Array, timeoutMs: number): boolean {
  const epoch = nextEpoch(words);
  let waits = 0;
  for (let slot = 0; slot < READERS.count; slot++) {
    while (isBehind(words, slot, epoch)) {
      if (waits++ >= timeoutMs) return false;
      // Readers do not notify (that would cost them); the wait only gives the processor away for 1 ms.
      Atomics.wait(words, slotIndex(slot), Atomics.load(words, slotIndex(slot)), 1);
    }
  }
  return true;
}

function isBehind(words: Int32Array, slot: number, epoch: number): boolean {
  const seen = Atomics.load(words, slotIndex(slot));
  return seen !== FREE && seen !== PAUSED && ((seen - epoch) | 0) < 0;
}
