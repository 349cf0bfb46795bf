import { type CidrPrefix, cidrContains, parseCidrKey } from '@ciliate/labels';

/**
 * Values by the key of a `cidr:` label, found by containment. Looks at every prefix once per question: a comparison of
 * numbers, many times cheaper than asking a selector.
 */
export class PrefixIndex<T> {
  readonly #entries = new Map<string, { prefix: CidrPrefix | undefined; values: Set<T> }>();

  add(key: string, value: T): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) this.#entries.set(key, { prefix: parseCidrKey(key), values: new Set([value]) });
    else entry.values.add(value);
  }

  delete(key: string, value: T): void {
    const entry = this.#entries.get(key);
    entry?.values.delete(value);
    if (entry?.values.size === 0) this.#entries.delete(key);
  }

  /** Values of the prefixes that lie within this one. */
  *within(key: string): Iterable<T> {
    const outer = parseCidrKey(key);
    for (const { prefix, values } of this.#entries.values()) if (contains(outer, prefix)) yield* values;
  }

  /** Values of the prefixes that this one lies within. */
  *containing(key: string): Iterable<T> {
    const inner = parseCidrKey(key);
    for (const { prefix, values } of this.#entries.values()) if (contains(prefix, inner)) yield* values;
  }
}

const contains = (outer: CidrPrefix | undefined, inner: CidrPrefix | undefined): boolean =>
  outer !== undefined && inner !== undefined && cidrContains(outer, inner);
