import { PROTOCOL_NUMBERS } from './api/port.ts';
import { ALLOW_ANY_EGRESS, ALLOW_ANY_INGRESS, ALLOW_LOCALHOST_INGRESS } from './api/rule.ts';
import { ANY_IDENTITY, HOST_IDENTITY } from './identities.ts';
import type { L4Filter, L4Policy } from './l4.ts';
import { MapState, type PolicyFeatures } from './mapstate.ts';
import type { CachedSelector } from './selectorcache.ts';
import { allowEntry, type MapStateEntry, type MapStateValue, sameForDatapath } from './types/entry.ts';
import type { MapStateKey } from './types/key.ts';

/** What becomes of an endpoint besides its rules. */
export interface Enforcement {
  readonly ingress: boolean;
  readonly egress: boolean;
  /** The subject is the node itself, which needs no permission to reach itself. */
  readonly isHost: boolean;
}

/** Turn selectors into the entries of a policy map. Source: pkg/policy/resolve.go, DistillPolicy. */
export function distillPolicy(l4: L4Policy, enforcement: Enforcement): ReadonlyMap<string, MapStateEntry> {
  const mapState = new MapState();
  if (!enforcement.ingress) mapState.add(wildcardKey(false, ANY_IDENTITY), allowEntry([ALLOW_ANY_INGRESS]));
  if (!enforcement.egress) mapState.add(wildcardKey(true, ANY_IDENTITY), allowEntry([ALLOW_ANY_EGRESS]));
  for (const filter of l4.ingress.filters.values()) filterToMapState(filter, mapState, l4.ingress.features);
  if (!enforcement.isHost) mapState.add(wildcardKey(false, HOST_IDENTITY), allowEntry([ALLOW_LOCALHOST_INGRESS]));
  return mapState.toMap();
}

const wildcardKey = (egress: boolean, identity: number): MapStateKey => ({
  egress,
  identity,
  protocol: 0,
  dport: 0,
  portPrefixLen: 0,
});

/** Source: pkg/policy/l4.go, toMapState. */
function filterToMapState(filter: L4Filter, mapState: MapState, features: PolicyFeatures): void {
  const { wildcard, port } = filter;
  const keyFor = (identity: number): MapStateKey => ({
    egress: false,
    identity,
    protocol: PROTOCOL_NUMBERS[filter.protocol],
    dport: port,
    portPrefixLen: port === 0 ? 0 : 16,
  });
  const forAll = wildcard && entryFor(filter, wildcard);
  if (forAll) mapState.insert(keyFor(ANY_IDENTITY), forAll, features);
  for (const selector of filter.perSelectorPolicies.keys()) {
    if (selector === wildcard) continue;
    const entry = entryFor(filter, selector);
    // What everybody has already need not be said again for each identity; Cilium says it again where no port is given.
    if (forAll && port !== 0 && sameForDatapath(entry, forAll)) continue;
    for (const identity of selector.selections()) mapState.insert(keyFor(identity), entry, features);
  }
}

function entryFor(filter: L4Filter, selector: CachedSelector): MapStateValue {
  const allow = allowEntry(filter.origins.get(selector) ?? []);
  const policy = filter.perSelectorPolicies.get(selector);
  if (!policy) return allow;
  return {
    ...allow,
    redirect: true,
    filterId: filter.id,
    parser: policy.parser,
    proxyPortPriority: 128 - policy.listenerPriority,
  };
}
