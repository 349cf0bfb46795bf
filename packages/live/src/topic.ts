/** Tells everybody who listens; keeps the last of what was told, numbered from 1, for who asks later. */
export class Topic<T> {
  readonly #listeners = new Set<(item: T) => void>();
  readonly #kept: { readonly number: number; readonly item: T }[] = [];
  #count = 0;

  /** How many were told so far. */
  get count(): number {
    return this.#count;
  }

  publish(item: T): void {
    this.#kept.push({ number: ++this.#count, item });
    if (this.#kept.length > 2 * KEPT) this.#kept.splice(0, this.#kept.length - KEPT);
    for (const listener of this.#listeners) listener(item);
  }

  /** @returns a function that ends it */
  listen(listener: (item: T) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** What was told after the one with this number, as far as it is kept. */
  since(number: number): T[] {
    return this.#kept.filter((one) => one.number > number).map(({ item }) => item);
  }
}

const KEPT = 5000;
