/** Numbers for names, from 1: the lowest one free, and the same as long as the name is in use. */
export class Numbering {
  readonly #numbers = new Map<string, number>();
  readonly #used = new Set<number>();
  /** All below are used. */
  #lowest = 1;

  of(name: string): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    while (this.#used.has(this.#lowest)) this.#lowest++;
    const number = this.#lowest;
    this.#numbers.set(name, number);
    this.#used.add(number);
    return number;
  }

  /** Frees the numbers of all other names. */
  keep(names: ReadonlySet<string>): void {
    for (const [name, number] of this.#numbers) {
      if (names.has(name)) continue;
      this.#numbers.delete(name);
      this.#used.delete(number);
      this.#lowest = Math.min(this.#lowest, number);
    }
  }
}
