import fc from 'fast-check';

const hex = (bytes: Iterable<number>): string => [...bytes].map((b) => b.toString(16).padStart(2, '0')).join('');
const round8 = (n: number): number => (n + 7) & ~7;

/** A kind of map that both the kernel and we have, and what to do with it. */
export interface Kind {
  name: string;
  /** BPF_MAP_TYPE_*. */
  type: number;
  keySize: number;
  valueSize: number;
  /** Of the kernel's BPF_MAP_CREATE. */
  flags: number;
  /** Lines for maps.c that make the objects which the map may hold. */
  objects: string[];
  /** Whether the kernel specifies the order of keys. */
  isOrdered: boolean;
  /** In hex. */
  key: fc.Arbitrary<string>;
  /** In hex, or @object. */
  value(index: number, cpus: number): string;
  /** Instead of 1..7, so that an LRU hash gives nothing up. */
  maxEntries?: number;
}

const NO_PREALLOC = 1;
const INNER = ['inner 1 4 8 4 0', 'inner 1 4 8 9 0', 'inner 2 4 8 4 0', 'inner 1 8 8 4 0'];
const INNER_ARRAYS = ['inner 2 4 8 4 0', 'inner 2 4 8 4 0', 'inner 2 4 8 5 0', 'inner 1 4 8 4 0'];

const bytes = (size: number): fc.Arbitrary<string> =>
  fc.array(fc.constantFrom(0, 1, 128, 255), { minLength: size, maxLength: size }).map(hex);
/** Some beyond the end. */
const index = fc.nat(9).map((n) => hex([n, 0, 0, n === 9 ? 255 : 0]));
const lpmKey = (size: number): fc.Arbitrary<string> =>
  fc.tuple(fc.nat(size * 8 + 1), bytes(size)).map(([bits, data]) => hex([bits & 255, bits >> 8, 0, 0]) + data);

const plain =
  (size: number) =>
  (i: number): string =>
    hex(Array.from({ length: size }, (_, n) => (i * 50 + n) & 255));
const perCpu =
  (size: number) =>
  (i: number, cpus: number): string =>
    plain(round8(size) * cpus)(i);
const object = (i: number): string => `@${i}`;

const hash = (name: string, type: number, keySize: number, valueSize: number, more: Partial<Kind> = {}): Kind => ({
  ...{
    name,
    type,
    keySize,
    valueSize,
    flags: 0,
    objects: [],
    isOrdered: false,
    key: bytes(keySize),
    value: plain(valueSize),
  },
  ...more,
});
const array = (name: string, type: number, valueSize: number, more: Partial<Kind> = {}): Kind => ({
  ...{ name, type, keySize: 4, valueSize, flags: 0, objects: [], isOrdered: true, key: index, value: plain(valueSize) },
  ...more,
});
const trie = (size: number): Kind => ({
  ...hash(`LPM_TRIE of ${size} bytes`, 11, 4 + size, 8, { flags: NO_PREALLOC, isOrdered: true, key: lpmKey(size) }),
});

export const KINDS: readonly Kind[] = [
  hash('HASH', 1, 3, 5),
  hash('HASH, keys and values of policy entries', 1, 12, 8, { flags: NO_PREALLOC }),
  hash('PERCPU_HASH', 5, 4, 5, { value: perCpu(5) }),
  hash('LRU_HASH that is never full', 9, 14, 56, { maxEntries: 4096 }),
  hash('LRU_PERCPU_HASH that is never full', 10, 4, 8, { maxEntries: 4096, value: perCpu(8) }),
  hash('HASH_OF_MAPS', 13, 4, 4, { objects: INNER, value: object }),
  trie(1),
  trie(4),
  trie(8),
  trie(20),
  array('ARRAY', 2, 5),
  array('ARRAY, values of 8 bytes', 2, 8),
  array('PERCPU_ARRAY', 6, 5, { value: perCpu(5) }),
  array('PROG_ARRAY', 3, 4, { objects: ['prog', 'prog', 'prog', 'prog'], value: object }),
  array('ARRAY_OF_MAPS', 12, 4, { objects: INNER_ARRAYS, value: object }),
];
