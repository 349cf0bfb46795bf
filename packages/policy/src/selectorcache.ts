import type { EndpointSelector, Labels } from '@ciliate/labels';

/** Whoever holds a selector in the cache; compared by identity alone. */
export type SelectorUser = object;

/** A selector with the identities it selects now. Owned by {@link SelectorCache}. */
export class CachedSelector {
  readonly selector: EndpointSelector;
  readonly #selected = new Set<number>();
  #sorted: readonly number[] | undefined;

  constructor(selector: EndpointSelector) {
    this.selector = selector;
  }

  get key(): string {
    return this.selector.key;
  }

  get isWildcard(): boolean {
    return this.selector.isWildcard;
  }

  /** Numeric identities, ascending. For the wildcard: all that are known now. */
  selections(): readonly number[] {
    this.#sorted ??= [...this.#selected].sort((a, b) => a - b);
    return this.#sorted;
  }

  selects(identity: number): boolean {
    return this.isWildcard || this.#selected.has(identity);
  }

  /** For SelectorCache alone. @returns whether the selection changed */
  update(identity: number, selected: boolean): boolean {
    if (this.#selected.has(identity) === selected) return false;
    if (selected) this.#selected.add(identity);
    else this.#selected.delete(identity);
    this.#sorted = undefined;
    return true;
  }
}

/** What one change of the known identities did to a selector that is in use. */
export interface SelectorUpdate {
  readonly selector: CachedSelector;
  readonly added: readonly number[];
  readonly deleted: readonly number[];
}

/**
 * Selector → identities, for every selector that some policy uses. A selector is evaluated once per identity, however
 * many rules share it. Source: pkg/policy/selectorcache.go.
 */
export class SelectorCache {
  readonly #identities = new Map<number, Labels>();
  readonly #selectors = new Map<string, { cached: CachedSelector; users: Set<SelectorUser> }>();

  /** @param identities known from the start: the reserved ones, at least `host`, which L7 rules look at */
  constructor(identities: Iterable<readonly [identity: number, labels: Labels]>) {
    this.updateIdentities(identities, []);
  }

  /**
   * Identities learnt (or learnt anew with other labels) and forgotten.
   * @returns the selectors whose identities changed by it
   */
  updateIdentities(
    added: Iterable<readonly [identity: number, labels: Labels]>,
    deleted: Iterable<number>,
  ): SelectorUpdate[] {
    const gone = [...deleted].filter((identity) => this.#identities.delete(identity));
    const here = [...added];
    for (const [identity, labels] of here) this.#identities.set(identity, labels);
    const updates: SelectorUpdate[] = [];
    for (const { cached } of this.#selectors.values()) {
      const update = { selector: cached, added: [] as number[], deleted: [] as number[] };
      for (const identity of gone) if (cached.update(identity, false)) update.deleted.push(identity);
      for (const [identity, labels] of here) {
        const selected = cached.selector.matches(labels);
        if (cached.update(identity, selected)) (selected ? update.added : update.deleted).push(identity);
      }
      if (update.added.length + update.deleted.length > 0) updates.push(update);
    }
    return updates;
  }

  /** Enter a selector on behalf of a user, who must release it again. */
  acquire(selector: EndpointSelector, user: SelectorUser): CachedSelector {
    let slot = this.#selectors.get(selector.key);
    if (slot === undefined) {
      slot = { cached: new CachedSelector(selector), users: new Set() };
      for (const [identity, labels] of this.#identities) slot.cached.update(identity, selector.matches(labels));
      this.#selectors.set(selector.key, slot);
    }
    slot.users.add(user);
    return slot.cached;
  }

  /** A user is done with a selector; after its last user it leaves the cache. */
  release(selector: CachedSelector, user: SelectorUser): void {
    const slot = this.#selectors.get(selector.key);
    slot?.users.delete(user);
    if (slot?.users.size === 0) this.#selectors.delete(selector.key);
  }

  /** Number of selectors in use. */
  get size(): number {
    return this.#selectors.size;
  }
}
