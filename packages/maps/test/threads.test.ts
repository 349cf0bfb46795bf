import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import {
  BPF_RB_AVAIL_DATA,
  type BpfMap,
  HashMap,
  LpmTrie,
  LruHashMap,
  type Memory,
  pin,
  RingBufMap,
} from '../src/index.ts';
import { Bench } from './support.ts';

const REPORT = { state: 0, rounds: 1, missing: 2, mixed: 3, foreign: 4 };
const RUNNING = 1;
const STOP = 2;

const workerUrl = (name: string): URL => new URL(`./workers/${name}.ts`, import.meta.url);

test('another thread attaches by the buffer and finds a map by its pin', async () => {
  const bench = new Bench();
  const { memory } = bench;
  const map = HashMap.create(memory, { keySize: 4, valueSize: 4, maxEntries: 8, name: 'shared' });
  pin(memory, 'shared', map.address);
  bench.update(map, [1, 2, 3, 4], [5, 6, 7, 8]);
  memory.nowNs = 12_345_678_901n;
  const used = memory.usedBytes;
  const workerData = { buffer: memory.buffer, name: 'shared', key: bench.key };
  const [answer] = await once(new Worker(workerUrl('attach'), { workerData }), 'message');
  expect(answer).toMatchObject({ spec: map.spec, value: map.lookup(bench.key), nowNs: 12_345_678_901n });
  expect(bench.lookup(map, [1, 2, 3, 4])).toEqual([6, 6, 7, 8]); // it changed the entry in place
  expect(memory.usedBytes).toBe(used + 64);
  expect(memory.alloc(8)).not.toBe(answer.scratch);
});

const VALUE_WORDS = 16;
const spec = { keySize: 8, valueSize: 4 * VALUE_WORDS, maxEntries: 64 };
interface Load {
  missing: number;
  mixed: number;
  foreign: number;
}

/**
 * One thread reads `map` without end, another one writes it for `ms`: half of the keys stay and are replaced all the time,
 * the other half come and go, so that nodes are used again.
 */
async function underLoad(bench: Bench, map: BpfMap, ms: number): Promise<Load> {
  const { memory, value } = bench;
  const report = memory.alloc(64) >> 2;
  const keys = Array.from({ length: 64 }, (_, i) => {
    const key = memory.alloc(8);
    memory.u32[key >> 2] = 32; // an LPM prefix length; a part of the key to a hash
    memory.view.setUint32(key + 4, Math.imul(i + 1, 0x9e37_79b9) >>> 0);
    return key;
  });
  const write = (key: number, n: number): void => {
    memory.u32.fill(n, value >> 2, (value >> 2) + VALUE_WORDS);
    memory.u32[value >> 2] = memory.u32[(key + 4) >> 2]!;
    expect(map.update(key, value)).toBe(0);
  };
  const stay = keys.slice(0, 32);
  for (const key of stay) write(key, 0);

  const workerData = { buffer: memory.buffer, map: map.address, report: report << 2, keys: stay };
  const worker = new Worker(workerUrl('reader'), { workerData });
  const ended = once(worker, 'exit');
  for (let waits = 0; memory.i32[report + REPORT.state] !== RUNNING && waits < 1000; waits++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  let n = 1;
  for (const end = performance.now() + ms; performance.now() < end; n++) {
    for (const [i, key] of keys.entries()) {
      if (i < stay.length || n % 2 === 1) write(key, n);
      else expect(map.delete(key)).toBe(0);
    }
  }
  Atomics.store(memory.i32, report + REPORT.state, STOP);
  expect(await ended).toEqual([0]);
  const [rounds = 0, missing = 0, mixed = 0, foreign = 0] = memory.i32.subarray(report + REPORT.rounds, report + 5);
  expect(rounds).toBeGreaterThan(0);
  expect(n).toBeGreaterThan(2);
  return { missing, mixed, foreign };
}

const makers: [name: string, create: (memory: Memory, singleOwner: boolean) => BpfMap][] = [
  ['HashMap', (memory, singleOwner) => HashMap.create(memory, { ...spec, singleOwner })],
  ['LruHashMap', (memory, singleOwner) => LruHashMap.create(memory, { ...spec, singleOwner })],
  ['LpmTrie', (memory, singleOwner) => LpmTrie.create(memory, { ...spec, singleOwner })],
];

test.each(makers)('%s: a reader sees each value whole while another thread writes', async (_name, create) => {
  const bench = new Bench();
  const seen = await underLoad(bench, create(bench.memory, false), 1000);
  expect(seen).toEqual({ missing: 0, mixed: 0, foreign: 0 });
});

// The test above would see it: a single-owner map writes in place, or uses replaced nodes again at once.
test.each(makers)('%s: without the protection, the same reader sees wrong values', async (_name, create) => {
  let wrong = 0;
  for (let tries = 0; tries < 20 && wrong === 0; tries++) {
    const bench = new Bench();
    const { missing, mixed, foreign } = await underLoad(bench, create(bench.memory, true), 500);
    wrong = missing + mixed + foreign;
  }
  expect(wrong).toBeGreaterThan(0);
});

test.each([
  ['HashMap', HashMap],
  ['LruHashMap', LruHashMap],
  ['LpmTrie', LpmTrie],
])('%s: three threads write the same map, and no entry is lost', async (_name, kind) => {
  const { memory } = new Bench();
  const perWriter = 200;
  const map = kind.create(memory, { keySize: 8, valueSize: 8, maxEntries: 4096 });
  const workers = [1, 2, 3].map((writer) => {
    const workerData = { buffer: memory.buffer, map: map.address, writer, perWriter, rounds: 50 };
    return once(new Worker(workerUrl('writer'), { workerData }), 'message');
  });
  for (const [answer] of await Promise.all(workers)) expect(answer).toEqual({ failed: 0 });
  expect(map.count).toBe(3 * perWriter);
  expect([...map.entries()]).toHaveLength(3 * perWriter);
});

test("a ring buffer: three threads write, one reads; nothing is lost, and each thread's records keep their order", async () => {
  const { memory } = new Bench();
  const ring = RingBufMap.create(memory, { keySize: 0, valueSize: 0, maxEntries: 4096 });
  const records = 3000;
  const ended = [1, 2, 3].map((writer) => {
    const workerData = { buffer: memory.buffer, ring: ring.address, writer, records };
    return once(new Worker(workerUrl('ring_writer'), { workerData }), 'exit');
  });
  const next = [0, 0, 0, 0];
  let bad = 0;
  for (let got = 0, idle = 0; got < 3 * records && idle < 5000; ) {
    const count = ring.consume((bytes) => {
      const [writer = 0, n = 0] = new Uint32Array(bytes.buffer, 0, 2);
      if (bytes.length !== 8 + (n % 50) || n !== next[writer] || bytes.subarray(8).some((b) => b !== writer)) bad++;
      next[writer] = n + 1;
    });
    got += count;
    if (count === 0) {
      idle++;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
  expect(next).toEqual([0, records, records, records]);
  expect(bad).toBe(0);
  await Promise.all(ended);
  expect(ring.query(BPF_RB_AVAIL_DATA)).toBe(0);
});
