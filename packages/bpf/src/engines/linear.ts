import { type Address, MapError, type Memory } from '@ciliate/maps';
import {
  ANSWER,
  type EngineDefinition,
  type EngineEntry,
  type EngineKey,
  type PolicyEngine,
  QUESTION,
} from './engine.ts';
import { checkKey, keyText, prefixBits } from './entry_key.ts';
import { answerFrom, maskOf, recordOf, wordOf } from './record.ts';

/** An entry: identity, protocol-port-direction word, the bits of it that count, and the record. u32 each. */
const RULE = { size: 20, identity: 0, word: 4, mask: 8, said: 12, rank: 16 } as const;

/** A list that every lookup reads from end to end, as iptables evaluates; but the best match wins, not the first. */
class LinearEngine implements PolicyEngine {
  private readonly memory: Memory;
  private readonly maxEntries: number;
  private readonly start: Address;
  private count = 0;

  constructor(memory: Memory, entries: Iterable<EngineEntry>, maxEntries: number) {
    this.memory = memory;
    this.maxEntries = maxEntries;
    this.start = memory.alloc(maxEntries * RULE.size);
    // Of equal keys the last one counts. Asking `find` for each would read the list again and again.
    const byKey = new Map<string, EngineEntry>();
    for (const entry of entries) {
      checkKey(entry);
      byKey.set(keyText(entry), entry);
    }
    for (const entry of byKey.values()) this.write(this.next(), entry);
  }

  get bytesUsed(): number {
    return this.maxEntries * RULE.size;
  }
  get probes(): number {
    return this.count;
  }

  lookup(question: Address, answer: Address): number {
    const m = this.memory;
    const words = m.i32;
    const identity = words[question >> 2]!;
    const word = words[(question >> 2) + 1]!;
    let l3Said = 0;
    let l3Rank = 0;
    let l3Mask = 0;
    let l4Said = 0;
    let l4Rank = 0;
    let l4Mask = 0;
    let at = this.start >> 2;
    const end = at + this.count * (RULE.size >> 2);
    for (; at < end; at += RULE.size >> 2) {
      const mask = words[at + 2]!;
      if ((word & mask) !== words[at + 1]) continue;
      const of = words[at]!;
      // As unsigned numbers, a longer prefix has the greater mask.
      if (of === identity && mask >>> 0 > l3Mask) {
        l3Said = words[at + 3]!;
        l3Rank = words[at + 4]!;
        l3Mask = mask >>> 0;
      }
      if (of === 0 && mask >>> 0 > l4Mask) {
        l4Said = words[at + 3]!;
        l4Rank = words[at + 4]!;
        l4Mask = mask >>> 0;
      }
    }
    return answerFrom(m, answer, words[(question + QUESTION.flags) >> 2]!, l3Said, l3Rank, l4Said, l4Rank);
  }

  lookupBatch(questions: Address, answers: Address, count: number): void {
    for (let i = 0; i < count; i++) this.lookup(questions + i * QUESTION.size, answers + i * ANSWER.size);
  }

  update(entry: EngineEntry): void {
    checkKey(entry);
    this.write(this.find(entry) ?? this.next(), entry);
  }

  delete(key: EngineKey): void {
    checkKey(key);
    const at = this.find(key);
    if (at === undefined) throw new MapError('ENOENT', 'linear: delete', { identity: key.identity });
    const last = this.start + --this.count * RULE.size;
    this.memory.u8.copyWithin(at, last, last + RULE.size);
  }

  destroy(): void {
    this.memory.free(this.start, this.maxEntries * RULE.size);
  }

  /** @returns place of one more entry. @throws MapError ENOSPC */
  private next(): Address {
    const { maxEntries } = this;
    if (this.count === maxEntries) throw new MapError('ENOSPC', 'linear: update', { maxEntries });
    return this.start + this.count++ * RULE.size;
  }

  private write(at: Address, entry: EngineEntry): void {
    const { said, rank } = recordOf(entry);
    this.memory.u32.set([entry.identity, wordOf(entry), maskOf(prefixBits(entry)), said, rank], at >> 2);
  }

  private find(key: EngineKey): Address | undefined {
    const words = this.memory.i32;
    const [identity, word, mask] = [key.identity | 0, wordOf(key), maskOf(prefixBits(key))];
    for (let i = 0, at = this.start; i < this.count; i++, at += RULE.size)
      if (words[at >> 2] === identity && words[(at >> 2) + 1] === word && words[(at >> 2) + 2] === mask) return at;
    return undefined;
  }
}

export const linear: EngineDefinition = {
  name: 'linear',
  profile: '1.18',
  about: 'one list read from end to end, as a chain of iptables is; the best match wins',
  readOnly: false,
  memoises: false,
  create: (memory, entries, maxEntries) => new LinearEngine(memory, entries, maxEntries),
};
