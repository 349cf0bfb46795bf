import { addressBits, comparePrefixes, maskAddress, type Prefix } from './prefix.ts';

/** Values by prefix, IPv4 and IPv6. */
export class PrefixTable<T> {
  /** Family → prefix length → address. Only lengths in use, so that a walk up from a prefix is short. */
  readonly #byFamily = {
    4: new Map<number, Map<bigint, readonly [Prefix, T]>>(),
    6: new Map<number, Map<bigint, readonly [Prefix, T]>>(),
  };

  get(prefix: Prefix): T | undefined {
    return this.#byFamily[prefix.family].get(prefix.length)?.get(prefix.address)?.[1];
  }

  set(prefix: Prefix, value: T): void {
    const lengths = this.#byFamily[prefix.family];
    let byAddress = lengths.get(prefix.length);
    if (byAddress === undefined) {
      byAddress = new Map();
      lengths.set(prefix.length, byAddress);
    }
    byAddress.set(prefix.address, [prefix, value]);
  }

  delete(prefix: Prefix): boolean {
    const lengths = this.#byFamily[prefix.family];
    const deleted = lengths.get(prefix.length)?.delete(prefix.address) ?? false;
    if (deleted && lengths.get(prefix.length)!.size === 0) lengths.delete(prefix.length);
    return deleted;
  }

  /** Those that hold the whole prefix, itself included, longest first. */
  *covering({ family, address, length }: Prefix): Iterable<readonly [Prefix, T]> {
    const lengths = this.#byFamily[family];
    for (const one of [...lengths.keys()].filter((one) => one <= length).sort((a, b) => b - a)) {
      const found = lengths.get(one)!.get(maskAddress(family, address, one));
      if (found !== undefined) yield found;
    }
  }

  /** The longest prefix that holds the address. */
  lookup(family: 4 | 6, address: bigint): readonly [Prefix, T] | undefined {
    const [first] = this.covering({ family, address, length: addressBits(family) });
    return first;
  }

  /** In the order of {@link comparePrefixes}. */
  entries(): (readonly [Prefix, T])[] {
    return [...this].sort(([a], [b]) => comparePrefixes(a, b));
  }

  /** In no particular order. */
  *[Symbol.iterator](): Iterator<readonly [Prefix, T]> {
    for (const lengths of [this.#byFamily[4], this.#byFamily[6]])
      for (const byAddress of lengths.values()) yield* byAddress.values();
  }
}
