import type { FQDNSelector } from '@ciliate/k8s';
import { EndpointSelector, type Labels } from '@ciliate/labels';
import { IdentityIndex, SelectorIndex } from './selector_index.ts';

/** A selector with the identities it selects now. Owned by {@link SelectorCache}. */
export class CachedSelector {
  readonly selector: EndpointSelector;
  /** Canonical text. Of names learnt by the DNS proxy as Cilium writes it: `MatchName: …, MatchPattern: …`. */
  readonly key: string;
  /** Selects every identity, also those not known. */
  readonly isWildcard: boolean;
  /** Stands for peers that nobody is: selects nothing, whatever else is said of it. */
  readonly isNone: boolean;
  #selections: number[];

  constructor(selector: EndpointSelector, key: string, selections: number[]) {
    this.selector = selector;
    this.key = key;
    this.isWildcard = selector.isWildcard;
    this.isNone = key === NONE.key;
    this.#selections = selections;
  }

  /** Numeric identities, ascending. Not for the wildcard, which nobody needs spelt out: always empty. */
  selections(): readonly number[] {
    return this.#selections;
  }

  selects(identity: number): boolean {
    return this.isWildcard || this.#selections[this.#placeOf(identity)] === identity;
  }

  /** For SelectorCache alone. @returns whether the selection changed */
  update(identity: number, selected: boolean): boolean {
    const place = this.#placeOf(identity);
    if ((this.#selections[place] === identity) === selected) return false;
    // A list that somebody may hold is not changed.
    this.#selections = selected ? this.#selections.toSpliced(place, 0, identity) : this.#selections.toSpliced(place, 1);
    return true;
  }

  /** Of the first selected identity that is not below. */
  #placeOf(identity: number): number {
    let low = 0;
    let high = this.#selections.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#selections[middle]! < identity) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

const NONE = EndpointSelector.ofLabels({ source: 'reserved', key: 'none', value: '' });

/** What one change of the known identities did to a selector that is in use. */
export interface SelectorUpdate {
  readonly selector: CachedSelector;
  /** Newly selected. */
  readonly added: readonly number[];
  /** Selected before, and not known any more. */
  readonly deleted: readonly number[];
  /** Selected before, known still, with labels that the selector does not select: other selectors may. */
  readonly lost: readonly number[];
}

interface Slot {
  readonly cached: CachedSelector;
  readonly need: readonly string[] | undefined;
  users: number;
}

/**
 * Selector → identities, for every selector that some policy uses: evaluated once per identity, however many rules share
 * it. Both sides are indexed by labels, so that a new selector looks only at identities that have one of its labels, and
 * a new identity only at selectors that ask for one of its own. Source: pkg/policy/selectorcache.go.
 */
export class SelectorCache {
  readonly #identities = new IdentityIndex();
  readonly #selectors = new Map<string, Slot>();
  readonly #index = new SelectorIndex<Slot>();
  readonly #selecting = new Map<number, Set<Slot>>();

  /** @param identities known from the start: the reserved ones, at least `host`, which L7 rules look at */
  constructor(identities: Iterable<readonly [identity: number, labels: Labels]>) {
    for (const [identity, labels] of identities) this.#identities.set(identity, labels);
  }

  /**
   * Identities learnt (or learnt anew with other labels) and forgotten.
   * @returns the selectors whose identities changed by it, the wildcard aside
   */
  updateIdentities(
    added: Iterable<readonly [identity: number, labels: Labels]>,
    deleted: Iterable<number>,
  ): SelectorUpdate[] {
    const updates = new Map<Slot, { selector: CachedSelector; added: number[]; deleted: number[]; lost: number[] }>();
    const updateOf = (slot: Slot) => {
      let update = updates.get(slot);
      if (update === undefined) {
        update = { selector: slot.cached, added: [], deleted: [], lost: [] };
        updates.set(slot, update);
      }
      return update;
    };
    for (const identity of deleted) {
      this.#identities.delete(identity);
      for (const slot of this.#selecting.get(identity) ?? []) {
        if (slot.cached.update(identity, false)) updateOf(slot).deleted.push(identity);
      }
      this.#selecting.delete(identity);
    }
    for (const [identity, labels] of added) {
      const before = this.#identities.get(identity);
      if (before?.equals(labels)) continue;
      this.#identities.set(identity, labels);
      for (const slot of this.#selecting.get(identity) ?? []) {
        if (slot.cached.selector.matches(labels)) continue;
        slot.cached.update(identity, false);
        updateOf(slot).lost.push(identity);
      }
      const selecting = new Set<Slot>();
      for (const slot of this.#index.candidates(labels)) {
        if (!slot.cached.selector.matches(labels)) continue;
        selecting.add(slot);
        if (slot.cached.update(identity, true)) updateOf(slot).added.push(identity);
      }
      if (selecting.size > 0) this.#selecting.set(identity, selecting);
      else this.#selecting.delete(identity);
    }
    return [...updates.values()];
  }

  /** Enter a selector on behalf of a user, who must release it as often as he entered it. */
  acquire(selector: EndpointSelector): CachedSelector {
    return this.#acquire(selector.key, selector);
  }

  /** The same for names: selects the identities that the DNS proxy labelled with the name or pattern. */
  acquireFqdn({ matchName, matchPattern }: FQDNSelector): CachedSelector {
    const key = `MatchName: ${matchName}, MatchPattern: ${matchPattern}`;
    const label = { source: 'fqdn', key: matchName || matchPattern, value: '' };
    return this.#acquire(key, EndpointSelector.ofLabels(label));
  }

  #acquire(key: string, selector: EndpointSelector): CachedSelector {
    let slot = this.#selectors.get(key);
    if (slot === undefined) {
      const selections = selector.isWildcard ? [] : this.#identities.select(selector);
      const need = selector.isWildcard ? [] : this.#identities.rarestNeed(selector);
      slot = { cached: new CachedSelector(selector, key, selections), need, users: 0 };
      this.#index.add(slot, need);
      for (const identity of selections) this.#selectingOf(identity).add(slot);
      this.#selectors.set(key, slot);
    }
    slot.users++;
    return slot.cached;
  }

  /** A user is done with a selector; after its last user it leaves the cache. */
  release(selector: CachedSelector): void {
    const slot = this.#selectors.get(selector.key);
    if (slot?.cached !== selector || --slot.users > 0) return;
    this.#selectors.delete(selector.key);
    this.#index.delete(slot, slot.need);
    for (const identity of selector.selections()) this.#selecting.get(identity)?.delete(slot);
  }

  /** The labels of an identity; undefined if it is not known. */
  labelsOf(identity: number): Labels | undefined {
    return this.#identities.get(identity);
  }

  /** Every identity that is known, in no order. */
  identities(): Iterable<readonly [identity: number, labels: Labels]> {
    return this.#identities.entries();
  }

  /** Number of selectors in use. */
  get size(): number {
    return this.#selectors.size;
  }

  #selectingOf(identity: number): Set<Slot> {
    let slots = this.#selecting.get(identity);
    if (slots === undefined) {
      slots = new Set();
      this.#selecting.set(identity, slots);
    }
    return slots;
  }
}
