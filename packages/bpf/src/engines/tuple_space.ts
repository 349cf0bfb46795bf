import { type Address, MapError, type Memory, type WasmMemory } from '@ciliate/maps';
import type { EngineDefinition, EngineEntry, EngineKey, PolicyEngine, PolicyReader } from './engine.ts';
import { checkKey, prefixBits } from './entry_key.ts';
import { maskOf, recordOf, wordOf } from './record.ts';
import { hash, SLOT, SPACE, SPACE_BYTES, type TupleSpaceCode, tupleSpaceCode } from './tuple_space_code.ts';

const FIRST_CAPACITY = 16;

/** The entries whose keys name the same bits, in an open-addressed table that is at most half full. */
interface Tuple {
  bits: number;
  mask: number;
  start: Address;
  /** A power of two. */
  capacity: number;
  count: number;
}

/**
 * Tuple-space search: one hash table for each (identity or any, prefix bits) that occurs, asked from the longest
 * prefix to the shortest, by WebAssembly. TypeScript writes the tables and, for the search, where they are.
 */
class TupleSpaceReader implements PolicyReader {
  readonly address: Address;
  protected readonly code: TupleSpaceCode;

  constructor(wasm: WasmMemory, address: Address) {
    this.code = tupleSpaceCode(wasm);
    this.address = address;
  }

  lookup(question: Address, answer: Address): number {
    return this.code.lookup(this.address, question, answer);
  }

  lookupBatch(questions: Address, answers: Address, count: number): void {
    if (count > 0) this.code.lookupBatch(this.address, questions, answers, count);
  }
}

class TupleSpaceEngine extends TupleSpaceReader implements PolicyEngine {
  private readonly memory: Memory;
  private readonly maxEntries: number;
  private count = 0;
  /** Longest prefix first. */
  private ofIdentity: Tuple[] = [];
  private ofAny: Tuple[] = [];

  constructor(memory: Memory, entries: Iterable<EngineEntry>, maxEntries: number) {
    const { wasm } = memory; // throws before anything is allocated
    super(wasm, memory.alloc(SPACE_BYTES));
    this.memory = memory;
    this.maxEntries = maxEntries;
    for (const entry of entries) this.update(entry);
  }

  get bytesUsed(): number {
    return this.tuples().reduce((sum, { capacity }) => sum + capacity * SLOT.size, SPACE_BYTES);
  }
  get probes(): number {
    return this.code.counter.value;
  }

  /** A table that gets too full is copied into one of twice the size. */
  update(entry: EngineEntry): void {
    checkKey(entry);
    const tuple = this.tupleOf(entry);
    const { maxEntries } = this;
    let slot = this.slotOf(tuple, entry.identity | 0, wordOf(entry));
    if (this.memory.i32[(slot + SLOT.rank) >> 2] === 0) {
      if (this.count === maxEntries) throw new MapError('ENOSPC', 'tuple space: update', { maxEntries });
      if (2 * (tuple.count + 1) > tuple.capacity) this.grow(tuple);
      slot = this.slotOf(tuple, entry.identity | 0, wordOf(entry));
      tuple.count++;
      this.count++;
    }
    const { said, rank } = recordOf(entry);
    this.memory.u32.set([entry.identity, wordOf(entry), said, rank], slot >> 2);
  }

  delete(key: EngineKey): void {
    checkKey(key);
    const tuple = this.tupleOf(key);
    const words = this.memory.i32;
    let hole = this.slotOf(tuple, key.identity | 0, wordOf(key));
    if (words[(hole + SLOT.rank) >> 2] === 0) {
      if (tuple.count === 0) this.drop(tuple);
      throw new MapError('ENOENT', 'tuple space: delete', { identity: key.identity });
    }
    this.count--;
    if (--tuple.count === 0) {
      this.drop(tuple);
      return;
    }
    // What follows without a gap moves up, unless it would come to lie before its own place.
    const indexOf = (slot: Address): number => (slot - tuple.start) / SLOT.size;
    for (let slot = this.next(tuple, hole); words[(slot + SLOT.rank) >> 2] !== 0; slot = this.next(tuple, slot)) {
      const home = hash(words[slot >> 2]!, words[(slot >> 2) + 1]!) & (tuple.capacity - 1);
      const isBetween = (indexOf(slot) - home) & (tuple.capacity - 1);
      if (isBetween < ((indexOf(slot) - indexOf(hole)) & (tuple.capacity - 1))) continue;
      this.memory.u8.copyWithin(hole, slot, slot + SLOT.size);
      hole = slot;
    }
    words[(hole + SLOT.rank) >> 2] = 0;
  }

