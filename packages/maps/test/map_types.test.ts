import { describe, expect, test } from 'vitest';
import {
  ArrayMap,
  ArrayOfMaps,
  BPF_MAP_TYPE_HASH,
  BPF_MAP_TYPE_RINGBUF,
  BPF_RB_AVAIL_DATA,
  BPF_RB_CONS_POS,
  BPF_RB_PROD_POS,
  BPF_RB_RING_SIZE,
  createMap,
  E2BIG,
  EAGAIN,
  EINVAL,
  ENOENT,
  ENOSPC,
  ENOTSUPP,
  EventRing,
  HashMap,
  HashOfMaps,
  LruPerCpuHashMap,
  lookupBatch,
  openMap,
  PerCpuArrayMap,
  PerCpuHashMap,
  PerfEventArray,
  ProgArrayMap,
  RingBufMap,
} from '../src/index.ts';
import { Bench } from './support.ts';

const KEY = [1, 0, 0, 0];
const bytes8 = (n: number): number[] => [n, 0, 0, 0, 0, 0, 0, 0];

describe.each([
  ['PerCpuArrayMap', PerCpuArrayMap],
  ['PerCpuHashMap', PerCpuHashMap],
  ['LruPerCpuHashMap', LruPerCpuHashMap],
])('%s', (_name, kind) => {
  const spec = { keySize: 4, valueSize: 8, maxEntries: 4, cpus: 3 };

  test('each worker has a value of its own', () => {
    const bench = new Bench();
    const map = kind.create(bench.memory, spec);
    const third = kind.attach(bench.memory, map.address, 2);
    expect(bench.update(map, KEY, bytes8(1))).toBe(0);
    expect(bench.update(third, KEY, bytes8(3))).toBe(0);
    expect([bench.lookup(map, KEY), bench.lookup(third, KEY)]).toEqual([bytes8(1), bytes8(3)]);
    expect(map.copyAll(bench.key, bench.next)).toBe(0);
    expect(bench.bytes(bench.next, 24)).toEqual([...bytes8(1), ...bytes8(0), ...bytes8(3)]);
    expect(map.lookupCpu(bench.key, 2)).toBe(third.lookup(bench.key));
    expect(map.lookupCpu(bench.key, 3)).toBe(0);
    expect(map.lookup(bench.key)).not.toBe(third.lookup(bench.key));
    expect(openMap(bench.memory, map.address, 2).lookup(bench.key)).toBe(third.lookup(bench.key));
  });

  test('all values are set at once, as bpf(2) does', () => {
    const bench = new Bench();
    const map = kind.create(bench.memory, spec);
    bench.put(bench.key, KEY);
    bench.put(bench.value, [...bytes8(7), ...bytes8(8), ...bytes8(9)]);
    expect(map.updateAll(bench.key, bench.value)).toBe(0);
    const seen = [0, 1, 2].map((cpu) => bench.lookup(kind.attach(bench.memory, map.address, cpu), KEY)![0]);
    expect(seen).toEqual([7, 8, 9]);
  });

  test('a worker that the map has not is refused', () => {
    const { memory } = new Bench();
    expect(() => kind.create(memory, { ...spec, cpus: 65 })).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    expect(() => kind.create(memory, spec, 3)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
  });
});

test("a value of another entry's old node is not seen: a new key of a per-CPU hash is 0 for the other workers", () => {
  const bench = new Bench();
  const map = PerCpuHashMap.create(bench.memory, {
    keySize: 4,
    valueSize: 8,
    maxEntries: 1,
    cpus: 2,
    singleOwner: true,
  });
  const other = PerCpuHashMap.attach(bench.memory, map.address, 1);
  bench.update(other, KEY, bytes8(5));
  bench.delete(map, KEY);
  bench.update(map, [2, 0, 0, 0], bytes8(6));
  expect(bench.lookup(other, [2, 0, 0, 0])).toEqual(bytes8(0));
});

test('a prog array holds numbers of programs', () => {
  const bench = new Bench();
  const map = ProgArrayMap.create(bench.memory, { keySize: 4, valueSize: 4, maxEntries: 3 });
  expect(bench.update(map, KEY, [42, 0, 0, 0])).toBe(0);
  expect([0, 1, 2, 3, -1].map((i) => map.program(i))).toEqual([0, 42, 0, 0, 0]);
  expect(map.count).toBe(1);
  expect(bench.update(map, KEY, [0, 0, 0, 0])).toBe(-EINVAL);
  expect(bench.delete(map, KEY)).toBe(0);
  expect(bench.delete(map, KEY)).toBe(-ENOENT);
});

describe('maps of maps', () => {
  const inner = { type: BPF_MAP_TYPE_HASH, keySize: 4, valueSize: 8, maxEntries: 4 };
  const spec = { keySize: 4, valueSize: 4, maxEntries: 4 };
  const kinds: [string, typeof ArrayOfMaps | typeof HashOfMaps][] = [
    ['ArrayOfMaps', ArrayOfMaps],
    ['HashOfMaps', HashOfMaps],
  ];

  test.each(kinds)('%s: a map inside stays alive as long as it is inside', (_name, kind) => {
    const bench = new Bench();
    const { memory } = bench;
    const outer = kind.create(memory, spec, inner);
    const used = memory.usedBytes;
    const first = HashMap.create(memory, inner);
    bench.update(first, KEY, bytes8(9));
    memory.u32[bench.value >> 2] = first.address;
    expect(outer.update(bench.put(bench.key, KEY), bench.value)).toBe(0);
    first.destroy(); // the creator lets go
    const found = openMap(memory, outer.lookup(bench.key));
    expect(bench.lookup(found, KEY)).toEqual(bytes8(9));
    expect(outer.delete(bench.put(bench.key, KEY))).toBe(0);
    expect(outer.lookup(bench.key)).toBe(0);
    expect(memory.usedBytes - used).toBeLessThanOrEqual(outer.bytesUsed);
    expect(() => HashMap.attach(memory, first.address)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
  });

  test.each(kinds)('%s: destroyed with maps inside, gives all memory back', (_name, kind) => {
    const bench = new Bench();
    const { memory } = bench;
    const before = memory.usedBytes;
    const outer = kind.create(memory, spec, inner);
    for (let i = 0; i < 3; i++) {
      const map = HashMap.create(memory, inner);
      bench.update(map, KEY, bytes8(i));
      memory.u32[bench.value >> 2] = map.address;
      expect(outer.update(bench.put(bench.key, [i, 0, 0, 0]), bench.value)).toBe(0);
      if (i < 2) map.destroy();
      else {
        outer.destroy();
        expect(bench.lookup(map, KEY)).toEqual(bytes8(2)); // its creator still holds it
        map.destroy();
      }
    }
    expect(memory.usedBytes).toBe(before);
  });

  test.each(kinds)('%s: a map that looks different, or none, is refused', (_name, kind) => {
    const bench = new Bench();
    const { memory } = bench;
    const outer = kind.create(memory, spec, inner);
    for (const address of [0, 8, outer.address, HashMap.create(memory, { ...inner, valueSize: 4 }).address]) {
      memory.u32[bench.value >> 2] = address;
      expect(outer.update(bench.put(bench.key, KEY), bench.value)).toBe(-EINVAL);
    }
  });
});

test('a perf event array: each worker writes to its own ring', () => {
  const bench = new Bench();
  const { memory } = bench;
  const map = PerfEventArray.create(memory, { keySize: 4, valueSize: 4, maxEntries: 2 });
  const ring = EventRing.create(memory, 64);
  expect(map.output(1, bench.value, 8, 0, 0)).toBe(-ENOENT);
  expect(map.output(2, bench.value, 8, 0, 0)).toBe(-E2BIG);
  memory.u32[bench.value >> 2] = ring.address;
  expect(map.update(bench.put(bench.key, KEY), bench.value)).toBe(0);
  bench.put(bench.value, bytes8(3));
  expect(map.output(1, bench.value, 8, bench.value, 2)).toBe(0);
  while (map.output(1, bench.value, 8, 0, 0) === 0);
  expect(map.output(1, bench.value, 8, 0, 0)).toBe(-ENOSPC);
  const seen: number[][] = [];
  ring.drain((bytes) => seen.push([...bytes]));
  expect(seen[0]).toEqual([...bytes8(3), 3, 0]);
  expect(ring.lost).toBe(2);
  memory.u32[bench.value >> 2] = bench.key; // no ring
  expect(map.update(bench.key, bench.value)).toBe(-EINVAL);
});

describe('RingBufMap', () => {
  const spec = { keySize: 0, valueSize: 0, maxEntries: 4096 };
  const drain = (ring: RingBufMap): number[] => {
    const seen: number[] = [];
    ring.consume((bytes) => seen.push(bytes[0]!));
    return seen;
  };

  test('records come in the order of their reservation; a busy one holds up those behind, a discarded one is skipped', () => {
    const { memory } = new Bench();
    const ring = RingBufMap.create(memory, spec);
    const [a, b, c] = [1, 2, 3].map((n) => {
      const at = ring.reserve(10);
      memory.u8[at] = n;
      return at;
    });
    ring.submit(c!);
    expect(drain(ring)).toEqual([]);
    ring.submit(a!);
    expect(drain(ring)).toEqual([1]);
    ring.discard(b!);
    expect(drain(ring)).toEqual([3]);
    expect(ring.query(BPF_RB_AVAIL_DATA)).toBe(0);
    expect(ring.query(BPF_RB_CONS_POS)).toBe(3 * 24);
  });

  test('a full ring refuses, and takes again when there is room; over the end no byte is lost', () => {
    const bench = new Bench();
    const ring = RingBufMap.create(bench.memory, spec);
    let next = 0;
    let expected = 0;
    for (let round = 0; round < 50; round++) {
      let result = 0;
      for (; result === 0; next++) result = ring.output(bench.put(bench.value, [next & 255]), 100 + (next % 30));
      expect(result).toBe(-EAGAIN);
      next--;
      for (const seen of drain(ring)) expect(seen).toBe(expected++ & 255);
      expect(expected).toBe(next);
    }
    expect(ring.query(BPF_RB_PROD_POS)).toBeGreaterThan(40 * 4096);
    expect(ring.reserve(4096)).toBe(0); // with its header, larger than the ring
  });

  test('it has no keys', () => {
    const bench = new Bench();
    const ring = RingBufMap.create(bench.memory, spec);
    expect([ring.lookup(bench.key), ring.update(bench.key, bench.value), ring.delete(bench.key)]).toEqual([
      0,
      -ENOTSUPP,
      -ENOTSUPP,
    ]);
    expect([ring.getNextKey(0, bench.next), ring.query(BPF_RB_RING_SIZE)]).toEqual([-ENOTSUPP, 4096]);
  });

  test.each([0, 4095, 4097, 6000, 2048])('%i bytes are no size', (maxEntries) => {
    const { memory } = new Bench();
    expect(() => createMap(memory, BPF_MAP_TYPE_RINGBUF, { ...spec, maxEntries })).toThrow('EINVAL');
  });
});

test('batches of a hash: all entries once, whatever the room; none if a bucket has no room', () => {
  const bench = new Bench();
  const { memory } = bench;
  const map = HashMap.create(memory, { keySize: 4, valueSize: 4, maxEntries: 64 });
  for (let i = 0; i < 64; i++) bench.update(map, [i, 0, 0, 0], [i, 1, 0, 0]);
  for (const room of [8, 20, 64, 100]) {
    const seen: number[] = [];
    const batch = { cursor: 0, next: bench.next, keys: bench.key, values: bench.value, count: room };
    for (let result = 0; result === 0; batch.cursor = bench.next, batch.count = room) {
      result = lookupBatch(map, batch);
      expect([0, -ENOENT]).toContain(result);
      for (let i = 0; i < batch.count; i++) {
        seen.push(memory.u8[bench.key + 4 * i]!);
        expect(bench.bytes(bench.value + 4 * i, 2)).toEqual([seen.at(-1), 1]);
      }
    }
    expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: 64 }, (_, i) => i));
  }
  const results = new Set<number>();
  for (let bucket = 0; bucket < 64; bucket++) {
    memory.u32[bench.next >> 2] = bucket;
    results.add(
      lookupBatch(map, { cursor: bench.next, next: bench.next, keys: bench.key, values: bench.value, count: 1 }),
    );
  }
  expect(results).toContain(-ENOSPC); // 64 keys in 64 buckets: some share one
});

test('an array of long values: the whole value is there after an update, from an address that is no multiple of 4 too', () => {
  const bench = new Bench();
  const map = ArrayMap.create(bench.memory, { keySize: 4, valueSize: 13, maxEntries: 2 });
  const value = Array.from({ length: 13 }, (_, i) => i + 1);
  for (let shift = 0; shift < 4; shift++) {
    expect(map.update(bench.put(bench.key, KEY), bench.put(bench.value + shift, value))).toBe(0);
    expect(bench.lookup(map, KEY)).toEqual(value);
    bench.update(map, KEY, new Array(13).fill(0));
  }
});
