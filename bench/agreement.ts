import type { EngineEntry } from '@ciliate/bpf';
import type { Address, Memory } from '@ciliate/maps';
import { checksum } from './checksum.ts';
import { prefixBitsOf, Reference } from './reference.ts';
import type { Subject } from './subject.ts';
import { BLOCK, MAX_QUESTIONS } from './types.ts';

/** Profiles whose function answers as that of 1.18. */
const AS_118 = new Set(['1.17', '1.18', '1.18-dev', '1.18-cookie']);
const FULL_PREFIX_BITS = 24;

export interface Agreement {
  /** How many questions were answered for it, from the first on. */
  checked: number;
  checksum: number;
  /** null = nothing here answers by the same rule; the engine's own tests hold it to its release. */
  agrees: boolean | null;
}

/** Checks answers of all subjects against the reference, as many as `budgetMs` allows each of them. */
export class Agreements {
  private readonly memory: Memory;
  private readonly questions: Address;
  private readonly reference: Reference;
  private readonly exactReference: Reference;
  private readonly expected: Address;
  private readonly sums = new Map<string, number>();
  private readonly answered = { full: 0, exact: 0 };
  private readonly first = new Map<string, number>();

  constructor(memory: Memory, questions: Address, entries: readonly EngineEntry[], reference: Reference) {
    this.memory = memory;
    this.questions = questions;
    this.reference = reference;
    this.exactReference = new Reference(entries.filter((entry) => prefixBitsOf(entry) === FULL_PREFIX_BITS));
    this.expected = memory.alloc(2 * MAX_QUESTIONS * 8);
  }

  /** Also warms the subject up. */
  async check(subject: Subject, budgetMs: number): Promise<Agreement> {
    if (subject.harness === '') return { checked: 0, checksum: 0, agrees: null };
    await subject.time(0, 1);
    const [ns = 0] = await subject.time(0, 1);
    const affordable = 2 ** Math.floor(Math.log2((budgetMs * 1e6) / (ns / BLOCK)));
    const checked = Math.min(MAX_QUESTIONS, Math.max(BLOCK, affordable));
    const sum = await subject.check(checked);
    return { checked, checksum: sum, agrees: this.expectedOf(subject, checked, sum) };
  }

  destroy(): void {
    this.memory.free(this.expected, 2 * MAX_QUESTIONS * 8);
  }

  private expectedOf(subject: Subject, checked: number, sum: number): boolean | null {
    // A hash knows exact keys only: entries with a shorter prefix lie in it, but no question finds them.
    if (subject.name === 'kernel-hash') return sum === this.sumOf('exact', checked);
    if (AS_118.has(subject.profile)) return sum === this.sumOf('full', checked);
    const key = `${subject.profile}/${checked}`;
    const other = this.first.get(key);
    if (other === undefined) this.first.set(key, sum);
    return other === undefined ? null : other === sum;
  }

  private sumOf(kind: 'full' | 'exact', count: number): number {
    const at = this.expected + (kind === 'exact' ? MAX_QUESTIONS * 8 : 0);
    const reference = kind === 'exact' ? this.exactReference : this.reference;
    for (; this.answered[kind] < count; this.answered[kind]++)
      reference.answer(this.memory, this.questions + this.answered[kind] * 16, at + this.answered[kind] * 8);
    const key = `${kind}/${count}`;
    const sum = this.sums.get(key) ?? checksum(this.memory, at, count);
    this.sums.set(key, sum);
    return sum;
  }
}