  destroy(): void {
    for (const tuple of this.tuples()) this.memory.free(tuple.start, tuple.capacity * SLOT.size);
    this.memory.free(this.address, SPACE_BYTES);
    this.ofIdentity = [];
    this.ofAny = [];
  }

  /** After each change of a table's place: what the search reads. */
  private describe(): void {
    const describe = (list: Address, tuples: readonly Tuple[]): void => {
      const words = [...tuples.flatMap(({ mask, start, capacity }) => [mask, start, capacity - 1, 0]), 0, 0, 0, 0];
      this.memory.i32.set(words, list >> 2);
    };
    describe(this.address + SPACE.ofIdentity, this.ofIdentity);
    describe(this.address + SPACE.ofAny, this.ofAny);
  }

  private tuples(): Tuple[] {
    return [...this.ofIdentity, ...this.ofAny];
  }

  /** The key's tuple; a new one if there is none. */
  private tupleOf(key: EngineKey): Tuple {
    const tuples = key.identity === 0 ? this.ofAny : this.ofIdentity;
    const bits = prefixBits(key);
    const found = tuples.find((tuple) => tuple.bits === bits);
    if (found !== undefined) return found;
    const start = this.memory.alloc(FIRST_CAPACITY * SLOT.size);
    const tuple = { bits, mask: maskOf(bits), start, capacity: FIRST_CAPACITY, count: 0 };
    tuples.push(tuple);
    tuples.sort((a, b) => b.bits - a.bits);
    this.describe();
    return tuple;
  }

  private drop(tuple: Tuple): void {
    this.memory.free(tuple.start, tuple.capacity * SLOT.size);
    this.ofIdentity = this.ofIdentity.filter((other) => other !== tuple);
    this.ofAny = this.ofAny.filter((other) => other !== tuple);
    this.describe();
  }

  /** The slot that holds this key, or the free one where it would be. */
  private slotOf(tuple: Tuple, identity: number, word: number): Address {
    const words = this.memory.i32;
    let slot = tuple.start + (hash(identity, word) & (tuple.capacity - 1)) * SLOT.size;
    while (words[(slot + SLOT.rank) >> 2] !== 0) {
      if (words[slot >> 2] === identity && words[(slot >> 2) + 1] === word) break;
      slot = this.next(tuple, slot);
    }
    return slot;
  }

  private next(tuple: Tuple, slot: Address): Address {
    const next = slot + SLOT.size;
    return next === tuple.start + tuple.capacity * SLOT.size ? tuple.start : next;
  }

  private grow(tuple: Tuple): void {
    const old = { ...tuple };
    tuple.start = this.memory.alloc(2 * old.capacity * SLOT.size);
    tuple.capacity = 2 * old.capacity;
    const words = this.memory.i32;
    for (let slot = old.start; slot < old.start + old.capacity * SLOT.size; slot += SLOT.size) {
      if (words[(slot + SLOT.rank) >> 2] === 0) continue;
      const to = this.slotOf(tuple, words[slot >> 2]!, words[(slot >> 2) + 1]!);
      this.memory.u8.copyWithin(to, slot, slot + SLOT.size);
    }
    this.memory.free(old.start, old.capacity * SLOT.size);
    this.describe();
  }
}

export const tupleSpace: EngineDefinition = {
  name: 'tuple-space',
  profile: '1.18',
  about: 'a hash table for each pair of (identity or any, prefix length) that occurs, the longest prefix first',
  readOnly: false,
  memoises: false,
  create: (memory, entries, maxEntries) => new TupleSpaceEngine(memory, entries, maxEntries),
  attach: (memory, address) => new TupleSpaceReader(memory.wasm, address),
};
