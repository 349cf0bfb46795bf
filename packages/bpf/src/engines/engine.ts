import type { Address, Memory } from '@ciliate/maps';

/** What names a policy entry. */
export interface EngineKey {
  egress: boolean;
  /** 0 = any. */
  identity: number;
  /** IP protocol, 0 = any; then `dport` and `portPrefixLen` are 0. */
  protocol: number;
  /** Host order; 0 = any port, whatever `portPrefixLen` says, as Cilium's agent writes it. */
  dport: number;
  /** Leading bits of `dport` that count, 0..16. */
  portPrefixLen: number;
}

/** One policy entry as every engine takes it. A field that the engine's profile does not know changes nothing there. */
export interface EngineEntry extends EngineKey {
  deny: boolean;
  /** Host order, 0 = no redirect. */
  proxyPort: number;
  /** 0..255. */
  proxyPortPriority: number;
  /** 0..127, 0 = none. */
  authType: number;
  hasExplicitAuth: boolean;
  /** Only profile 1.19: u32, the higher one wins; not given = 0. */
  precedence?: number;
  /** Only profiles 1.18-cookie and 1.19: u32 of the policy log; not given = 0. */
  cookie?: number;
}

/**
 * Questions lie in the shared memory, 16 bytes each, on a multiple of 8; numbers are byte offsets. identity u32, dport
 * u16 in host order, protocol u8, egress u8 (1 = egress), flags u32 (`FRAGMENT`), pad u32.
 */
export const QUESTION = { size: 16, identity: 0, dport: 4, protocol: 6, egress: 7, flags: 8 } as const;
/** Bit of a question's flags: an untracked fragment, whose ports are unknown (and 0). */
export const FRAGMENT = 1;

/**
 * Answers, 8 bytes each, on a multiple of 8. ret i32, proxyPort u16 in host order, matchType u8 (POLICY_MATCH_*),
 * authType u8, valid only with DROP_POLICY_AUTH_REQUIRED.
 */
export const ANSWER = { size: 8, ret: 0, proxyPort: 4, matchType: 6, authType: 7 } as const;

/** What answers. */
export interface PolicyReader {
  /** One verdict; writes the answer at `answer`. @returns 0, or a negative drop code. Allocates nothing. */
  lookup(question: Address, answer: Address): number;
  /** `count` of them in a row. Allocates nothing. */
  lookupBatch(questions: Address, answers: Address, count: number): void;
}

export interface PolicyEngine extends PolicyReader {
  /** Where `attach` of the definition finds it. Only of definitions that have one. */
  readonly address?: Address;
  /** Adds or replaces. A read-only form is built again. @throws MapError if it is full or the key is none */
  update(entry: EngineEntry): void;
  /** @throws MapError ENOENT */
  delete(key: EngineKey): void;
  /** Only of engines that memoise: how many lookups were answered by a kept answer, since it was built. */
  readonly hits?: number;
  /** Of the shared memory, all structures of the engine together. */
  readonly bytesUsed: number;
  /** Map lookups, or probes of a table, that the last `lookup` made. */
  readonly probes: number;
  /** Gives the memory back. The object is of no use afterwards. */
  destroy(): void;
}

export interface EngineDefinition {
  name: string;
  /** The release whose rule it follows: a name of `PROFILES`. */
  profile: string;
  /** One line: what the structure is. */
  about: string;
  /** An update builds the whole form again. */
  readOnly: boolean;
  /** Answers to earlier questions are kept, so equal keys are cheaper than new ones. */
  memoises: boolean;
  /** @throws MapError ENOMEM; ENOSPC or E2BIG if there are more than `maxEntries` */
  create(memory: Memory, entries: Iterable<EngineEntry>, maxEntries: number): PolicyEngine;
  /**
   * Opens, in another thread, an engine that `create` made, so that threads share one. Only of structures that lie in the
   * shared memory as a whole. What it gives holds until the engine is changed or destroyed.
   */
  attach?(memory: Memory, address: Address): PolicyReader;
}

/** Writes a question at `at`. Allocates nothing. */
export function writeQuestion(
  m: Memory,
  at: Address,
  identity: number,
  egress: boolean,
  protocol: number,
  dport: number,
  isFragment: boolean,
): void {
  m.u32[at >> 2] = identity;
  m.u32[(at >> 2) + 1] = dport | (protocol << 16) | ((egress ? 1 : 0) << 24);
  m.u32[(at >> 2) + 2] = isFragment ? FRAGMENT : 0;
  m.u32[(at >> 2) + 3] = 0;
}

/** Writes an answer at `at`. @returns `ret` */
export function writeAnswer(
  m: Memory,
  at: Address,
  ret: number,
  proxyPort: number,
  matchType: number,
  authType: number,
): number {
  m.i32[at >> 2] = ret;
  m.i32[(at >> 2) + 1] = proxyPort | (matchType << 16) | (authType << 24);
  return ret;
}

export interface EngineAnswer {
  ret: number;
  proxyPort: number;
  matchType: number;
  authType: number;
}

/** For tests and tools. */
export function readAnswer(m: Memory, at: Address): EngineAnswer {
  return {
    ret: m.i32[at >> 2]!,
    proxyPort: m.u16[(at + ANSWER.proxyPort) >> 1]!,
    matchType: m.u8[at + ANSWER.matchType]!,
    authType: m.u8[at + ANSWER.authType]!,
  };
}
