import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  ArrayMap,
  HashMap,
  LpmTrie,
  MapError,
  Memory,
  openMap,
  pin,
  pinned,
  pins,
  Scratch,
  unpin,
} from '../src/index.ts';
import { Bench, MIB, seed, thrown } from './support.ts';

test('blocks never overlap, come zeroed, and a memory freed is a memory empty', () => {
  const op = fc.record({ size: fc.integer({ min: 1, max: 5000 }), free: fc.option(fc.nat()) });
  fc.assert(
    fc.property(fc.array(op, { maxLength: 200 }), (ops) => {
      const memory = Memory.create(64 * 1024);
      const blocks: { at: number; size: number }[] = [];
      let used = 0;
      for (const { size, free } of ops) {
        if (free !== null && blocks.length > 0) {
          const [block] = blocks.splice(free % blocks.length, 1);
          memory.free(block!.at, block!.size);
          used -= Math.ceil(block!.size / 8) * 8;
        } else {
          let at: number;
          try {
            at = memory.alloc(size);
          } catch (error) {
            expect(error).toMatchObject({ code: 'ENOMEM' });
            continue;
          }
          expect(at % 8).toBe(0);
          expect(memory.u8.subarray(at, at + size).every((b) => b === 0)).toBe(true);
          for (const b of blocks) expect(at + size <= b.at || b.at + b.size <= at).toBe(true);
          memory.u8.fill(0xff, at, at + size);
          blocks.push({ at, size });
          used += Math.ceil(size / 8) * 8;
        }
        expect(memory.usedBytes).toBe(used);
      }
      for (const { at, size } of blocks) memory.free(at, size);
      expect(memory.usedBytes).toBe(0);
      if (ops.length > 0) memory.free(memory.alloc(40_000), 40_000); // the free blocks are one again
    }),
    { seed, numRuns: 200 },
  );
});

test('the last free block and the memory never used behind it are one', () => {
  const memory = Memory.create(64 * 1024);
  const at = memory.alloc(30_000);
  memory.u8.fill(0xff, at, at + 30_000);
  memory.free(at, 30_000);
  expect(memory.alloc(40_000)).toBe(at);
  expect(memory.u8.subarray(at, at + 40_000).every((byte) => byte === 0)).toBe(true);
});

test('a memory that is full says what was asked, what is used and what there is', () => {
  const memory = Memory.create(64 * 1024);
  memory.alloc(1000);
  const error = thrown(() => memory.alloc(60_000)) as MapError;
  expect(error).toBeInstanceOf(MapError);
  expect(error).toMatchObject({ code: 'ENOMEM', context: { asked: 60_000, used: 1000, limit: 65_536 } });
  expect(error.message).toContain('60000 bytes asked, 1000 of 65536 in use');
});

test.each([
  ['a size of 0', (m: Memory) => m.alloc(0)],
  ['a block given back twice', (m: Memory) => [m.alloc(32), m.free(8192, 16), m.free(8192, 16)]],
  ['a block that overlaps a free one', (m: Memory) => [m.alloc(64), m.free(8192, 32), m.free(8208, 32)]],
  ['a block beyond the heap', (m: Memory) => m.free(32_768, 16)],
  ['an address of no block', (m: Memory) => m.free(8193, 16)],
])('%s is refused', (_name, work) => {
  expect(thrown(() => work(Memory.create(MIB)))).toMatchObject({ code: 'EINVAL' });
});

test.each([
  ['no memory of ours', () => Memory.attach(new SharedArrayBuffer(65_536))],
  ['a buffer too small', () => Memory.attach(new SharedArrayBuffer(16))],
  ['a memory of no bytes', () => Memory.create(0)],
  ['a memory beyond 2 GiB', () => Memory.create(2 ** 31 + 1)],
])('%s: EINVAL', (_name, work) => {
  expect(thrown(work)).toMatchObject({ code: 'EINVAL' });
});

test('a memory of 2 GiB works up to its end', () => {
  const memory = Memory.create(2 ** 31);
  const size = 2 ** 30 - 8192;
  const [first, second] = [memory.alloc(size), memory.alloc(size)];
  expect(second! - first!).toBe(size);
  memory.u8[second! + size - 1] = 1;
  expect(() => memory.alloc(16_384)).toThrow('ENOMEM');
  memory.free(first!, size);
  expect(memory.usedBytes).toBe(size);
});

test('the clock word counts nanoseconds beyond 32 bits', () => {
  const memory = Memory.create(MIB);
  expect(memory.nowNs).toBe(0n);
  memory.nowNs = 123_456_789_999_999_999n;
  expect(Memory.attach(memory.buffer).nowNs).toBe(123_456_789_999_999_999n);
  memory.nowNs = 8_000_999_999_999n;
  expect(memory.nowSeconds).toBe(8000);
});

test('pins name maps', () => {
  const memory = Memory.create(MIB);
  const used = memory.usedBytes;
  pin(memory, 'b', 64);
  pin(memory, 'a', 128);
  pin(memory, 'ä', 192);
  expect(pins(memory)).toEqual([
    { name: 'a', address: 128 },
    { name: 'b', address: 64 },
    { name: 'ä', address: 192 },
  ]);
  expect(thrown(() => pin(memory, 'a', 64))).toMatchObject({ code: 'EEXIST', context: { name: 'a' } });
  expect([pinned(memory, 'a'), pinned(memory, 'c')]).toEqual([128, 0]);
  unpin(memory, 'a');
  expect(pinned(memory, 'a')).toBe(0);
  expect(thrown(() => unpin(memory, 'a'))).toMatchObject({ code: 'ENOENT' });
  unpin(memory, 'ä');
  unpin(memory, 'b');
  expect([pins(memory), memory.usedBytes]).toEqual([[], used]);
  for (const name of ['', 'a/b', 'x'.repeat(256)]) {
    expect(thrown(() => pin(memory, name, 64))).toMatchObject({ code: 'EINVAL' });
  }
});

test('openMap finds the type in the header; a map destroyed is gone and gives all its memory back', () => {
  const { memory, key, value } = new Bench();
  const used = memory.usedBytes;
  const spec = { keySize: 4, valueSize: 8, maxEntries: 10, name: 'a name', singleOwner: false };
  const maps = [
    ArrayMap.create(memory, spec),
    HashMap.create(memory, spec),
    LpmTrie.create(memory, { ...spec, keySize: 8 }),
  ];
  for (const map of maps) {
    map.update(key, value);
    const opened = openMap(memory, map.address);
    expect(opened).toBeInstanceOf(map.constructor);
    expect(opened).toMatchObject({ type: map.type, spec: map.spec, address: map.address });
    expect(opened.lookup(key)).toBe(map.lookup(key));
  }
  expect(thrown(() => HashMap.attach(memory, maps[0]!.address))).toMatchObject({ code: 'EINVAL' });
  expect(thrown(() => openMap(memory, key))).toMatchObject({ code: 'EINVAL' });
  for (const map of maps) map.destroy();
  expect(memory.usedBytes).toBe(used);
  for (const map of maps) expect(() => openMap(memory, map.address)).toThrow('EINVAL');
});

test('a scratch hands out its pieces once', () => {
  const memory = Memory.create(MIB);
  const scratch = Scratch.create(memory, 32);
  const [a, b] = [scratch.take(5), scratch.take(20)];
  expect([a! % 8, b! - a!]).toEqual([0, 8]);
  expect(thrown(() => scratch.take(8))).toMatchObject({ code: 'ENOMEM', context: { asked: 8, left: 0 } });
});
