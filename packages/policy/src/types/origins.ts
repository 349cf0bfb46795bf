import type { RuleOrigin } from '../api/rule.ts';

/**
 * The rules that something comes from. Joining two is cheap, for it happens while a map state is computed; the list is
 * made when somebody asks for it.
 */
export class Origins {
  static readonly none = new Origins([], undefined);
  readonly #own: readonly RuleOrigin[];
  readonly #joined: readonly [Origins, Origins] | undefined;
  #list: readonly RuleOrigin[] | undefined;

  private constructor(own: readonly RuleOrigin[], joined: readonly [Origins, Origins] | undefined) {
    this.#own = own;
    this.#joined = joined;
  }

  /** @param origins not copied: what is added to it before the list is first asked for counts too */
  static of(origins: readonly RuleOrigin[]): Origins {
    return new Origins(origins, undefined);
  }

  with(other: Origins): Origins {
    if (other === this || other === Origins.none) return this;
    return this === Origins.none ? other : new Origins([], [this, other]);
  }

  /** Each rule once, in the order in which they came. */
  list(): readonly RuleOrigin[] {
    if (this.#list === undefined) {
      const found = new Set<RuleOrigin>();
      // Not by recursion: on a busy port thousands of rules are joined one by one.
      const pending: Origins[] = [this];
      for (let one = pending.pop(); one !== undefined; one = pending.pop()) {
        for (const origin of one.#list ?? one.#own) found.add(origin);
        if (one.#list === undefined && one.#joined !== undefined) pending.push(one.#joined[1], one.#joined[0]);
      }
      this.#list = [...found];
    }
    return this.#list;
  }
}
