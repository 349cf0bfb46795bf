import type { Labels } from '@ciliate/labels';
import type { HttpRule, RuleOrigin } from './api/rule.ts';
import { distillPolicy } from './distill.ts';
import { detachL4Policy, type L4DirectionPolicy, type L4Filter, type L4Policy, type L7Parser } from './l4.ts';
import type { PolicyRepository } from './repository.ts';
import { resolveL4IngressPolicy } from './rules.ts';
import type { SelectorCache } from './selectorcache.ts';
import type { MapStateEntry } from './types/entry.ts';

/** What one endpoint is held to. Source: pkg/policy/resolve.go. */
export interface EndpointPolicy {
  /** Of the repository, when this was computed. */
  readonly revision: number;
  /** Is what no entry matches dropped? */
  readonly ingressEnforced: boolean;
  readonly egressEnforced: boolean;
  /** The whole policy map of the endpoint, by {@link formatKey}. */
  readonly mapState: ReadonlyMap<string, MapStateEntry>;
  readonly l4: L4Policy;
  /** What the proxy must know: every filter that redirects some peers now. */
  readonly redirects: readonly RedirectFilter[];
}

export interface RedirectFilter {
  /** The `filterId` of the entries that lead here. */
  readonly filterId: string;
  readonly direction: 'ingress';
  readonly protocol: L4Filter['protocol'];
  readonly port: number;
  readonly parser: L7Parser;
  /** All selectors of the filter that select something now, also those whose peers the proxy lets do everything. */
  readonly selectors: readonly RedirectSelector[];
}

export interface RedirectSelector {
  /** Canonical text. */
  readonly selector: string;
  /** Selects everybody; `identities` is then empty. */
  readonly wildcard: boolean;
  /** Numeric, ascending. */
  readonly identities: readonly number[];
  /** undefined: a plain allow, nothing is inspected. */
  readonly parser: L7Parser | undefined;
  /** A request passes if any of them matches; empty only for a plain allow. */
  readonly http: readonly HttpRule[];
  readonly origins: readonly RuleOrigin[];
}

const NO_POLICY: L4DirectionPolicy = { filters: new Map(), features: { deny: false, redirect: false } };

/**
 * Compute the policy of the endpoints that carry these identity labels.
 *
 * It holds its selectors in `selectorCache`: call {@link detachPolicy} when it is replaced. It is a picture of the
 * identities known now: compute it again when the repository's revision is raised or one of its selectors changes.
 */
export function resolvePolicy(
  repository: PolicyRepository,
  subject: Labels,
  selectorCache: SelectorCache,
): EndpointPolicy {
  const rules = repository.rulesSelecting(subject);
  const enforced = enforcement(subject, rules.length > 0);
  const context = { selectorCache, clusterName: repository.clusterName };
  const l4: L4Policy = { ingress: enforced.ingress ? resolveL4IngressPolicy(rules, context) : NO_POLICY };
  return {
    revision: repository.revision,
    ingressEnforced: enforced.ingress,
    egressEnforced: enforced.egress,
    mapState: distillPolicy(l4, { ...enforced, isHost: subject.has('reserved', 'host') }),
    l4,
    redirects: [...l4.ingress.filters.values()].flatMap(redirectOf),
  };
}

/** Give back what a policy holds in the selector cache. */
export function detachPolicy(policy: EndpointPolicy, selectorCache: SelectorCache): void {
  detachL4Policy(policy.l4, selectorCache);
}

/**
 * Enforcement mode `default`: a direction is enforced as soon as a rule about it selects the endpoint.
 * Cilium looks for the keys `host` and `init` of any source, so a pod that carries such a label is taken for the node
 * (never enforced) or for an endpoint without labels yet (always enforced). Source: pkg/policy/repository.go.
 */
function enforcement(subject: Labels, selected: boolean): { ingress: boolean; egress: boolean } {
  if (subject.has('any', 'host')) return { ingress: false, egress: false };
  if (subject.has('any', 'init')) return { ingress: true, egress: true };
  return { ingress: selected, egress: false };
}

function redirectOf(filter: L4Filter): RedirectFilter[] {
  const selectors = [...filter.perSelectorPolicies]
    .filter(([selector]) => selector.isWildcard || selector.selections().length > 0)
    .map(([selector, policy]) => ({
      selector: selector.key,
      wildcard: selector.isWildcard,
      identities: selector.isWildcard ? [] : selector.selections(),
      parser: policy?.parser,
      http: policy?.http ?? [],
      origins: filter.origins.get(selector) ?? [],
    }));
  // Redirects that nobody takes now are left out. A filter has one parser: those of different parsers do not merge.
  const parser = selectors.find((selector) => selector.parser !== undefined)?.parser;
  if (parser === undefined) return [];
  const { id, port, protocol } = filter;
  return [{ filterId: id, direction: 'ingress', protocol, port, parser, selectors }];
}
