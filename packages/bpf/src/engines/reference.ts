import type { EngineEntry, EngineKey } from './engine.ts';
import { BpfInputError } from './input_error.ts';
import type { PolicyQuestion } from './profiles/question.ts';

/** What a release answers; `hits` has one member for each map lookup: the entry found, or undefined. */
export interface ReferenceAnswer {
  ret: number;
  proxyPort: number;
  matchType: number;
  authType: number;
  cookie: number;
  hits: (EngineEntry | undefined)[];
}

type Find = (identity: number, protocol: number, dport: number) => EngineEntry | undefined;
type Rule = (find: Find, question: PolicyQuestion) => ReferenceAnswer;
type Outputs = Partial<Pick<ReferenceAnswer, 'proxyPort' | 'authType' | 'cookie'>>;

/**
 * The rule of a release, written a second time and as plainly as possible: a list of entries, read from end to end for
 * every lookup. No map, no bytes, nothing shared with the engines. What engines and profiles are proved against.
 */
export class Reference {
  entries: EngineEntry[] = [];
  private readonly rule: Rule;
  private readonly isHash: boolean;
  private readonly hasRanges: boolean;
  private readonly hasMark: boolean;

  /** @param profile a name of `PROFILES` */
  constructor(profile: string) {
    const rule = RULES[profile];
    if (rule === undefined) throw new BpfInputError(`no linear reference for profile ${profile}`, { profile });
    this.rule = rule;
    this.isHash = profile === '1.12' || profile === '1.13';
    this.hasRanges = !this.isHash && profile !== '1.15';
    this.hasMark = this.isHash || profile === '1.15' || profile === '1.16';
  }

  /** Adds, or replaces the entry with the same key. */
  update(entry: EngineEntry): void {
    const plain = this.normal(entry);
    this.entries = [...this.entries.filter((other) => !isSameKey(other, plain)), plain];
  }

  /** @returns whether there was one */
  delete(key: EngineKey): boolean {
    const plain = this.normal(key);
    const before = this.entries.length;
    this.entries = this.entries.filter((other) => !isSameKey(other, plain));
    return this.entries.length < before;
  }

  ask(question: PolicyQuestion): ReferenceAnswer {
    const { protocol, family, icmp } = question;
    const isIcmp4 = protocol === 1 && (this.isHash || family === 4);
    const isIcmp6 = protocol === 58 && (this.isHash || family === 6);
    if (icmp === undefined || !(isIcmp4 || isIcmp6)) return this.decide(question);
    if (icmp === 'truncated') return answer(-134, 0, []);
    if (isIcmp4 && icmp.type === 3 && icmp.code === 4) return answer(0, 0, []);
    return this.decide({ ...question, dport: icmp.type });
  }

  private decide(question: PolicyQuestion): ReferenceAnswer {
    const ofDirection = this.entries.filter((entry) => entry.egress === question.egress);
    const find: Find = (identity, protocol, dport) => {
      const ofIdentity = ofDirection.filter((entry) => entry.identity === identity);
      if (this.isHash) return ofIdentity.find((entry) => entry.protocol === protocol && entry.dport === dport);
      const matching = ofIdentity.filter((entry) => matches(entry, protocol, dport));
      return matching.sort((a, b) => bitsOf(b) - bitsOf(a))[0];
    };
    const result = this.rule(find, question);
    if (result.matchType === 0 && question.hasSkipMark && this.hasMark) return { ...result, ret: 0 };
    if (this.isHash && result.ret === 0) result.ret = ((result.proxyPort & 0xff) << 8) | (result.proxyPort >> 8);
    return result;
  }

  /** What the release can say of it: a range's first port; port 0 is any port. */
  private normal<Key extends EngineKey>(key: Key): Key {
    const dport = key.dport - (key.dport % 2 ** (16 - key.portPrefixLen));
    const wholePort = this.hasRanges ? key.portPrefixLen : 16;
    return { ...key, dport, portPrefixLen: dport === 0 ? 0 : wholePort };
  }
}

const isSameKey = (a: EngineKey, b: EngineKey): boolean =>
  a.egress === b.egress &&
  a.identity === b.identity &&
  a.protocol === b.protocol &&
  a.dport === b.dport &&
  a.portPrefixLen === b.portPrefixLen;

function matches(entry: EngineEntry, protocol: number, dport: number): boolean {
  if (entry.protocol === 0) return true;
  const size = 2 ** (16 - entry.portPrefixLen);
  return entry.protocol === protocol && dport >= entry.dport && dport < entry.dport + size;
}

const bitsOf = (entry: EngineEntry): number => (entry.protocol === 0 ? 0 : 8 + entry.portPrefixLen);

function answer(ret: number, matchType: number, hits: ReferenceAnswer['hits'], outputs: Outputs = {}): ReferenceAnswer {
  return { ret, matchType, hits, proxyPort: 0, authType: 0, cookie: 0, ...outputs };
}

const miss = ({ isFragment }: PolicyQuestion, hits: ReferenceAnswer['hits']): ReferenceAnswer =>
  answer(isFragment ? -157 : -133, 0, hits);

