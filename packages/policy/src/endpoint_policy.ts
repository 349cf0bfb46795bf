import { applyUpdates, distillPolicy, type PolicyOwner, portOf } from './distill.ts';
import { type L4Filter, type L4Policy, REDIRECT_RULES } from './l4.ts';
import { ChangeSet, type MapStateChanges, mapStateChanges } from './map_changes.ts';
import type { MapState, MapStateView } from './mapstate.ts';
import { type RedirectFilter, redirectsOf } from './redirects.ts';
import type { SelectorPolicy } from './selector_policy.ts';
import type { SelectorUpdate } from './selectorcache.ts';

/** What one endpoint is held to. Source: pkg/policy/resolve.go, EndpointPolicy. */
export class EndpointPolicy {
  readonly selectorPolicy: SelectorPolicy;
  readonly owner: PolicyOwner;
  #mapState: MapState;

  /** For SelectorPolicy alone. */
  constructor(selectorPolicy: SelectorPolicy, owner: PolicyOwner) {
    selectorPolicy.retain();
    this.selectorPolicy = selectorPolicy;
    this.owner = owner;
    this.#mapState = this.#distill();
  }

  /** Of the repository, when the rules were resolved. */
  get revision(): number {
    return this.selectorPolicy.revision;
  }

  /** Is what no entry matches dropped? */
  get ingressEnforced(): boolean {
    return this.selectorPolicy.ingressEnforced;
  }

  get egressEnforced(): boolean {
    return this.selectorPolicy.egressEnforced;
  }

  get l4(): L4Policy {
    return this.selectorPolicy.l4;
  }

  /** The whole policy map of the endpoint. */
  get mapState(): MapStateView {
    return this.#mapState;
  }

  /** What the proxy must know, by the identities known now: every filter that redirects some peers. Made when asked for. */
  get redirects(): readonly RedirectFilter[] {
    if ((this.selectorPolicy.features & REDIRECT_RULES) === 0) return [];
    return redirectsOf([...this.l4.ingress.filters, ...this.l4.egress.filters]);
  }

  /** The port that a filter is about, 0 for every port; undefined for a name that means no port, or more than one. */
  portOf(filter: Pick<L4Filter, 'egress' | 'port' | 'portName' | 'protocol'>): number | undefined {
    return portOf(filter, this.owner);
  }

  /**
   * Bring the map up to date after the known identities changed. Must be called once for each answer of
   * {@link SelectorCache.updateIdentities}, in their order. Costs what it changes; except where an identity's labels
   * changed so that a selector lost it (the node itself and API servers alone can), then the map is computed anew.
   */
  update(updates: readonly SelectorUpdate[]): MapStateChanges {
    const { selectorPolicy } = this;
    const filtersOf = (selector: SelectorUpdate['selector']) => selectorPolicy.filtersOf(selector);
    if (updates.some(({ selector, lost }) => lost.length > 0 && filtersOf(selector).length > 0)) return this.#replace();
    const changes = new ChangeSet();
    applyUpdates(this.#mapState, updates, filtersOf, selectorPolicy.features, this.owner, changes);
    return changes.summary();
  }

  /** It is not used any more. */
  release(): void {
    this.selectorPolicy.release();
  }

  #replace(): MapStateChanges {
    const before = this.#mapState;
    this.#mapState = this.#distill();
    return mapStateChanges(before, this.#mapState);
  }

  #distill(): MapState {
    const { l4, ingressEnforced: ingress, egressEnforced: egress, allowLocalhost } = this.selectorPolicy;
    return distillPolicy(l4, { ingress, egress, allowLocalhost }, this.owner);
  }
}
