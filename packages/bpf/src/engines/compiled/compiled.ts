import { type Address, MapError, type Memory, NULL } from '@ciliate/maps';
import {
  ANSWER,
  type EngineDefinition,
  type EngineEntry,
  type EngineKey,
  type PolicyEngine,
  type PolicyReader,
  QUESTION,
} from '../engine.ts';
import { checkKey, keyText } from '../entry_key.ts';
import { buildForm } from './build.ts';
import { AT_ONCE, type CompiledCode, compiledCode } from './code.ts';
import { ROW } from './layout.ts';

/**
 * A read-only form in the shared memory, searched by WebAssembly: identity -> row by one open-addressed bucket of four,
 * then the row's intervals of (protocol, port) by a search tree of 16 boundaries a node; the same in the row for any
 * identity; then the choice. No step of it depends on what was found before, so that the processor overlaps lookups.
 */
class CompiledReader implements PolicyReader {
  protected header: Address;
  private readonly code: CompiledCode;

  constructor(memory: Memory, header: Address) {
    this.code = compiledCode(memory.wasm);
    this.header = header;
  }

  lookup(question: Address, answer: Address): number {
    return this.code.lookup(this.header, question, answer);
  }

  lookupBatch(questions: Address, answers: Address, count: number): void {
    const grouped = count - (count % AT_ONCE);
    if (grouped > 0) this.code.lookupGroups(this.header, questions, answers, grouped);
    for (let i = grouped; i < count; i++) this.lookup(questions + i * QUESTION.size, answers + i * ANSWER.size);
  }
}

/** Builds the form, and builds it again for each change. */
class CompiledEngine extends CompiledReader implements PolicyEngine {
  private readonly memory: Memory;
  private readonly maxEntries: number;
  private readonly entries = new Map<string, EngineEntry>();
  private form: { at: Address; bytes: number } = { at: NULL, bytes: 0 };

  constructor(memory: Memory, entries: Iterable<EngineEntry>, maxEntries: number) {
    super(memory, NULL);
    this.memory = memory;
    this.maxEntries = maxEntries;
    for (const entry of entries) this.put(entry);
    this.build();
  }

  get address(): Address {
    return this.header;
  }
  get bytesUsed(): number {
    return this.form.bytes;
  }
  get probes(): number {
    return 2;
  }

  update(entry: EngineEntry): void {
    this.put(entry);
    this.build();
  }

  delete(key: EngineKey): void {
    checkKey(key);
    if (!this.entries.delete(keyText(key)))
      throw new MapError('ENOENT', 'compiled: delete', { identity: key.identity });
    this.build();
  }

  destroy(): void {
    this.memory.free(this.form.at, this.form.bytes);
    this.form = { at: NULL, bytes: 0 };
  }

  private put(entry: EngineEntry): void {
    checkKey(entry);
    const key = keyText(entry);
    const { maxEntries } = this;
    if (!this.entries.has(key) && this.entries.size === maxEntries)
      throw new MapError('ENOSPC', 'compiled: update', { maxEntries });
    this.entries.set(key, entry);
  }

  private build(): void {
    const old = this.form;
    this.form = buildForm(this.memory, this.entries.values());
    this.header = Math.ceil(this.form.at / ROW.alignment) * ROW.alignment;
    if (old.bytes > 0) this.memory.free(old.at, old.bytes);
  }
}

export const compiled: EngineDefinition = {
  name: 'compiled',
  profile: '1.18',
  about: 'read-only rows of intervals, found by identity, searched by WebAssembly; an update builds all of it again',
  readOnly: true,
  memoises: false,
  create: (memory, entries, maxEntries) => new CompiledEngine(memory, entries, maxEntries),
  attach: (memory, address) => new CompiledReader(memory, address),
};