const exactKeys =
  (triesAnyPort: boolean): Rule =>
  (find, question) => {
    const { identity, protocol, dport, isFragment } = question;
    const hits: ReferenceAnswer['hits'] = [];
    const steps: { matchType: number; redirects: boolean; key: [number, number, number] }[] = [
      { matchType: 2, redirects: true, key: [identity, protocol, dport] },
      { matchType: 3, redirects: true, key: [0, protocol, dport] },
      { matchType: 3, redirects: false, key: [0, protocol, 0] },
      { matchType: 1, redirects: false, key: [identity, 0, 0] },
      { matchType: 4, redirects: false, key: [0, 0, 0] },
    ];
    if (!triesAnyPort) steps.splice(2, 1);
    for (const { matchType, redirects, key } of isFragment ? steps.slice(-2) : steps) {
      const entry = find(...key);
      hits.push(entry);
      if (entry === undefined) continue;
      if (entry.deny) return answer(-181, matchType, hits);
      return answer(0, matchType, hits, { proxyPort: redirects ? entry.proxyPort : 0 });
    }
    return miss(question, hits);
  };

const sixSteps: Rule = (find, question) => {
  const { identity, protocol, dport } = question;
  const l3 = find(identity, protocol, dport);
  if (l3 !== undefined && l3.dport !== 0) return allowed(l3, 2, [l3], l3.authType);
  const l4 = find(0, protocol, dport);
  const hits = [l3, l4];
  if (l4 !== undefined && l4.dport !== 0) return allowed(l4, 3, hits, l4.authType);
  if (l3 !== undefined && l3.protocol !== 0) return allowed(l3, 5, hits, l3.authType);
  if (l4 !== undefined && l4.protocol !== 0) return allowed(l4, 6, hits, l4.authType);
  if (l3 !== undefined) return allowed(l3, 1, hits, l3.authType);
  if (l4 !== undefined) return allowed(l4, 4, hits, l4.authType);
  return miss(question, hits);
};

function allowed(
  entry: EngineEntry,
  matchType: number,
  hits: ReferenceAnswer['hits'],
  authType: number,
  cookie = 0,
): ReferenceAnswer {
  if (entry.deny) return answer(-181, matchType, hits, { cookie });
  if (authType !== 0) return answer(-189, matchType, hits, { proxyPort: entry.proxyPort, authType, cookie });
  return answer(0, matchType, hits, { proxyPort: entry.proxyPort, cookie });
}

/** @param rank in what order two entries win, most important first; on a tie the one for the identity */
const ranked =
  (
    rank: (entry: EngineEntry) => number[],
    isFinal: (entry: EngineEntry) => boolean,
    inherits: (chosen: EngineEntry, other: EngineEntry) => boolean,
    hasCookie: boolean,
  ): Rule =>
  (find, question) => {
    const { identity, protocol, dport } = question;
    const l3 = find(identity, protocol, dport);
    const hits = [l3];
    let l4: EngineEntry | undefined;
    if (l3 === undefined || !isFinal(l3)) {
      l4 = find(0, protocol, dport);
      hits.push(l4);
    }
    const isL4 = l4 !== undefined && (l3 === undefined || compare(rank(l4), rank(l3)) > 0);
    const [chosen, other] = isL4 ? [l4, l3] : [l3, l4];
    if (chosen === undefined) return miss(question, hits);
    const takes = other !== undefined && !chosen.hasExplicitAuth && inherits(chosen, other);
    const auth = takes ? Math.max(chosen.authType, other.authType) : chosen.authType;
    const bits = bitsOf(chosen);
    const matchType = bits === 0 ? (isL4 ? 4 : 1) : bits === 8 ? (isL4 ? 6 : 5) : isL4 ? 3 : 2;
    return allowed(chosen, matchType, hits, auth, hasCookie ? (chosen.cookie ?? 0) : 0);
  };

function compare(a: number[], b: number[]): number {
  const at = a.findIndex((value, i) => value !== b[i]);
  return at === -1 ? 0 : a[at]! - b[at]!;
}

// A deny for the identity never comes to a comparison: it is final.
const byPriority = (hasCookie: boolean): Rule =>
  ranked(
    (entry) => [entry.deny ? 1 : 0, entry.proxyPortPriority, bitsOf(entry)],
    (entry) => entry.deny,
    () => true,
    hasCookie,
  );

const byPrecedence = ranked(
  (entry) => [entry.precedence ?? 0, bitsOf(entry)],
  (entry) => entry.precedence === 0xffff_ffff,
  (chosen, other) => (chosen.precedence ?? 0) === (other.precedence ?? 0),
  true,
);

const RULES: Readonly<Record<string, Rule>> = {
  '1.12': exactKeys(false),
  '1.13': exactKeys(true),
  '1.15': sixSteps,
  '1.16': sixSteps,
  '1.17': byPriority(false),
  '1.18': byPriority(false),
  '1.18-cookie': byPriority(true),
  '1.19': byPrecedence,
};
