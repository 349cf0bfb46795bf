import type { IdentityRange, NumericIdentity } from './numeric.ts';

/**
 * The numbers of a range that nobody is known to use. A number is free, leased (chosen here, not yet written to the
 * store) or gone. The next one is chosen at random, so that agents seldom choose the same.
 * Source: pkg/idpool/idpool.go.
 */
export class IdPool {
  readonly #range: IdentityRange;
  readonly #random: () => number;
  /** Ascending, so that equal draws give equal numbers whatever came and went before. */
  readonly #free: NumericIdentity[];
  readonly #leased = new Set<NumericIdentity>();

  /** @param random answers numbers in [0, 1); 0 chooses the lowest free number */
  constructor(range: IdentityRange, random: () => number) {
    this.#range = range;
    this.#random = random;
    this.#free = Array.from({ length: range.max - range.min + 1 }, (_, i) => range.min + i);
  }

  /** Choose a free number; undefined if there is none. Follow with `remove` or `release`. */
  lease(): NumericIdentity | undefined {
    const identity = this.#free[Math.floor(this.#random() * this.#free.length)];
    if (identity === undefined) return undefined;
    this.remove(identity);
    this.#leased.add(identity);
    return identity;
  }

  /** Give a leased number back. Does nothing if it was seen in use in the meantime. */
  release(identity: NumericIdentity): void {
    if (this.#leased.has(identity)) this.insert(identity);
  }

  /** The number is in use, be it written from here or seen in the store. */
  remove(identity: NumericIdentity): void {
    this.#leased.delete(identity);
    const at = this.#lowerBound(identity);
    if (this.#free[at] === identity) this.#free.splice(at, 1);
  }

  /** The number is no longer in use. */
  insert(identity: NumericIdentity): void {
    this.#leased.delete(identity);
    if (identity < this.#range.min || identity > this.#range.max) return;
    const at = this.#lowerBound(identity);
    if (this.#free[at] !== identity) this.#free.splice(at, 0, identity);
  }

  /** Index of the first free number that is not below `identity`. */
  #lowerBound(identity: NumericIdentity): number {
    let low = 0;
    let high = this.#free.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#free[middle]! < identity) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
