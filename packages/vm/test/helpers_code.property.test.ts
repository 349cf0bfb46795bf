import { readFileSync } from 'node:fs';
import {
  BPF_MAP_TYPE_ARRAY,
  BPF_MAP_TYPE_HASH,
  BPF_MAP_TYPE_LPM_TRIE,
  BPF_MAP_TYPE_LRU_HASH,
  BPF_MAP_TYPE_LRU_PERCPU_HASH,
  BPF_MAP_TYPE_PERCPU_HASH,
  createMap,
  EventRing,
  Memory,
  PerfEventArray,
  Reader,
} from '@ciliate/maps';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { helpersCode } from '../assembly/compile.ts';
import { fastHelpers } from '../src/helpers/fast.ts';
import { HELPERS, Machine } from '../src/index.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

const MEMORY_BYTES = 1024 * 1024;
const SLOW = { update: 2, delete: 3, output: 25 } as const;

/** A machine that has been made as often as asked, and the helpers as they are run there: in TypeScript, or as WebAssembly. */
class Side {
  readonly machine: Machine;
  readonly call: (id: number, ...args: number[]) => number;
  /** How many calls the code left to TypeScript. */
  left = 0;

  constructor(isFast: boolean, cpu: number) {
    this.machine = new Machine(Memory.create(MEMORY_BYTES), { cpu });
    const slow = (id: number, ...args: number[]): number =>
      HELPERS.get(id)!.run(this.machine, ...args.map((arg) => arg >>> 0)) | 0;
    const counted =
      (id: number) =>
      (...args: number[]): number => {
        this.left++;
        return slow(id, ...args);
      };
    const fast = fastHelpers(this.machine, {
      update: counted(SLOW.update),
      delete: counted(SLOW.delete),
      output: counted(SLOW.output),
    });
    this.call = isFast ? (id, ...args) => fast.get(id)!(...args) : slow;
  }
}

/** Two sides made alike; what a test does to one it does to the other. Equal are answers and the whole memory. */
function twins(cpu = 0): { sides: [Side, Side]; both: (act: (side: Side) => unknown) => void } {
  const sides: [Side, Side] = [new Side(false, cpu), new Side(true, cpu)];
  const both = (act: (side: Side) => unknown): void => {
    const [slow, fast] = sides.map(act);
    expect(fast).toEqual(slow);
  };
  return { sides, both };
}

function expectSameMemory([slow, fast]: [Side, Side]): void {
  const [a, b] = [slow.machine.memory.u8, fast.machine.memory.u8];
  if (Buffer.compare(a, b) === 0) return;
  const at = a.findIndex((byte, i) => byte !== b[i]);
  expect(`at ${at}: ${b.slice(at & ~7, at + 16)}`).toBe(`at ${at}: ${a.slice(at & ~7, at + 16)}`);
}

test('the code is what the sources make', { timeout: 120_000 }, async () => {
  expect(readFileSync(new URL('../src/helpers/code.ts', import.meta.url), 'utf8')).toBe(await helpersCode());
});

const offset = fc.oneof(fc.nat(130), fc.constantFrom(0xfffe, 0xffff, 0x10000, 0xffff_ffff));
const word = fc.oneof(fc.nat(0xffff), fc.integer(), fc.constantFrom(0, -1));
const size = fc.oneof(fc.constantFrom(0, 1, 2, 4, 6, 8, 16), fc.nat(140));
const flags = fc.oneof(fc.constantFrom(0, 1, 2, 3, 4, 0x10, 0x12, 0x14, 0x20, 0x32, 0x34, 0x60, 0x80), fc.nat(0x1ff));
const high = fc.constantFrom(0, 0, 0, 0, 1);
/** In the scratch, at any alignment. */
const place = fc.nat(15);

const packetCall = fc.oneof(
  fc.tuple(fc.constant(9), fc.tuple(offset, place, size, flags, high)),
  fc.tuple(fc.constant(26), fc.tuple(offset, place, size)),
  fc.tuple(fc.constantFrom(10, 11), fc.tuple(offset, word, word, flags, high)),
  fc.tuple(fc.constant(28), fc.tuple(place, size, place, size, word)),
  fc.tuple(fc.constant(32), fc.tuple(fc.nat(5))),
  fc.tuple(fc.constant(39), fc.tuple(offset)),
);

test('bytes and checksums of the packet: the same answers and bytes', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 14, maxLength: 120 }),
      fc.array(packetCall, { maxLength: 30 }),
      (bytes, calls) => {
        const { sides, both } = twins();
        const at = sides.map(({ machine: { memory, packet } }) => {
          packet.load('tc', bytes);
          const scratch = memory.alloc(256);
          for (let i = 0; i < 256; i++) memory.u8[scratch + i] = i * 37;
          return scratch;
        })[0]!;
        const skb = sides[0].machine.context;
        for (const [id, args] of calls) {
          const [a = 0, b = 0, ...rest] = args as number[];
          if (id === 28) both((side) => side.call(28, at + a, b, at + rest[0]!, rest[1]!, rest[2]!));
          else if (id === 9 || id === 26) both((side) => side.call(id, skb, a, at + b, ...rest));
          else both((side) => side.call(id, skb, a, b, ...rest));
        }
        expectSameMemory(sides);
      },
    ),
    { seed, numRuns: 300 },
  );
});

