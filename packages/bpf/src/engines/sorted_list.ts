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

/** Words of an item: identity; protocol, port and direction; which bits of that count; and what the entry says. */
const ITEM = { words: 5, identity: 0, word: 1, mask: 2, said: 3, rank: 4 } as const;
/** Words in front of the items: how many there may be, and how many there are. */
const HEADER = { words: 2, maxEntries: 0, count: 1 } as const;

/** Entries sorted by identity, then the longest prefix first: half the list away at each step, then down the row. */
class SortedListEngine implements PolicyEngine {
  probes = 0;
  readonly address: Address;
  private readonly memory: Memory;
  /** Index of the header's first word, and of the first item's. */
  private readonly header: number;
  private readonly start: number;

  /** @param address of a list; all of it lies there, so any thread can make an engine of it */
  constructor(memory: Memory, address: Address) {
    this.memory = memory;
    this.address = address;
    this.header = address >> 2;
    this.start = this.header + HEADER.words;
  }

  static create(memory: Memory, entries: Iterable<EngineEntry>, maxEntries: number): SortedListEngine {
    const address = memory.alloc(bytesOf(maxEntries));
    memory.i32[(address >> 2) + HEADER.maxEntries] = maxEntries;
    const engine = new SortedListEngine(memory, address);
    // In their order each one goes to the end; in any other order the list would be moved for each.
    for (const entry of [...entries].sort(byPlace)) engine.update(entry);
    return engine;
  }

  get bytesUsed(): number {
    return bytesOf(this.maxEntries);
  }

  lookup(question: Address, answer: Address): number {
    const words = this.memory.i32;
    const word = words[(question + QUESTION.dport) >> 2]!;
    this.probes = 0;
    const l3 = this.search(words[(question + QUESTION.identity) >> 2]!, word);
    const l4 = this.search(0, word);
    return answerFrom(
      this.memory,
      answer,
      words[(question + QUESTION.flags) >> 2]!,
      l3 === NULL ? 0 : words[l3 + ITEM.said]!,
      l3 === NULL ? 0 : words[l3 + ITEM.rank]!,
      l4 === NULL ? 0 : words[l4 + ITEM.said]!,
      l4 === NULL ? 0 : words[l4 + ITEM.rank]!,
    );
  }

  lookupBatch(questions: Address, answers: Address, count: number): void {
    for (let i = 0; i < count; i++) this.lookup(questions + i * QUESTION.size, answers + i * ANSWER.size);
  }

  update(entry: EngineEntry): void {
    checkKey(entry);
    const { said, rank } = recordOf(entry);
    const { at, isThere } = this.placeOf(entry);
    if (!isThere) {
      const { maxEntries } = this;
      if (this.count === maxEntries) throw new MapError('ENOSPC', 'sorted list: update', { maxEntries });
      this.memory.i32.copyWithin(at + ITEM.words, at, this.end);
      this.memory.i32[this.header + HEADER.count]!++;
    }
    this.memory.i32.set([entry.identity, wordOf(entry), maskOf(prefixBits(entry)), said, rank], at);
  }

  delete(key: EngineKey): void {
    checkKey(key);
    const { at, isThere } = this.placeOf(key);
    if (!isThere) throw new MapError('ENOENT', 'sorted list: delete', { identity: key.identity });
    this.memory.i32.copyWithin(at, at + ITEM.words, this.end);
    this.memory.i32[this.header + HEADER.count]!--;
  }

  destroy(): void {
    this.memory.free(this.address, this.bytesUsed);
  }

  private get maxEntries(): number {
    return this.memory.i32[this.header + HEADER.maxEntries]!;
  }
  private get count(): number {
    return this.memory.i32[this.header + HEADER.count]!;
  }
  /** Index behind the last item. */
  private get end(): number {
    return this.start + this.count * ITEM.words;
  }

  /** @returns index of the first item of this identity that matches the word, or NULL */
  private search(identity: number, word: number): number {
    const words = this.memory.i32;
    const count = words[this.header + HEADER.count]!;
    const end = this.start + count * ITEM.words;
    for (let at = this.firstOf(identity, count); at < end && words[at] === identity; at += ITEM.words) {
      this.probes++;
      if ((word & words[at + ITEM.mask]!) === words[at + ITEM.word]) return at;
    }
    return NULL;
  }

  /** @returns index of the first item whose identity is not less */
  private firstOf(identity: number, count: number): number {
    const words = this.memory.i32;
    let low = 0;
    let high = count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (words[this.start + middle * ITEM.words]! < identity) low = middle + 1;
      else high = middle;
    }
    return this.start + low * ITEM.words;
  }

  /** Where the key's item is, or has to be. */
  private placeOf(key: EngineKey): { at: number; isThere: boolean } {
    const words = this.memory.i32;
    const [identity, word, mask] = [key.identity | 0, wordOf(key), maskOf(prefixBits(key))];
    const { end } = this;
    let at = this.firstOf(identity, this.count);
    // As unsigned numbers, longer prefixes have greater masks.
    for (; at < end && words[at] === identity && words[at + ITEM.mask]! >>> 0 >= mask >>> 0; at += ITEM.words)
      if (words[at + ITEM.mask] === mask && words[at + ITEM.word] === word) return { at, isThere: true };
    return { at, isThere: false };
  }
}

const bytesOf = (maxEntries: number): number => (HEADER.words + maxEntries * ITEM.words) * 4;

const byPlace = (a: EngineEntry, b: EngineEntry): number =>
  (a.identity | 0) - (b.identity | 0) || prefixBits(b) - prefixBits(a);

export const sortedList: EngineDefinition = {
  name: 'sorted-list',
  profile: '1.18',
  about: 'entries sorted by identity, found by halving; then its prefixes one by one, the longest first',
  readOnly: false,
  memoises: false,
  create: SortedListEngine.create,
  attach: (memory, address) => new SortedListEngine(memory, address),
};
