import { ALLOW_ANY_EGRESS, ALLOW_ANY_INGRESS, type DirectionRules, type Rule } from './api/rule.ts';
import type { PolicyConfig } from './config.ts';
import type { PolicyOwner } from './distill.ts';
import { EndpointPolicy } from './endpoint_policy.ts';
import { allowAnySide, type DirectionEnforcement, enforcementOf, speaks } from './enforcement.ts';
import { HOST_IDENTITY } from './identities.ts';
import { type L4DirectionPolicy, type L4Filter, type L4Policy, NO_RULES } from './l4.ts';
import { NamedPorts } from './named_ports.ts';
import { namespaceOf, type Subject } from './rule_store.ts';
import { type ResolveContext, resolveDirection } from './rules.ts';
import type { CachedSelector, SelectorCache } from './selectorcache.ts';

/** What a policy is computed from. */
export interface PolicySource {
  readonly config: PolicyConfig;
  /** Of the repository. */
  readonly revision: number;
  /** That select the subject. */
  readonly rules: readonly Rule[];
}

const NO_OWNER: PolicyOwner = { namedPorts: [], allNamedPorts: new NamedPorts() };

/**
 * What all rules say about the endpoints of one identity, in terms of selectors. It holds its selectors in the cache as
 * long as somebody holds it. Source: pkg/policy/resolve.go, selectorPolicy.
 */
export class SelectorPolicy {
  readonly selectorCache: SelectorCache;
  readonly ingressEnforced: boolean;
  readonly egressEnforced: boolean;
  /** Not for the node itself, which needs no permission to reach itself. */
  readonly allowLocalhost: boolean;
  readonly l4: L4Policy;
  readonly #selectors: ReadonlySet<CachedSelector>;
  #filtersOf: Map<CachedSelector, L4Filter[]> | undefined;
  #revision: number;
  #holders = 1;

  private constructor(
    parts: Pick<
      SelectorPolicy,
      'revision' | 'selectorCache' | 'ingressEnforced' | 'egressEnforced' | 'allowLocalhost' | 'l4'
    >,
    selectors: ReadonlySet<CachedSelector>,
  ) {
    this.#revision = parts.revision;
    this.selectorCache = parts.selectorCache;
    this.ingressEnforced = parts.ingressEnforced;
    this.egressEnforced = parts.egressEnforced;
    this.allowLocalhost = parts.allowLocalhost;
    this.l4 = parts.l4;
    this.#selectors = selectors;
  }

  /** @throws PolicyConflictError if the rules cannot be had together; nothing is held in the cache then */
  static resolve(source: PolicySource, subject: Subject, selectorCache: SelectorCache): SelectorPolicy {
    const { config, revision, rules } = source;
    const { ingress, egress } = enforcementOf(subject.labels, rules, config);
    const allowLocalhost = config.allowLocalhost === 'always';
    const selectors = new Set<CachedSelector>();
    const hold = (selector: CachedSelector): CachedSelector => {
      if (selectors.has(selector)) selectorCache.release(selector);
      else selectors.add(selector);
      return selector;
    };
    const context = {
      selectorOf: (selector) => hold(selectorCache.acquire(selector)),
      fqdnSelectorOf: (fqdn) => hold(selectorCache.acquireFqdn(fqdn)),
      namespace: namespaceOf(subject.labels),
      allowLocalhost,
    } satisfies Partial<ResolveContext>;
    try {
      const l4 = {
        ingress: resolveSide(
          rules.map((rule) => rule.ingress),
          ingress,
          { ...context, egress: false, defaultDeny: ingress.defaultDeny },
        ),
        egress: resolveSide(
          rules.map((rule) => rule.egress),
          egress,
          { ...context, egress: true, defaultDeny: egress.defaultDeny },
        ),
      };
      const enforced = { ingressEnforced: ingress.enforced, egressEnforced: egress.enforced };
      const parts = { ...enforced, allowLocalhost: allowLocalhost && subject.identity !== HOST_IDENTITY };
      return new SelectorPolicy({ revision, selectorCache, ...parts, l4 }, selectors);
    } catch (error) {
      for (const selector of selectors) selectorCache.release(selector);
      throw error;
    }
  }

  /** The policy of one endpoint, by the identities known now. It must be released when it is replaced. */
  distill(owner: Partial<PolicyOwner> = {}): EndpointPolicy {
    return new EndpointPolicy(this, { ...NO_OWNER, ...owner });
  }

  /** Of the repository, for which this is what the rules say. */
  get revision(): number {
    return this.#revision;
  }

  /** Rules changed, but none of those that select the subject. */
  stillHolds(revision: number): void {
    this.#revision = revision;
  }

  /** Bits of both directions. */
  get features(): number {
    return this.l4.ingress.features | this.l4.egress.features;
  }

  /** The filters that a selector stands in. */
  filtersOf(selector: CachedSelector): readonly L4Filter[] {
    if (!this.#selectors.has(selector)) return [];
    if (this.#filtersOf === undefined) {
      this.#filtersOf = new Map();
      for (const filter of [...this.l4.ingress.filters, ...this.l4.egress.filters]) {
        for (const one of filter.peers.keys()) {
          const filters = this.#filtersOf.get(one);
          if (filters === undefined) this.#filtersOf.set(one, [filter]);
          else filters.push(filter);
        }
      }
    }
    return this.#filtersOf.get(selector) ?? [];
  }

  /** Somebody else holds it too, and must release it. */
  retain(): void {
    this.#holders++;
  }

  /** The last one who releases it gives its selectors back to the cache; it hears of no changes any more. */
  release(): void {
    if (--this.#holders === 0) for (const selector of this.#selectors) this.selectorCache.release(selector);
  }
}

function resolveSide(
  sides: readonly DirectionRules[],
  { enforced, defaultDeny }: DirectionEnforcement,
  context: ResolveContext,
): L4DirectionPolicy {
  if (!enforced) return NO_RULES;
  const speaking = sides.filter(speaks);
  const allowAny = allowAnySide(context.egress ? ALLOW_ANY_EGRESS : ALLOW_ANY_INGRESS);
  return resolveDirection(defaultDeny ? speaking : [...speaking, allowAny], context);
}
