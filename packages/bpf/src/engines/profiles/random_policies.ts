import type { EngineEntry } from '../engine.ts';
import { keyText } from '../entry_key.ts';
import type { Profile } from './profile.ts';
import type { PolicyQuestion } from './question.ts';

/** An entry before a release's words: `level` 0 is the highest, and only 1.19 has others. */
export interface Rule extends Omit<EngineEntry, 'precedence' | 'cookie' | 'proxyPortPriority'> {
  /** Of a redirect, 1..127; 0 = no redirect. */
  priority: number;
  level: number;
}

export interface Policy {
  rules: Rule[];
  packet: PolicyQuestion;
}

type Knows = Profile['knows'];

/** The rule as an entry of a release: what it does not know is left out. */
export function inProfile(rule: Rule, knows: Knows): EngineEntry {
  const { priority, level, ...entry } = rule;
  return {
    ...entry,
    authType: knows.auth ? entry.authType : 0,
    hasExplicitAuth: knows.explicitAuth && entry.hasExplicitAuth,
    proxyPortPriority: knows.priority ? priority : 0,
    precedence: precedence(rule),
  };
}

const LOWEST_LEVEL = 2 ** 24 - 1;

/** As the agent of 1.19 makes it of level, deny and proxy priority. A redirect's priority p of 1.18 is 128 - p there. */
function precedence({ deny, priority, level }: Rule): number {
  const ofAllow = priority === 0 ? 1 : priority === 1 ? 2 : 127 + priority;
  return (LOWEST_LEVEL - level) * 256 + (deny ? 255 : ofAllow);
}

/** What the rules say that a release with this knowledge cannot, in words. */
export function usesBeyond(rules: readonly Rule[], knows: Knows): string[] {
  const uses = (name: string, known: boolean, isUsed: (rule: Rule) => boolean): string[] =>
    !known && rules.some(isUsed) ? [name] : [];
  return [
    ...uses('port ranges', knows.ranges, ({ portPrefixLen }) => portPrefixLen % 16 !== 0),
    ...uses('authentication', knows.auth, ({ authType }) => authType !== 0),
    ...uses('authentication off', knows.explicitAuth, (rule) => rule.hasExplicitAuth && rule.authType === 0),
    ...uses('proxy priorities', knows.priority || knows.precedence, ({ priority }) => priority > 1),
    ...uses('priority levels', knows.precedence, ({ level }) => level > 0),
  ];
}

const IDENTITIES = [0, 1001, 1002];
const PROTOCOLS = [0, 6, 17];
const PORTS = [0, 53, 80];

/** Small well-shaped policies, each with a packet that is mostly aimed at one of its entries. */
export class RandomPolicies {
  private state: number;

  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  /** @param knows what the rules may say */
  next(knows: Knows): Policy {
    const rules = new Map<string, Rule>();
    for (let count = 1 + this.below(4); count > 0; count--) {
      const rule = this.rule(knows);
      rules.set(keyText(rule), rule);
    }
    return { rules: [...rules.values()], packet: this.packet() };
  }

  private rule(knows: Knows): Rule {
    const protocol = this.oneOf(PROTOCOLS);
    const dport = protocol === 0 ? 0 : this.oneOf(PORTS);
    const isRange = knows.ranges && dport !== 0 && this.below(4) === 0;
    const bits = isRange ? 10 + this.below(6) : 16;
    const deny = this.below(3) === 0;
    const isRedirect = !deny && dport !== 0 && this.below(3) === 0;
    const auth = deny || !knows.auth || this.below(3) > 0 ? 0 : 1 + this.below(2);
    const isOff = !deny && auth === 0 && knows.explicitAuth && this.below(6) === 0;
    return {
      egress: false,
      identity: this.oneOf(IDENTITIES),
      protocol,
      dport: dport & (0xffff << (16 - bits)),
      portPrefixLen: dport === 0 ? 0 : bits,
      deny,
      proxyPort: isRedirect ? 10_001 + this.below(2) : 0,
      priority: isRedirect ? 1 + (knows.priority || knows.precedence ? this.below(3) : 0) : 0,
      authType: auth,
      hasExplicitAuth: auth !== 0 || isOff,
      level: knows.precedence ? this.below(3) : 0,
    };
  }

  private packet(): PolicyQuestion {
    const isFragment = this.below(8) === 0;
    return {
      egress: false,
      identity: this.oneOf([1001, 1002, 1003]),
      protocol: this.oneOf([6, 17]),
      dport: isFragment ? 0 : this.oneOf([53, 80, 81]),
      isFragment,
      family: 4,
      hasSkipMark: false,
    };
  }

  private oneOf(values: readonly number[]): number {
    return values[this.below(values.length)]!;
  }

  /** Mulberry32. */
  private below(limit: number): number {
    this.state = (this.state + 0x6d2b_79f5) >>> 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % limit;
  }
}

/** The policy with one thing less: a rule, or something that a rule or the packet says. Simplest first. */
export function simplerPolicies({ rules, packet }: Policy): Policy[] {
  const simpler: Policy[] = rules.map((_, i) => ({ rules: rules.toSpliced(i, 1), packet }));
  if (packet.isFragment) simpler.push({ rules, packet: { ...packet, isFragment: false, dport: 80 } });
  // In all rules at once, too: where they agree, none can change alone.
  const everywhere: Partial<Rule>[] = [
    { authType: 0, hasExplicitAuth: false },
    { proxyPort: 0, priority: 0 },
    { deny: false },
  ];
  for (const change of everywhere) {
    const changed = rules.map((rule) => ({ ...rule, ...change }));
    if (JSON.stringify(changed) !== JSON.stringify(rules)) simpler.push({ rules: changed, packet });
  }
  for (const [i, rule] of rules.entries())
    for (const change of simplerRules(rule)) simpler.push({ rules: rules.with(i, { ...rule, ...change }), packet });
  const keys = ({ rules: some }: Policy): number => new Set(some.map(keyText)).size;
  return simpler.filter((policy) => keys(policy) === policy.rules.length);
}

function simplerRules(rule: Rule): Partial<Rule>[] {
  const changes: Partial<Rule>[] = [];
  if (rule.level > 0) changes.push({ level: rule.level - 1 });
  if (rule.hasExplicitAuth) changes.push({ authType: 0, hasExplicitAuth: false });
  if (rule.proxyPort !== 0) changes.push({ proxyPort: 0, priority: 0 });
  if (rule.priority > 1) changes.push({ priority: rule.priority - 1 });
  if (rule.deny) changes.push({ deny: false });
  if (rule.portPrefixLen > 0 && rule.portPrefixLen < 16) changes.push({ portPrefixLen: 16, dport: 80 });
  if (rule.dport !== 0 && rule.proxyPort === 0) changes.push({ dport: 0, portPrefixLen: 0 });
  if (rule.protocol !== 0 && rule.dport === 0) changes.push({ protocol: 0 });
  return changes;
}
