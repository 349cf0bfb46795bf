import { type Address, MapError, type Memory, NULL } from '@ciliate/maps';
import {
  ANSWER,
  type EngineDefinition,
  type EngineEntry,
  type EngineKey,
  type PolicyEngine,
  QUESTION,
} from './engine.ts';
import { checkKey, prefixBits } from './entry_key.ts';
import { answerFrom, maskOf, recordOf, wordOf } from './record.ts';

/** A slot of a tuple's table: identity, masked word, and the record, u32 each; rank 0 = free. */
const SLOT = { size: 16, identity: 0, word: 4, said: 8, rank: 12 } as const;
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
 * prefix to the shortest. One thread reads and writes.
 */
class TupleSpaceEngine implements PolicyEngine {
  probes = 0;
  private readonly memory: Memory;
  private readonly maxEntries: number;
  /** Longest prefix first. */
  private ofIdentity: Tuple[] = [];
  private ofAny: Tuple[] = [];
  private identityTables: Int32Array = new Int32Array(0);
  private anyTables: Int32Array = new Int32Array(0);

  constructor(memory: Memory, entries: Iterable<EngineEntry>, maxEntries: number) {
    this.memory = memory;
    this.maxEntries = maxEntries;
    for (const entry of entries) this.update(entry);
  }

  get bytesUsed(): number {
    return this.tuples().reduce((sum, { capacity }) => sum + capacity * SLOT.size, 0);
  }

  lookup(question: Address, answer: Address): number {
    const words = this.memory.i32;
    const identity = words[question >> 2]!;
    const word = words[(question >> 2) + 1]!;
    this.probes = 0;
    const l4 = this.search(this.anyTables, 0, word);
    const l3 = identity === 0 ? l4 : this.search(this.identityTables, identity, word);
    const l3At = l3 >> 2;
    const l4At = l4 >> 2;
    return answerFrom(
      this.memory,
      answer,
      words[(question + QUESTION.flags) >> 2]!,
      l3 === NULL ? 0 : words[l3At + 2]!,
      l3 === NULL ? 0 : words[l3At + 3]!,
      l4 === NULL ? 0 : words[l4At + 2]!,
      l4 === NULL ? 0 : words[l4At + 3]!,
    );
  }

  lookupBatch(questions: Address, answers: Address, count: number): void {
    for (let i = 0; i < count; i++) this.lookup(questions + i * QUESTION.size, answers + i * ANSWER.size);
  }

  /** A table that gets too full is copied into one of twice the size. */
  update(entry: EngineEntry): void {
    checkKey(entry);
    const tuple = this.tupleOf(entry);
    const { maxEntries } = this;
    let slot = this.slotOf(tuple, entry.identity | 0, wordOf(entry));
    if (this.memory.i32[(slot + SLOT.rank) >> 2] === 0) {
      if (this.tuples().reduce((sum, { count }) => sum + count, 0) === maxEntries)
        throw new MapError('ENOSPC', 'tuple space: update', { maxEntries });
      if (2 * (tuple.count + 1) > tuple.capacity) this.grow(tuple);
      slot = this.slotOf(tuple, entry.identity | 0, wordOf(entry));
      tuple.count++;
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
    this.ofIdentity = [];
    this.ofAny = [];
  }

  /** @param tables three words for each tuple: mask, index of the first word, capacity - 1 */
  private search(tables: Int32Array, identity: number, word: number): Address {
    const words = this.memory.i32;
    let probes = 0;
    let found: Address = NULL;
    for (let i = 0; i < tables.length && found === NULL; i += 3) {
      const masked = word & tables[i]!;
      const start = tables[i + 1]!;
      const last = tables[i + 2]!;
      for (let index = hash(identity, masked) & last; ; index = (index + 1) & last) {
        probes++;
        const at = start + index * (SLOT.size >> 2);
        if (words[at + 1] === masked && words[at] === identity && words[at + 3] !== 0) {
          found = at << 2;
          break;
        }
        if (words[at + 3] === 0) break;
      }
    }
    this.probes += probes;
    return found;
  }

  /** After each change of a table: what `search` reads. */
  private describe(): void {
    const describe = (tuples: readonly Tuple[]): Int32Array =>
      Int32Array.from(tuples.flatMap(({ mask, start, capacity }) => [mask, start >> 2, capacity - 1]));
    this.identityTables = describe(this.ofIdentity);
    this.anyTables = describe(this.ofAny);
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

function hash(identity: number, word: number): number {
  const h = Math.imul(Math.imul(identity, 0x9e37_79b1) ^ word, 0x85eb_ca6b);
  return h ^ (h >>> 15);
}

export const tupleSpace: EngineDefinition = {
  name: 'tuple-space',
  profile: '1.18',
  about: 'a hash table for each pair of (identity or any, prefix length) that occurs, the longest prefix first',
  readOnly: false,
  memoises: false,
  create: (memory, entries, maxEntries) => new TupleSpaceEngine(memory, entries, maxEntries),
};
