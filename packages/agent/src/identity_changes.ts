import type { IdentityCache } from '@ciliate/identity';
import type { Labels } from '@ciliate/labels';
import type { SelectorCache, SelectorUpdate } from '@ciliate/policy';

/** Identities that came and went since the selector cache was last told. */
export class IdentityChanges {
  readonly #selectors: SelectorCache;
  readonly #added = new Map<number, Labels>();
  readonly #removed = new Set<number>();
  readonly #unsubscribe: () => void;

  /** @param onChange called for every change, before the selector cache knows it */
  constructor(identities: IdentityCache, selectors: SelectorCache, onChange: () => void) {
    this.#selectors = selectors;
    this.#unsubscribe = identities.subscribe({
      onAdd: (identity, labels) => {
        this.#removed.delete(identity);
        this.#added.set(identity, labels);
        onChange();
      },
      onRemove: (identity) => {
        this.#added.delete(identity);
        this.#removed.add(identity);
        onChange();
      },
    });
  }

  get pending(): boolean {
    return this.#added.size + this.#removed.size > 0;
  }

  /** The selector cache learns the new ones. Policies must follow before packets carry them. */
  tellAdded(): SelectorUpdate[] {
    const updates = this.#selectors.updateIdentities(this.#added, []);
    this.#added.clear();
    return updates;
  }

  /** The selector cache forgets those that no packet carries any more. */
  tellRemoved(): SelectorUpdate[] {
    const updates = this.#selectors.updateIdentities([], this.#removed);
    this.#removed.clear();
    return updates;
  }

  close(): void {
    this.#unsubscribe();
  }
}
