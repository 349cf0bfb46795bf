import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { type BpfMap, HashMap, LpmTrie, type Memory, pin } from '../src/index.ts';
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
const makers: [name: string, create: (memory: Memory) => BpfMap][] = [
  ['HashMap', (memory) => HashMap.create(memory, { keySize: 8, valueSize: 4 * VALUE_WORDS, maxEntries: 64 })],
  ['LpmTrie', (memory) => LpmTrie.create(memory, { keySize: 8, valueSize: 4 * VALUE_WORDS, maxEntries: 64 })],
];

// Half of the keys stay and are replaced all the time; the other half come and go, so that nodes are used again.
test.each(makers)('%s: a reader sees each value whole while another thread writes', async (_name, create) => {
  const { memory, value } = new Bench();
  const map = create(memory);
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
  for (const end = performance.now() + 1000; performance.now() < end; n++) {
    for (const [i, key] of keys.entries()) {
      if (i < stay.length || n % 2 === 1) write(key, n);
      else expect(map.delete(key)).toBe(0);
    }
  }
  Atomics.store(memory.i32, report + REPORT.state, STOP);
  expect(await ended).toEqual([0]);
  const [rounds, missing, mixed, foreign] = memory.i32.subarray(report + REPORT.rounds, report + 5);
  expect({ missing, mixed, foreign }).toEqual({ missing: 0, mixed: 0, foreign: 0 });
  expect(rounds).toBeGreaterThan(0);
  expect(n).toBeGreaterThan(2);
});
