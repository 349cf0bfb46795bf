import type { Address, LpmTrie, Memory } from '@ciliate/maps';
import type { EngineDefinition, EngineEntry } from './engine.ts';
import { createTables, freeTables, type LpmTrieCode, lpmTrieCode, TABLES_BYTES, walksMade } from './lpm_trie_code.ts';
import { MapEngine } from './map_engine.ts';
import { profile118 } from './profiles/priority.ts';

/**
 * The policy map of 1.18 as the datapath has it: the kernel's trie, walked as the kernel walks it, twice a verdict. The
 * map is written by TypeScript (`LpmTrie`) and read by WebAssembly on the same memory.
 */
class LpmTrieEngine extends MapEngine {
  private readonly code: LpmTrieCode;
  private readonly tables: Address;

  constructor(memory: Memory, entries: Iterable<EngineEntry>, maxEntries: number) {
    const { wasm } = memory; // throws before anything is allocated
    super(memory, profile118, entries, maxEntries);
    this.code = lpmTrieCode(wasm, this.map as LpmTrie);
    this.tables = createTables(memory);
  }

  override get bytesUsed(): number {
    return super.bytesUsed + TABLES_BYTES;
  }

  /** A deny for the identity needs no second lookup. */
  override get probes(): number {
    return walksMade(this.memory, this.tables);
  }

  override lookup(question: Address, answer: Address): number {
    return this.code.lookup(this.tables, question, answer);
  }

  override lookupBatch(questions: Address, answers: Address, count: number): void {
    if (count > 0) this.code.lookupBatch(this.tables, questions, answers, count);
  }

  override destroy(): void {
    freeTables(this.memory, this.tables);
    super.destroy();
  }
}

export const lpmTrie: EngineDefinition = {
  name: 'lpm-trie',
  profile: profile118.name,
  about: "the datapath's map: the kernel's LPM trie, one walk for the identity, one for any, in WebAssembly",
  readOnly: false,
  memoises: false,
  create: (memory, entries, maxEntries) => new LpmTrieEngine(memory, entries, maxEntries),
};
