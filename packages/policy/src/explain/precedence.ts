import type { MapStateView } from '../mapstate.ts';
import type { MapStateEntry } from '../types/entry.ts';
import { formatKey, prefixLength } from '../types/key.ts';
import type { Claim } from './claims.ts';

/**
 * Why a claim does not decide. `same-as-everybody`: what the rules say for everybody on this port says it already, so it
 * has no entry of its own; `covered-by-deny`: likewise, for a deny.
 */
export type LossReason =
  | 'deny-wins'
  | 'covered-by-deny'
  | 'proxy-priority'
  | 'more-specific-port'
  | 'identity-first'
  | 'same-as-everybody';

export interface LostClaim extends Claim {
  /** Has it an entry in the map, only not the one that decides? */
  readonly inMap: boolean;
  readonly reason: LossReason;
  /** The reason in words. */
  readonly why: string;
}

/** Does the entry say what the claim asks for? */
export function decidesBy(entry: MapStateEntry, claim: Claim): boolean {
  return (
    formatKey(entry.key) === formatKey(claim.key) &&
    saysWhat(entry, claim) &&
    (entry.deny || claim.proxyPortPriority >= entry.proxyPortPriority || claim.authExplicit)
  );
}

/** Another port of the same rule may have an entry with the same key that says less. */
const saysWhat = (entry: MapStateEntry, claim: Claim): boolean =>
  entry.deny === claim.deny && entry.proxyPortPriority >= claim.proxyPortPriority;

/** @param winner the entry that decides, which does not come from the claim. Source: `lookupMapState`, `MapState.insert` */
export function lossOf(claim: Claim, winner: MapStateEntry, mapState: MapStateView): LostClaim {
  const entry = mapState.get(claim.key);
  const inMap = entry !== undefined && saysWhat(entry, claim) && entry.origins.includes(claim.origins[0]!);
  const reason = reasonOf(claim, winner, inMap);
  return { ...claim, inMap, reason, why: WORDS[reason](claim, winner) };
}

function reasonOf(claim: Claim, winner: MapStateEntry, inMap: boolean): LossReason {
  if (winner.deny) {
    if (!claim.deny) return 'deny-wins';
    return inMap ? 'identity-first' : 'covered-by-deny';
  }
  if (winner.proxyPortPriority > claim.proxyPortPriority) return 'proxy-priority';
  if (!inMap) return 'same-as-everybody';
  return prefixLength(winner.key) > prefixLength(claim.key) ? 'more-specific-port' : 'identity-first';
}

const WORDS: Readonly<Record<LossReason, (claim: Claim, winner: MapStateEntry) => string>> = {
  'deny-wins': () => 'a deny wins over every allow',
  'covered-by-deny': () => 'a broader deny covers it, so it has no entry of its own',
  'proxy-priority': ({ proxyPortPriority: own }, { proxyPortPriority }) =>
    `the higher proxy priority wins, ${proxyPortPriority} over ${own === 0 ? 'none' : own}`,
  'more-specific-port': () => 'the entry with the more specific ports wins',
  'identity-first': () => "the entry of the peer's identity wins over that for every identity",
  'same-as-everybody': () => 'what is said for everybody says the same, so it has no entry of its own',
};
