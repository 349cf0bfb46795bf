import type { Address, LpmTrie, Memory } from '@ciliate/maps';
import { POLICY_MATCH_L3_L4, POLICY_MATCH_L3_ONLY, POLICY_MATCH_L3_PROTO } from '../lib/common.ts';
import { DROP_POLICY_DENY } from '../lib/drop_reasons.ts';
import { policyCanAccess } from '../lib/policy.ts';
import { ANSWER, type EngineDefinition, type EngineEntry, FRAGMENT, QUESTION, writeAnswer } from './engine.ts';
import { MapEngine } from './map_engine.ts';
import { profile118 } from './profiles/priority.ts';

/** The policy map of 1.18 as the datapath asks it: the kernel's trie, walked as the kernel walks it, twice a verdict. */
class LpmTrieEngine extends MapEngine {
  private readonly trie: LpmTrie;
  private ret = 0;

  constructor(memory: Memory, entries: Iterable<EngineEntry>, maxEntries: number) {
    super(memory, profile118, entries, maxEntries);
    this.trie = this.map as LpmTrie;
  }

  /** A deny for the identity needs no second lookup. */
  override get probes(): number {
    const { matchType } = this.out;
    const namesIdentity =
      matchType === POLICY_MATCH_L3_ONLY || matchType === POLICY_MATCH_L3_L4 || matchType === POLICY_MATCH_L3_PROTO;
    return this.ret === DROP_POLICY_DENY && namesIdentity ? 1 : 2;
  }

  override lookup(question: Address, answer: Address): number {
    const m = this.memory;
    const out = this.out;
    const word = m.u32[(question + QUESTION.dport) >> 2]!;
    this.ret = policyCanAccess(
      m,
      this.trie,
      this.key,
      m.i32[(question + QUESTION.identity) >> 2]!, // signed, see MapEngine
      (word >>> 24) as 0 | 1,
      (word >>> 16) & 0xff,
      word & 0xffff,
      (m.u32[(question + QUESTION.flags) >> 2]! & FRAGMENT) !== 0,
      out,
    );
    return writeAnswer(m, answer, this.ret, out.proxyPort, out.matchType, out.authType);
  }

  override lookupBatch(questions: Address, answers: Address, count: number): void {
    for (let i = 0; i < count; i++) this.lookup(questions + i * QUESTION.size, answers + i * ANSWER.size);
  }
}

export const lpmTrie: EngineDefinition = {
  name: 'lpm-trie',
  profile: profile118.name,
  about: "the datapath's own: the kernel's LPM trie, one lookup for the identity, one for any",
  readOnly: false,
  memoises: false,
  create: (memory, entries, maxEntries) => new LpmTrieEngine(memory, entries, maxEntries),
};
