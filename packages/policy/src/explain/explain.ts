import type { RuleOrigin } from '../api/rule.ts';
import type { EndpointPolicy } from '../endpoint_policy.ts';
import { type FlowKey, lookupMapState } from '../lookup.ts';
import type { PolicyRepository, SelectingPolicy } from '../repository.ts';
import type { Subject } from '../rule_store.ts';
import type { MapStateEntry } from '../types/entry.ts';
import { type Claim, claimsOn } from './claims.ts';
import { type NearMiss, nearMisses } from './near_misses.ts';
import { decidesBy, type LostClaim, lossOf } from './precedence.ts';
import { type Suggestion, suggestAllow } from './suggest.ts';

/** Why a flow fares as it does. */
export interface FlowExplanation {
  readonly flow: FlowKey;
  /** `deny`: a rule denies it; `drop`: no rule allows it. */
  readonly verdict: 'allow' | 'redirect' | 'deny' | 'drop';
  /** The entry that decides; undefined only with `drop`. */
  readonly entry: MapStateEntry | undefined;
  /** The rules that the entry comes from. */
  readonly because: readonly Claim[];
  /** What other rules say about the flow, and why that does not count. */
  readonly lost: readonly LostClaim[];
  /** Is what no entry matches dropped? */
  readonly enforced: boolean;
  /** Only with `drop`: the policies that switched default deny on for the endpoint in this direction. */
  readonly selectedBy: readonly SelectingPolicy[];
  /** Only with `drop`: the rules of the endpoint that do not allow the flow, and for what; the nearest first. */
  readonly nearMisses: readonly NearMiss[];
  /** Only with `drop` and `deny`: what would let it through. */
  readonly remedy: Remedy | undefined;
}

export type Remedy =
  | { readonly kind: 'allow'; readonly suggestion: Suggestion }
  /** No allow rule can: these deny it, each of them. */
  | { readonly kind: 'denied'; readonly by: readonly RuleOrigin[] }
  | { readonly kind: 'none'; readonly why: string };

/**
 * Explains any flow of an endpoint, from policy objects alone.
 * @param subject whose policy it is
 * @param policy of the subject, as the repository's rules say now
 * @param peerAddress if it is known: for a peer outside of the cluster, a suggestion can then be about it alone
 */
export function explainFlow(
  repository: Pick<PolicyRepository, 'config' | 'rulesSelecting' | 'policiesSelecting' | 'has'>,
  subject: Subject,
  policy: EndpointPolicy,
  flow: FlowKey,
  peerAddress?: string,
): FlowExplanation {
  const entry = lookupMapState(policy.mapState, flow);
  const enforced = flow.egress ? policy.egressEnforced : policy.ingressEnforced;
  if (entry === undefined) {
    const suggestion = suggestAllow({ repository, subject, policy, peerAddress }, flow);
    const peer = policy.selectorPolicy.selectorCache.labelsOf(flow.identity);
    return {
      flow,
      verdict: 'drop',
      entry,
      because: [],
      lost: [],
      enforced,
      selectedBy: repository.policiesSelecting(subject, flow.egress ? 'egress' : 'ingress'),
      nearMisses: nearMisses(repository.rulesSelecting(subject), flow, peer, policy.owner),
      remedy: typeof suggestion === 'string' ? { kind: 'none', why: suggestion } : { kind: 'allow', suggestion },
    };
  }
  const claims = claimsOn(policy, flow);
  const because = claims.filter((claim) => decidesBy(entry, claim));
  const lost = claims.filter((claim) => !because.includes(claim)).map((claim) => lossOf(claim, entry, policy.mapState));
  const by = claims.filter(({ deny }) => deny).flatMap(({ origins }) => origins);
  return {
    flow,
    verdict: entry.deny ? 'deny' : entry.redirect ? 'redirect' : 'allow',
    entry,
    because,
    lost,
    enforced,
    selectedBy: [],
    nearMisses: [],
    remedy: entry.deny ? { kind: 'denied', by: [...new Set(by)] } : undefined,
  };
}
