import { Reference, type ReferenceAnswer } from '../reference.ts';
import type { Profile } from './profile.ts';
import { PROFILES } from './profiles.ts';
import type { PolicyQuestion } from './question.ts';
import { inProfile, type Policy, RandomPolicies, type Rule, simplerPolicies, usesBeyond } from './random_policies.ts';

/** Where two releases next to each other differ, with the smallest policy and packet found that show it. */
export interface Difference {
  older: string;
  newer: string;
  /** The verdict (or the proxy port, or the authentication), or only the number of map lookups. */
  kind: 'verdict' | 'lookups';
  /** How many of the random cases differed so. */
  found: number;
  trials: number;
  /** What the entries say that the older release cannot; empty if the lookup itself differs. */
  needs: string[];
  rules: Rule[];
  packet: PolicyQuestion;
  answers: { older: ReferenceAnswer; newer: ReferenceAnswer };
}

type Kind = Difference['kind'];

/**
 * Searches, by asking the same random small policies and packets of both, for differences between each release and the
 * next: first with entries that both can express, then with all that the newer one can. Only the lookup functions are
 * compared: each gets the entries as they are, not what the release's agent might make of them. Marked (reply) packets
 * and unreadable ICMP are left out.
 *
 * @param seed   decides everything
 * @param trials random cases for each pair and kind of entries
 */
export function findDifferences({ seed, trials }: { seed: number; trials: number }): Difference[] {
  const differences: Difference[] = [];
  for (const [i, newer] of PROFILES.entries()) {
    const older = PROFILES[i - 1];
    if (older === undefined) continue;
    const shared = search(older, newer, { ...older, knows: both(older, newer) }, seed, trials);
    const extended = search(older, newer, newer, seed, trials).filter(({ needs }) => needs.length > 0);
    differences.push(...shared, ...extended);
  }
  return differences;
}

/** Names of adjacent releases between which nothing was found. */
export function pairsWithout(differences: readonly Difference[]): [older: string, newer: string][] {
  const names = PROFILES.map(({ name }) => name);
  return names
    .slice(1)
    .map((newer, i): [string, string] => [names[i]!, newer])
    .filter(([older, newer]) => !differences.some((found) => found.older === older && found.newer === newer));
}

function both(a: Profile, b: Profile): Profile['knows'] {
  const entries = Object.entries(a.knows).map(([name, known]) => [
    name,
    known && b.knows[name as keyof typeof b.knows],
  ]);
  return Object.fromEntries(entries) as Profile['knows'];
}

/** @param within the entries say only what this profile knows */
function search(older: Profile, newer: Profile, within: Profile, seed: number, trials: number): Difference[] {
  const random = new RandomPolicies(seed);
  const found = new Map<Kind, { count: number; first: Policy }>();
  for (let trial = 0; trial < trials; trial++) {
    const policy = random.next(within.knows);
    const kind = kindOf(older, newer, policy);
    if (kind === undefined) continue;
    const known = found.get(kind);
    if (known === undefined) found.set(kind, { count: 1, first: policy });
    else known.count++;
  }
  return [...found].map(([kind, { count, first }]) => {
    const { rules, packet } = smallest(first, (policy) => kindOf(older, newer, policy) === kind);
    const needs = usesBeyond(rules, older.knows);
    const answers = { older: ask(older, { rules, packet }), newer: ask(newer, { rules, packet }) };
    return { older: older.name, newer: newer.name, kind, found: count, trials, needs, rules, packet, answers };
  });
}

/** Takes the first simpler policy that still shows it, until there is none. */
function smallest(policy: Policy, shows: (policy: Policy) => boolean): Policy {
  for (let now = policy; ; ) {
    const simpler = simplerPolicies(now).find(shows);
    if (simpler === undefined) return now;
    now = simpler;
  }
}

function kindOf(older: Profile, newer: Profile, policy: Policy): Kind | undefined {
  const [a, b] = [ask(older, policy), ask(newer, policy)];
  const isSame =
    verdictOf(older, a) === verdictOf(newer, b) && a.proxyPort === b.proxyPort && a.authType === b.authType;
  if (!isSame) return 'verdict';
  return a.hits.length === b.hits.length ? undefined : 'lookups';
}

/** A proxy port as the return value is no difference. */
const verdictOf = (profile: Profile, { ret }: ReferenceAnswer): number =>
  profile.returnsProxyPort ? Math.min(ret, 0) : ret;

function ask(profile: Profile, { rules, packet }: Policy): ReferenceAnswer {
  const reference = new Reference(profile.name);
  for (const rule of rules) reference.update(inProfile(rule, profile.knows));
  return reference.ask(packet);
}
