import { type Address, LruHashMap, type Memory, NULL } from '@ciliate/maps';

/** As many datagrams as Cilium remembers (CILIUM_IPV4_FRAG_MAP_MAX_ENTRIES). */
const MAX_DATAGRAMS = 8192;
/** Numbers are words. */
const KEY = { source: 0, destination: 4, protocol: 8, id: 9, words: 10 } as const;
const VALUE = { shard: 0, flowLow: 1, flowHigh: 2, words: 3 } as const;

/**
 * Which connection the fragments of a datagram belong to, as its first one told. In the shared memory, since it depends on
 * all packets before; only the thread that fills a batch may use it.
 */
export class FragmentTable {
  /** Valid after `find` has answered true. */
  shard = 0;
  flowLow = 0;
  flowHigh = 0;
  readonly #map: LruHashMap;
  /** A key, then a value. */
  readonly #scratch: Address;

  private constructor(map: LruHashMap) {
    this.#map = map;
    this.#scratch = map.memory.alloc((KEY.words + VALUE.words) * 4);
  }

  /** @throws MapError ENOMEM */
  static create(memory: Memory): FragmentTable {
    const sizes = { keySize: KEY.words * 4, valueSize: VALUE.words * 4, maxEntries: MAX_DATAGRAMS };
    return new FragmentTable(LruHashMap.create(memory, { ...sizes, name: 'steered_datagrams', singleOwner: true }));
  }

  /** In another thread. */
  static attach(memory: Memory, address: Address): FragmentTable {
    return new FragmentTable(LruHashMap.attach(memory, address));
  }

  get address(): Address {
    return this.#map.address;
  }

  find(source: Int32Array, destination: Int32Array, protocol: number, id: number): boolean {
    const { u32 } = this.#map.memory;
    const value = this.#map.lookup(this.#key(source, destination, protocol, id));
    if (value === NULL) return false;
    this.shard = u32[(value >> 2) + VALUE.shard]!;
    this.flowLow = u32[(value >> 2) + VALUE.flowLow]!;
    this.flowHigh = u32[(value >> 2) + VALUE.flowHigh]!;
    return true;
  }

  set(
    source: Int32Array,
    destination: Int32Array,
    protocol: number,
    id: number,
    shard: number,
    low: number,
    high: number,
  ): void {
    const { u32 } = this.#map.memory;
    const key = this.#key(source, destination, protocol, id);
    const value = key + KEY.words * 4;
    u32[(value >> 2) + VALUE.shard] = shard;
    u32[(value >> 2) + VALUE.flowLow] = low;
    u32[(value >> 2) + VALUE.flowHigh] = high;
    this.#map.update(key, value);
  }

  /** Gives back what this thread has of it. */
  detach(): void {
    this.#map.memory.free(this.#scratch, (KEY.words + VALUE.words) * 4);
  }

  /** Gives back all of it. */
  destroy(): void {
    this.detach();
    this.#map.destroy();
  }

  #key(source: Int32Array, destination: Int32Array, protocol: number, id: number): Address {
    const { i32 } = this.#map.memory;
    const word = this.#scratch >> 2;
    for (let i = 0; i < 4; i++) {
      i32[word + KEY.source + i] = source[i]!;
      i32[word + KEY.destination + i] = destination[i]!;
    }
    i32[word + KEY.protocol] = protocol;
    i32[word + KEY.id] = id;
    return this.#scratch;
  }
}
