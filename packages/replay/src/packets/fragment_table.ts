/** As many datagrams as Cilium remembers (CILIUM_IPV4_FRAG_MAP_MAX_ENTRIES): the oldest is forgotten for a new one. */
const MAX_DATAGRAMS = 8192;

/** Which connection the fragments of a datagram belong to, as its first one told. */
export class FragmentTable {
  readonly #known = new Map<string, readonly [shard: number, flowLow: number, flowHigh: number]>();

  static key(source: Int32Array, destination: Int32Array, protocol: number, id: number): string {
    return `${source.join()} ${destination.join()} ${protocol} ${id}`;
  }

  get(key: string): readonly [shard: number, flowLow: number, flowHigh: number] | undefined {
    return this.#known.get(key);
  }

  set(key: string, shard: number, flowLow: number, flowHigh: number): void {
    this.#known.delete(key); // a Map keeps the order of first insertion
    this.#known.set(key, [shard, flowLow, flowHigh]);
    if (this.#known.size > MAX_DATAGRAMS) this.#known.delete(this.#known.keys().next().value!);
  }
}
