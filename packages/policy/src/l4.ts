import type { L4Protocol } from '@ciliate/k8s';
import type { HttpRule, RuleOrigin } from './api/rule.ts';
import type { PolicyFeatures } from './mapstate.ts';
import type { CachedSelector, SelectorCache } from './selectorcache.ts';
import { unionOrigins } from './types/entry.ts';

/** Which filter of the proxy looks at the traffic. */
export type L7Parser = 'http';

/** Where redirects of a parser stand by default; the smaller number wins. Source: pkg/policy/l4.go. */
export const LISTENER_PRIORITY: Readonly<Record<L7Parser, number>> = { http: 101 };

/** What a selector's peers are held to beyond L4; `null` in a filter means: nothing, a plain allow. */
export interface PerSelectorPolicy {
  readonly parser: L7Parser;
  readonly listenerPriority: number;
  readonly http: readonly HttpRule[];
}

/** Everything that the rules say about one port and protocol of one direction. Source: pkg/policy/l4.go, L4Filter. */
export interface L4Filter {
  /** Direction, protocol, port and listener: `ingress:TCP:80:`. Cilium's proxy id without the endpoint's number. */
  readonly id: string;
  /** 0: every port. */
  readonly port: number;
  /** ANY only together with port 0: everything, ICMP included. */
  readonly protocol: L4Protocol | 'ANY';
  /** The selector of everybody, if it is among `perSelectorPolicies`. */
  wildcard: CachedSelector | undefined;
  readonly perSelectorPolicies: Map<CachedSelector, PerSelectorPolicy | null>;
  readonly origins: Map<CachedSelector, readonly RuleOrigin[]>;
}

/** One direction. Filters by {@link L4Filter.id}. */
export interface L4DirectionPolicy {
  readonly filters: ReadonlyMap<string, L4Filter>;
  readonly features: PolicyFeatures;
}

/**
 * What all rules together say about one subject, in terms of selectors: the same for all endpoints of an identity.
 * Holds its selectors in the cache until {@link detachL4Policy}.
 */
export interface L4Policy {
  readonly ingress: L4DirectionPolicy;
}

/** Give the selectors of a policy that is no longer used back to the cache. */
export function detachL4Policy(policy: L4Policy, selectorCache: SelectorCache): void {
  for (const filter of policy.ingress.filters.values()) {
    for (const selector of filter.perSelectorPolicies.keys()) selectorCache.release(selector, filter);
  }
}

export function featuresOf(filters: Iterable<L4Filter>): PolicyFeatures {
  for (const filter of filters) {
    for (const policy of filter.perSelectorPolicies.values()) {
      if (policy !== null) return { deny: false, redirect: true };
    }
  }
  return { deny: false, redirect: false };
}

/**
 * Add one rule's word about a port to what is known about it. `added` must not be used afterwards.
 * Equal selectors are merged, different ones stand side by side even if they select the same peers.
 * Source: pkg/policy/rule.go, mergePortProto.
 */
export function mergeFilter(existing: L4Filter, added: L4Filter, selectorCache: SelectorCache): void {
  for (const [selector, policy] of added.perSelectorPolicies) {
    const known = existing.perSelectorPolicies.get(selector);
    const merged = known === undefined ? policy : mergePerSelectorPolicies(known, policy);
    existing.perSelectorPolicies.set(selector, merged);
    if (selector.isWildcard) existing.wildcard = selector;
    selectorCache.acquire(selector.selector, existing);
    selectorCache.release(selector, added);
  }
  for (const [selector, origins] of added.origins) {
    existing.origins.set(selector, unionOrigins(existing.origins.get(selector) ?? [], origins));
  }
}

const HTTP_WILDCARD: HttpRule = { method: undefined, path: undefined, host: undefined };

function mergePerSelectorPolicies(
  known: PerSelectorPolicy | null,
  added: PerSelectorPolicy | null,
): PerSelectorPolicy | null {
  if (known === null && added === null) return null;
  // A plain allow beside HTTP rules: the redirect stays, and what the plain allow permits becomes a rule.
  if (known === null || added === null) {
    const policy = (known ?? added) as PerSelectorPolicy;
    return { ...policy, http: unionHttp(policy.http, [HTTP_WILDCARD]) };
  }
  return { ...known, http: unionHttp(known.http, added.http) };
}

function unionHttp(known: readonly HttpRule[], added: readonly HttpRule[]): readonly HttpRule[] {
  const union = [...known];
  for (const rule of added) if (!union.some((one) => sameHttp(one, rule))) union.push(rule);
  return union;
}

const sameHttp = (a: HttpRule, b: HttpRule): boolean => a.method === b.method && a.path === b.path && a.host === b.host;
