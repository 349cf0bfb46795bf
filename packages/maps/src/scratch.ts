import { round8 } from './bytes.ts';
import { MapError } from './errors.ts';
import type { Address, Memory } from './memory.ts';

/** Bytes that processors move together: a line of 64, and the neighbour that is fetched with it. */
const CACHE_LINES = 128;

/**
 * A caller's own small piece of the memory, for keys and values to pass to maps: what the stack is to a BPF program.
 * Pieces are taken once, at start, and used again for each packet.
 */
export class Scratch {
  private next: Address;
  private readonly end: Address;
  private readonly memory: Memory;
  private readonly block: Address;
  private readonly blockBytes: number;

  private constructor(memory: Memory, sizeBytes: number) {
    this.memory = memory;
    // Every lookup writes its key here: with two workers' pieces in one cache line, each would take it from the other.
    this.blockBytes = sizeBytes + 2 * CACHE_LINES;
    this.block = memory.alloc(this.blockBytes);
    this.next = Math.ceil(this.block / CACHE_LINES) * CACHE_LINES;
    this.end = this.next + sizeBytes;
  }

  /** @throws MapError ENOMEM, EINVAL */
  static create(memory: Memory, sizeBytes: number): Scratch {
    return new Scratch(memory, sizeBytes);
  }

  /** @returns address of `bytes` zero bytes, on a multiple of 8. @throws MapError ENOMEM if not so many are left */
  take(bytes: number): Address {
    const at = this.next;
    if (at + bytes > this.end) {
      throw new MapError('ENOMEM', 'scratch is used up', { asked: bytes, left: Math.max(0, this.end - at) });
    }
    this.next = at + round8(bytes);
    return at;
  }

  /** Gives everything that was taken back to the memory. */
  destroy(): void {
    this.memory.free(this.block, this.blockBytes);
  }
}

/** Bytes that hold any key and any value of the typed maps. */
const KEY_BYTES = 64;
const VALUE_BYTES = 64;
const ofThread = new WeakMap<Memory, { key: Address; value: Address }>();

/**
 * Key and value for one call of a control-plane class. A `Memory` object belongs to one thread and those calls do not
 * wait, so each thread needs one pair only.
 */
export function controlScratch(memory: Memory): { key: Address; value: Address } {
  let scratch = ofThread.get(memory);
  if (scratch === undefined) {
    const area = Scratch.create(memory, KEY_BYTES + VALUE_BYTES);
    scratch = { key: area.take(KEY_BYTES), value: area.take(VALUE_BYTES) };
    ofThread.set(memory, scratch);
  }
  memory.u8.fill(0, scratch.key, scratch.key + KEY_BYTES);
  memory.u8.fill(0, scratch.value, scratch.value + VALUE_BYTES);
  return scratch;
}
