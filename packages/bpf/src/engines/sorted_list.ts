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

/** Entries sorted by identity, then the longest prefix first: half the list away at each step, then down the row. */
class SortedListEngine implements PolicyEngine {
  probes = 0;
  private readonly memory: Memory;
  private readonly maxEntries: number;
  /** Index of the first word. */
  private readonly start: number;
  private count = 0;

  constructor(memory: Memory, entries: Iterable<EngineEntry>, maxEntries: number) {
    this.memory = memory;
    this.maxEntries = maxEntries;
    this.start = memory.alloc(this.bytesUsed) >> 2;
    for (const entry of entries) this.update(entry);
  }

  get bytesUsed(): number {
    return this.maxEntries * ITEM.words * 4;
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
      this.memory.i32.copyWithin(at + ITEM.words, at, this.start + this.count++ * ITEM.words);
    }
    this.memory.i32.set([entry.identity, wordOf(entry), maskOf(prefixBits(entry)), said, rank], at);
  }

  delete(key: EngineKey): void {
    checkKey(key);
    const { at, isThere } = this.placeOf(key);
    if (!isThere) throw new MapError('ENOENT', 'sorted list: delete', { identity: key.identity });
    this.memory.i32.copyWithin(at, at + ITEM.words, this.start + this.count-- * ITEM.words);
  }

  destroy(): void {
    this.memory.free(this.start << 2, this.bytesUsed);
  }

  /** @returns index of the first item of this identity that matches the word, or NULL */
  private search(identity: number, word: number): number {
    const words = this.memory.i32;
    const end = this.start + this.count * ITEM.words;
    for (let at = this.firstOf(identity); at < end && words[at] === identity; at += ITEM.words) {
      this.probes++;
      if ((word & words[at + ITEM.mask]!) === words[at + ITEM.word]) return at;
    }
    return NULL;
  }

  /** @returns index of the first item whose identity is not less */
  private firstOf(identity: number): number {
    const words = this.memory.i32;
    let low = 0;
    let high = this.count;
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
    const end = this.start + this.count * ITEM.words;
    let at = this.firstOf(identity);
    // As unsigned numbers, longer prefixes have greater masks.
    for (; at < end && words[at] === identity && words[at + ITEM.mask]! >>> 0 >= mask >>> 0; at += ITEM.words)
      if (words[at + ITEM.mask] === mask && words[at + ITEM.word] === word) return { at, isThere: true };
    return { at, isThere: false };
  }
}

export const sortedList: EngineDefinition = {
  name: 'sorted-list',
  profile: '1.18',
  about: 'entries sorted by identity, found by halving; then its prefixes one by one, the longest first',
  readOnly: false,
  memoises: false,
  create: (memory, entries, maxEntries) => new SortedListEngine(memory, entries, maxEntries),
};
