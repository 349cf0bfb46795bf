import { type EngineEntry, QUESTION, writeQuestion } from '@ciliate/bpf';
import type { Address, Memory } from '@ciliate/maps';
import { DistinctKeys } from './distinct_keys.ts';
import { Random } from './random.ts';
import type { Reference } from './reference.ts';
import { MAX_QUESTIONS } from './types.ts';

const TCP = 6;
const UDP = 17;
const SCTP = 132;
const PROTOCOLS = [TCP, TCP, TCP, UDP, UDP, SCTP];

/**
 * Shares of the kinds of entries. `exact`: identity, protocol and port; `range`: the same with a port prefix of 9..15
 * bits; `protocol`: identity and protocol; `identity`: the identity alone; `any`: a port for any identity, at most 64.
 */
export const MIXES = {
  mixed: { exact: 0.7, range: 0.12, protocol: 0.05, identity: 0.08, any: 0.05 },
  exact: { exact: 1, range: 0, protocol: 0, identity: 0, any: 0 },
  ranges: { exact: 0.2, range: 0.75, protocol: 0, identity: 0, any: 0.05 },
  wildcards: { exact: 0.3, range: 0, protocol: 0.3, identity: 0.35, any: 0.05 },
} as const;
export type Mix = keyof typeof MIXES;
const MAX_ANY = 64;

export interface WorkloadSpec {
  entries: number;
  /** Distinct identities that entries name. */
  identities: number;
  mix: Mix;
  /** Share of the questions that some entry holds. */
  hitRatio: number;
  /** `zipf`: the k-th key comes in proportion to 1/k. */
  skew: 'uniform' | 'zipf';
  seed: number;
}

export const defaultSpec = (entries: number, seed: number): WorkloadSpec => ({
  entries,
  identities: Math.max(4, entries >> 2),
  mix: 'mixed',
  hitRatio: 0.5,
  skew: 'uniform',
  seed,
});

/** Cluster-local numbers, and one in four of the CIDR scope, as an agent allots them. */
function identityNumber(random: Random): number {
  return random.below(4) === 0 ? 0x0100_0001 + random.below(1 << 16) : 256 + random.below(65_535 - 256);
}

/** The policy map's entries: distinct keys, every identity with entries in both directions. */
export function generateEntries(spec: WorkloadSpec): EngineEntry[] {
  const random = new Random(spec.seed);
  const identities = new Set<number>();
  while (identities.size < Math.min(spec.identities, spec.entries)) identities.add(identityNumber(random));
  const pool = [...identities];
  const ports = Array.from({ length: 256 }, () => 1 + random.below(65_535));
  const maxAny = Math.min(MAX_ANY, Math.round(MIXES[spec.mix].any * spec.entries));
  const byKey = new Map<string, EngineEntry>();
  for (let any = 0; byKey.size < spec.entries; ) {
    const entry = generateEntry(spec.mix, any < maxAny, pool, ports, random);
    const key = `${entry.egress}/${entry.identity}/${entry.protocol}/${entry.dport}/${entry.portPrefixLen}`;
    if (byKey.has(key)) continue;
    byKey.set(key, entry);
    if (entry.identity === 0) any++;
  }
  return [...byKey.values()];
}

function generateEntry(mix: Mix, mayBeAny: boolean, pool: number[], ports: number[], random: Random): EngineEntry {
  const shares = MIXES[mix];
  const kind = random.fraction();
  const isRange = kind < shares.range;
  const isProtocol = !isRange && kind < shares.range + shares.protocol;
  const isIdentity = !isRange && !isProtocol && kind < shares.range + shares.protocol + shares.identity;
  const isAny = !isRange && !isProtocol && !isIdentity && mayBeAny && kind > 1 - shares.any;
  const portPrefixLen = isProtocol || isIdentity ? 0 : isRange ? 9 + random.below(7) : 16;
  const dport = portPrefixLen === 0 ? 0 : portOf(random.pick(ports), portPrefixLen);
  const deny = random.below(10) === 0;
  const redirects = !deny && dport !== 0 && random.below(6) === 0;
  const proxyPortPriority = redirects ? 1 + random.below(126) : 0;
  const authType = !deny && random.below(32) === 0 ? 1 + random.below(2) : 0;
  return {
    egress: random.below(2) === 1,
    identity: isAny ? 0 : random.pick(pool),
    protocol: isIdentity ? 0 : random.pick(PROTOCOLS),
    dport,
    portPrefixLen,
    deny,
    proxyPort: redirects ? 10_000 + random.below(10_000) : 0,
    proxyPortPriority,
    authType,
    hasExplicitAuth: authType !== 0 && random.below(2) === 0,
    // As the agent of 1.19 counts it at the highest level: a deny beats all, then redirects by priority.
    precedence: deny ? 0xffff_ffff : 0xffff_ff00 + (redirects ? 128 + proxyPortPriority : 1),
  };
}

