import { type EngineEntry, FRAGMENT, QUESTION, writeAnswer } from '@ciliate/bpf';
import type { Address, Memory } from '@ciliate/maps';

/** Bits of protocol and port that an entry names: 0, 8, or 8 and the port's. */
export const prefixBitsOf = ({ protocol, dport, portPrefixLen }: EngineEntry): number =>
  protocol === 0 ? 0 : dport === 0 ? 8 : 8 + portPrefixLen;

/** Egress in the lowest bit, protocol in the highest byte, then the port: a prefix keeps the bits of its mask. */
const restMask = (bits: number): number => (bits === 0 ? 1 : (-1 << (32 - bits)) | 1);

const OK = 0;
const DROP_POLICY = -133;
const DROP_FRAG_NOSUPPORT = -157;
const DROP_POLICY_DENY = -181;
const DROP_POLICY_AUTH_REQUIRED = -189;
const NONE = -1;

/**
 * What the answers must be (rule of 1.18), written once more and for nothing but this: the benchmark makes questions that
 * hit or miss by it, and holds every engine's answers against it. Shares no code with the engines.
 */
export class Reference {
  private readonly entries: readonly EngineEntry[];
  private readonly bits: Uint8Array;
  /** Indices into `entries`, open addressing. */
  private readonly slots: Int32Array;
  private readonly lengths: number[];

  constructor(entries: readonly EngineEntry[]) {
    this.entries = entries;
    this.bits = Uint8Array.from(entries, prefixBitsOf);
    this.lengths = [...new Set(this.bits)].sort((a, b) => b - a);
    this.slots = new Int32Array(2 ** Math.ceil(Math.log2(2 * entries.length + 2))).fill(NONE);
    entries.forEach((entry, n) => {
      const bits = this.bits[n]!;
      this.slots[this.slotOf(entry.identity, restOf(entry) & restMask(bits), bits)] = n;
    });
  }

  /** Is there any entry that holds this question? */
  matches(identity: number, egress: boolean, protocol: number, dport: number): boolean {
    const rest = restOf({ egress, protocol, dport });
    return this.find(identity, rest) !== NONE || this.find(0, rest) !== NONE;
  }

  /** The verdict, written as ANSWER says. */
  answer(m: Memory, question: Address, answer: Address): number {
    const word = m.u32[(question + QUESTION.dport) >> 2]!;
    const rest = restOf({ egress: word >>> 24 === 1, protocol: (word >>> 16) & 0xff, dport: word & 0xffff });
    const own = this.find(m.u32[question >> 2]!, rest);
    if (own !== NONE && this.entries[own]!.deny) return this.choose(m, answer, own, NONE, true);
    const any = this.find(0, rest);
    if (any !== NONE && (own === NONE || this.prefers(any, own))) return this.choose(m, answer, any, own, false);
    if (own !== NONE) return this.choose(m, answer, own, any, true);
    const isFragment = (m.u32[(question + QUESTION.flags) >> 2]! & FRAGMENT) !== 0;
    return writeAnswer(m, answer, isFragment ? DROP_FRAG_NOSUPPORT : DROP_POLICY, 0, 0, 0);
  }

  private prefers(any: number, own: number): boolean {
    const [a, b] = [this.entries[any]!, this.entries[own]!];
    if (a.deny) return true;
    if (a.proxyPortPriority !== b.proxyPortPriority) return a.proxyPortPriority > b.proxyPortPriority;
    return this.bits[any]! > this.bits[own]!;
  }

  private choose(m: Memory, answer: Address, chosen: number, other: number, namesIdentity: boolean): number {
    const entry = this.entries[chosen]!;
    const bits = this.bits[chosen]!;
    const match = bits > 8 ? [3, 2] : bits > 0 ? [6, 5] : [4, 1];
    const matchType = match[namesIdentity ? 1 : 0]!;
    if (entry.deny) return writeAnswer(m, answer, DROP_POLICY_DENY, 0, matchType, 0);
    let auth = entry.authType;
    if (other !== NONE && !entry.hasExplicitAuth) auth = Math.max(auth, this.entries[other]!.authType);
    return writeAnswer(m, answer, auth === 0 ? OK : DROP_POLICY_AUTH_REQUIRED, entry.proxyPort, matchType, auth);
  }

  /** Index of the entry with the longest prefix, or NONE. */
  private find(identity: number, rest: number): number {
    for (const bits of this.lengths) {
      const found = this.slots[this.slotOf(identity, rest & restMask(bits), bits)]!;
      if (found !== NONE) return found;
    }
    return NONE;
  }

  private slotOf(identity: number, rest: number, bits: number): number {
    const mask = this.slots.length - 1;
    let at = Math.imul(Math.imul(identity, 0x9e37_79b1) ^ rest, 0x85eb_ca6b) ^ Math.imul(bits, 0xc2b2_ae35);
    at = (at ^ (at >>> 15)) & mask;
    for (; ; at = (at + 1) & mask) {
      const n = this.slots[at]!;
      if (n === NONE) return at;
      const entry = this.entries[n]!;
      if (this.bits[n] === bits && entry.identity === identity && (restOf(entry) & restMask(bits)) === rest) return at;
    }
  }
}

function restOf({ egress, protocol, dport }: { egress: boolean; protocol: number; dport: number }): number {
  return (protocol << 24) | (dport << 8) | (egress ? 1 : 0);
}