test.each([
  ['hash', BPF_MAP_TYPE_HASH, {}],
  ['hash of a single owner', BPF_MAP_TYPE_HASH, { singleOwner: true }],
  ['LRU hash', BPF_MAP_TYPE_LRU_HASH, {}],
  ['per-CPU hash', BPF_MAP_TYPE_PERCPU_HASH, { cpus: 2 }],
  ['per-CPU LRU hash', BPF_MAP_TYPE_LRU_PERCPU_HASH, { cpus: 2 }],
  ['array', BPF_MAP_TYPE_ARRAY, {}],
  ['LPM trie', BPF_MAP_TYPE_LPM_TRIE, {}],
] as const)(
  'updates and deletes of a map leave the memory word by word as the class does: %s',
  (_name, type, options) => {
    let quick = 0;
    const sizes = fc.record({
      keySize: fc.constantFrom(4, 5, 6, 7, 8, 14, 38),
      valueSize: fc.constantFrom(1, 4, 8, 13, 40),
    });
    const step = fc.tuple(
      fc.constantFrom(2, 2, 3, 'quiet' as const),
      fc.nat(24),
      fc.nat(3),
      fc.nat(5),
      fc.boolean(),
      high,
    );
    fc.assert(
      fc.property(
        sizes,
        fc.constantFrom(1, 8, 20, 100),
        fc.array(step, { maxLength: 300 }),
        (spec, maxEntries, steps) => {
          const { sides, both } = twins(1);
          const keySize = type === BPF_MAP_TYPE_ARRAY ? 4 : Math.max(spec.keySize, 5);
          const made = sides.map(({ machine: { memory } }) => {
            const map = createMap(memory, type, { ...spec, keySize, maxEntries, cpus: 1, ...options });
            return { map, scratch: memory.alloc(128), reader: Reader.join(memory, { writes: true }) };
          });
          const [{ map, scratch }] = made as [(typeof made)[0]];
          let n = 0;
          for (const [what, k, misaligned, flag, isZero, top] of steps) {
            if (what === 'quiet') {
              for (const { reader } of made) reader.quiet();
              continue;
            }
            const [key, value] = [scratch + (misaligned === 0 ? 0 : misaligned), scratch + 64 + (isZero ? 0 : 1)];
            n++;
            for (const { machine } of sides) {
              machine.memory.u8.fill(0, scratch, scratch + 128);
              machine.memory.view.setUint32(key, k, true);
              machine.memory.u8[key + keySize - 1]! ^= k;
              machine.memory.u8.fill(n, value, value + spec.valueSize);
            }
            if (what === 2) both((side) => side.call(2, map.address, key, value, flag === 5 ? -1 : flag, top));
            else both((side) => side.call(3, map.address, key));
            quick++;
          }
          expectSameMemory(sides);
          quick -= sides[1].left;
        },
      ),
      { seed, numRuns: 100 },
    );
    expect(quick).toBeGreaterThan(0);
  },
);

test('events fill the ring as in TypeScript, also one that is full or not there', () => {
  const call = fc.tuple(
    fc.constantFrom(0, 1, 2, -1),
    fc.constantFrom(0, 8, 60, 200, 1 << 20),
    fc.nat(60),
    fc.boolean(),
  );
  fc.assert(
    fc.property(fc.array(call, { maxLength: 60 }), (calls) => {
      const { sides, both } = twins(1);
      const made = sides.map(({ machine: { memory, packet } }) => {
        packet.load(
          'tc',
          Uint8Array.from({ length: 100 }, (_, i) => i),
        );
        const map = PerfEventArray.create(memory, { keySize: 4, valueSize: 4, maxEntries: 2 });
        const ring = EventRing.create(memory, 512);
        const scratch = memory.alloc(128);
        memory.u32[scratch >> 2] = 1;
        memory.u32[(scratch + 8) >> 2] = ring.address;
        expect(map.update(scratch, scratch + 8)).toBe(0);
        return { map, ring, scratch };
      });
      const [{ map, scratch }] = made as [(typeof made)[0]];
      for (const [cpu, high, size, drains] of calls) {
        both((side) => side.call(25, side.machine.context, map.address, cpu, high, scratch, size));
        if (drains) for (const { ring } of made) ring.drain(() => {});
      }
      expectSameMemory(sides);
    }),
    { seed, numRuns: 200 },
  );
});
