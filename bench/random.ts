/** Seeded pseudo-random numbers (splitmix32: a counter through a mixing function). The same seed gives the same run. */
export class Random {
  private state: number;

  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  /** 0 .. 2^32-1 */
  next(): number {
    this.state = (this.state + 0x9e37_79b9) | 0;
    let x = this.state;
    x = Math.imul(x ^ (x >>> 16), 0x21f0_aaad);
    x = Math.imul(x ^ (x >>> 15), 0x735a_2d97);
    return (x ^ (x >>> 15)) >>> 0;
  }

  /** 0 .. 1, without 1 */
  fraction(): number {
    return this.next() / 2 ** 32;
  }

  /** 0 .. limit-1 */
  below(limit: number): number {
    return Math.floor(this.fraction() * limit);
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }
}
