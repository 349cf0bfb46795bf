import { type EngineEntry, FRAGMENT, QUESTION, writeAnswer } from '@ciliate/bpf';
import type { Address, Memory } from '@ciliate/maps';
import type { Asked } from './loop.ts';
import { prefixBitsOf } from './reference.ts';

/** What most would write: a Map with string keys, asked once for each prefix length that occurs. The rule of 1.18. */
export class JsMap implements Asked {
  private readonly memory: Memory;
  private readonly map = new Map<string, EngineEntry>();
  private readonly lengths: number[];

  constructor(memory: Memory, entries: readonly EngineEntry[]) {
    this.memory = memory;
    this.lengths = [...new Set(entries.map(prefixBitsOf))].sort((a, b) => b - a);
    for (const entry of entries) this.update(entry);
  }

  update(entry: EngineEntry): void {
    const { egress, identity, protocol, dport } = entry;
    this.map.set(keyOf(prefixBitsOf(entry), egress, identity, protocol, dport), entry);
  }

  delete(entry: EngineEntry): void {
    const { egress, identity, protocol, dport } = entry;
    this.map.delete(keyOf(prefixBitsOf(entry), egress, identity, protocol, dport));
  }

  lookup(question: Address, answer: Address): number {
    const m = this.memory;
    const word = m.u32[(question + QUESTION.dport) >> 2]!;
    const identity = m.u32[question >> 2]!;
    const [egress, protocol, dport] = [word >>> 24 === 1, (word >>> 16) & 0xff, word & 0xffff];
    const own = this.find(egress, identity, protocol, dport);
    if (own?.deny) return this.choose(answer, own, undefined, true);
    const any = this.find(egress, 0, protocol, dport);
    if (any !== undefined && (own === undefined || prefers(any, own))) return this.choose(answer, any, own, false);
    if (own !== undefined) return this.choose(answer, own, any, true);
    const isFragment = (m.u32[(question + QUESTION.flags) >> 2]! & FRAGMENT) !== 0;
    return writeAnswer(m, answer, isFragment ? -157 : -133, 0, 0, 0);
  }

  lookupBatch(questions: Address, answers: Address, count: number): void {
    for (let n = 0; n < count; n++) this.lookup(questions + n * QUESTION.size, answers + n * 8);
  }

  private find(egress: boolean, identity: number, protocol: number, dport: number): EngineEntry | undefined {
    for (const bits of this.lengths) {
      const entry = this.map.get(keyOf(bits, egress, identity, protocol, dport));
      if (entry !== undefined) return entry;
    }
    return undefined;
  }

  private choose(answer: Address, chosen: EngineEntry, other: EngineEntry | undefined, namesIdentity: boolean): number {
    const bits = prefixBitsOf(chosen);
    const matchType = bits > 8 ? (namesIdentity ? 2 : 3) : bits > 0 ? (namesIdentity ? 5 : 6) : namesIdentity ? 1 : 4;
    if (chosen.deny) return writeAnswer(this.memory, answer, -181, 0, matchType, 0);
    const inherited = chosen.hasExplicitAuth || other === undefined ? 0 : other.authType;
    const auth = Math.max(chosen.authType, inherited);
    return writeAnswer(this.memory, answer, auth === 0 ? 0 : -189, chosen.proxyPort, matchType, auth);
  }
}

function prefers(any: EngineEntry, own: EngineEntry): boolean {
  if (any.deny) return true;
  if (any.proxyPortPriority !== own.proxyPortPriority) return any.proxyPortPriority > own.proxyPortPriority;
  return prefixBitsOf(any) > prefixBitsOf(own);
}

function keyOf(bits: number, egress: boolean, identity: number, protocol: number, dport: number): string {
  const direction = egress ? 'e' : 'i';
  if (bits === 0) return `${direction}/${identity}`;
  if (bits === 8) return `${direction}/${identity}/${protocol}`;
  return `${direction}/${identity}/${protocol}/${dport & (0xffff << (24 - bits))}/${bits - 8}`;
}