/** The port with the bits beyond the prefix cleared, never 0: a port of 0 would mean any. */
function portOf(port: number, prefixLen: number): number {
  const step = 1 << (16 - prefixLen);
  return Math.max(step, port & ~(step - 1));
}

export interface QuestionCounts {
  distinctKeys: number;
  hits: number;
}

/**
 * Fills `questions` with MAX_QUESTIONS questions. Hits come from entries drawn uniformly (what the entry leaves open is
 * random); misses have distinct keys, half of them with an identity that the map knows. One miss in 64 is an untracked
 * fragment. Call it after the engines are built: they cannot know the seed.
 */
export function generateQuestions(
  memory: Memory,
  questions: Address,
  spec: WorkloadSpec,
  entries: readonly EngineEntry[],
  reference: Reference,
): QuestionCounts {
  const random = new Random(spec.seed ^ 0x5bd1_e995);
  const keys = new DistinctKeys(MAX_QUESTIONS);
  const known = entries.map((entry) => entry.identity);
  let hits = 0;
  for (let n = 0; n < MAX_QUESTIONS; n++) {
    const at = questions + n * QUESTION.size;
    if (random.fraction() < spec.hitRatio) {
      const { egress, identity, protocol, dport, portPrefixLen } = random.pick(entries);
      const from = identity !== 0 ? identity : random.below(2) === 0 ? identityNumber(random) : random.pick(known);
      const port = dport === 0 ? 1 + random.below(65_535) : dport | random.below(1 << (16 - portPrefixLen));
      writeQuestion(memory, at, from, egress, protocol === 0 ? random.pick(PROTOCOLS) : protocol, port, false);
      hits++;
    } else {
      do writeMiss(memory, at, random, known, reference);
      while (keys.has(memory.u32[at >> 2]!, memory.u32[(at >> 2) + 1]!));
    }
    keys.add(memory.u32[at >> 2]!, memory.u32[(at >> 2) + 1]!);
  }
  if (spec.skew === 'zipf') skew(memory, questions, random, keys);
  return { distinctKeys: keys.size, hits: hits / MAX_QUESTIONS };
}

function writeMiss(memory: Memory, at: Address, random: Random, known: number[], reference: Reference): void {
  for (;;) {
    const identity = random.below(2) === 0 ? random.pick(known) : identityNumber(random);
    const egress = random.below(2) === 1;
    const protocol = random.pick(PROTOCOLS);
    const isFragment = random.below(64) === 0;
    const dport = isFragment ? 0 : 1 + random.below(65_535);
    if (identity === 0 || reference.matches(identity, egress, protocol, dport)) continue;
    writeQuestion(memory, at, identity, egress, protocol, dport, isFragment);
    return;
  }
}

/** Replaces the questions by as many draws from them, the one of rank k in proportion to 1/k. */
function skew(memory: Memory, questions: Address, random: Random, keys: DistinctKeys): void {
  const words = memory.u32.subarray(questions >> 2, (questions >> 2) + MAX_QUESTIONS * 4);
  const pool = words.slice();
  keys.clear();
  for (let n = 0; n < MAX_QUESTIONS; n++) {
    const rank = Math.floor(Math.exp(random.fraction() * Math.log(MAX_QUESTIONS))) - 1;
    for (let word = 0; word < 4; word++) words[n * 4 + word] = pool[rank * 4 + word]!;
    keys.add(pool[rank * 4]!, pool[rank * 4 + 1]!);
  }
}
