import {
  BPF_MAP_TYPE_ARRAY,
  BPF_MAP_TYPE_HASH,
  BPF_MAP_TYPE_LPM_TRIE,
  BPF_MAP_TYPE_LRU_HASH,
  BPF_MAP_TYPE_LRU_PERCPU_HASH,
  BPF_MAP_TYPE_PERCPU_ARRAY,
  BPF_MAP_TYPE_PERCPU_HASH,
  type BpfMap,
  createMap,
  Memory,
  openMap,
} from '@ciliate/maps';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Code, Compiled, encode, HELPERS, type LinkedFunction, Machine } from '../src/index.ts';
import * as a from './support/asm.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

const memory = Memory.create(64 * 1024 * 1024);
const CPU = 1;
const machine = new Machine(memory, { cpu: CPU });
const KEY_BYTES = 80;
const scratch = memory.alloc(KEY_BYTES + 64);

/** A program of two instructions and an exit: looks a key up whose address is in its packet's mark. */
function lookupProgram(map: BpfMap): (key: number) => number {
  const code = Code.decode(
    encode([a.ldx('W', 2, 1, 8), ...a.lddw(1, BigInt(map.address)), a.call(1), a.exit()]),
    'main',
  );
  const references = new Map([[1, { kind: 'map' as const, name: 'map' }]]);
  const def = { name: 'main', section: 'tc', code, references, lines: () => [], tags: [] };
  const fn: LinkedFunction = { def, index: 1, code };
  const compiled = new Compiled(machine, HELPERS);
  compiled.add([fn]);
  return (key) => {
    memory.u32[(machine.context + 8) >> 2] = key;
    return compiled.run(fn, 0);
  };
}

const put = (bytes: Uint8Array, at: number): number => {
  memory.u8.fill(0xee, at, at + KEY_BYTES); // what lies behind a key must not matter
  memory.u8.set(bytes, at);
  return at;
};

/** Keys that differ in a bit or two, wherever in the key that is. */
const keyOf = (size: number) =>
  fc.array(fc.nat(8 * size - 1), { maxLength: 2 }).map((bits) => {
    const bytes = new Uint8Array(size).fill(0xa5);
    for (const bit of bits) bytes[bit >> 3]! ^= 1 << (bit & 7);
    return bytes;
  });
/** Prefixes of such keys; whole ones most of all. */
const trieKey = (size: number) =>
  fc.tuple(fc.oneof(fc.constant(8 * (size - 4)), fc.nat(8 * (size - 4) + 1)), keyOf(size - 4)).map(([bits, data]) => {
    const bytes = new Uint8Array(size);
    bytes.set(data, 4);
    new DataView(bytes.buffer).setUint32(0, bits, true);
    return bytes;
  });
const indexKey = fc.nat(9).map((index) => new Uint8Array(Uint32Array.of(index).buffer));

const kinds: [name: string, type: number, keySize: number, key: fc.Arbitrary<Uint8Array>][] = [
  ['array', BPF_MAP_TYPE_ARRAY, 4, indexKey],
  ['per-CPU array', BPF_MAP_TYPE_PERCPU_ARRAY, 4, indexKey],
  ...[1, 3, 4, 6, 8, 14, 20, 38, 64, 70].map(
    (size) => [`hash, keys of ${size}`, BPF_MAP_TYPE_HASH, size, keyOf(size)] as (typeof kinds)[0],
  ),
  ['LRU hash', BPF_MAP_TYPE_LRU_HASH, 14, keyOf(14)],
  ['per-CPU hash', BPF_MAP_TYPE_PERCPU_HASH, 8, keyOf(8)],
  ['per-CPU LRU hash', BPF_MAP_TYPE_LRU_PERCPU_HASH, 8, keyOf(8)],
  ...[5, 6, 8, 12, 24].map(
    (size) => [`trie, keys of ${size}`, BPF_MAP_TYPE_LPM_TRIE, size, trieKey(size)] as (typeof kinds)[0],
  ),
];

test.each(kinds)('the lookup in a program is that of the map: %s', (_name, type, keySize, key) => {
  fc.assert(
    fc.property(
      fc.array(key, { maxLength: 20 }),
      fc.array(key, { minLength: 1, maxLength: 20 }),
      fc.nat(3),
      (there, asked, shift) => {
        const made = createMap(memory, type, { keySize, valueSize: 12, maxEntries: 8, cpus: 2 });
        const map = openMap(memory, made.address, CPU);
        const lookup = lookupProgram(map);
        for (const bytes of there) map.update(put(bytes, scratch), scratch + KEY_BYTES);
        for (const bytes of [...asked, ...there]) {
          const at = put(bytes, scratch + shift); // a key on the stack of a program lies anywhere
          expect(lookup(at)).toBe(map.lookup(at));
        }
        made.destroy();
      },
    ),
    { seed, numRuns: 60 },
  );
});
