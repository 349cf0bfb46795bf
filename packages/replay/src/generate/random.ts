/** Random numbers, the same for the same seed. Algorithm: sfc32 (public domain, C. Doty-Humphrey). */
export class Random {
  readonly #state: Uint32Array;

  readonly seed: number;

  constructor(seed: number) {
    this.seed = seed;
    this.#state = Uint32Array.of(seed, 0x9e3779b9, 0x243f6a88, 1);
    for (let i = 0; i < 16; i++) this.next();
  }

  /** 0..2^32-1. */
  next(): number {
    const s = this.#state;
    const t = (s[0]! + s[1]! + s[3]!) | 0;
    s[3]! += 1;
    s[0] = s[1]! ^ (s[1]! >>> 9);
    s[1] = (s[2]! + (s[2]! << 3)) | 0;
    s[2] = ((s[2]! << 21) | (s[2]! >>> 11)) + t;
    return t >>> 0;
  }

  /** In [0, 1). */
  fraction(): number {
    return this.next() / 2 ** 32;
  }

  /** A whole number from 0 to `count` - 1. */
  below(count: number): number {
    return Math.floor(this.fraction() * count);
  }

  /** With this mean, exponentially distributed. */
  exponential(mean: number): number {
    return -mean * Math.log(1 - this.fraction());
  }
}

/** Picks an index with the probability of its weight, in constant time (Vose's alias method). */
export class WeightedChoice {
  readonly #share: Float64Array;
  readonly #other: Uint32Array;

  /** @param weights not all 0 */
  constructor(weights: readonly number[] | Float64Array) {
    const count = weights.length;
    let total = 0;
    for (const weight of weights) total += weight;
    this.#share = Float64Array.from(weights, (weight) => (weight * count) / total);
    this.#other = new Uint32Array(count);
    const small: number[] = [];
    const large: number[] = [];
    for (let i = 0; i < count; i++) (this.#share[i]! < 1 ? small : large).push(i);
    while (small.length > 0 && large.length > 0) {
      const less = small.pop()!;
      const more = large[large.length - 1]!;
      this.#other[less] = more;
      this.#share[more]! -= 1 - this.#share[less]!;
      if (this.#share[more]! < 1) small.push(large.pop()!);
    }
    for (const rest of [...small, ...large]) this.#share[rest] = 1;
  }

  pick(random: Random): number {
    const place = random.fraction() * this.#share.length;
    const index = Math.floor(place);
    return place - index < this.#share[index]! ? index : this.#other[index]!;
  }
}

/** Shares of `count` ranks, the first the largest: 1/rank^skew, adding up to 1. Skew 0: all the same. */
export function zipfShares(count: number, skew: number): Float64Array {
  const shares = Float64Array.from({ length: count }, (_, i) => (i + 1) ** -skew);
  const total = shares.reduce((sum, share) => sum + share, 0);
  return shares.map((share) => share / total);
}
