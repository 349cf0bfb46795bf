import { expect, test } from 'vitest';
import {
  EventRing,
  HashMap,
  IpcacheMap,
  LruHashMap,
  PerCpuHashMap,
  PolicyMap,
  Reader,
  setEndpointKey4,
  setIpcacheKey4,
  setPolicyKey,
} from '../src/index.ts';
import { Bench } from './support.ts';

/** Median heap growth per call, in bytes. Median: a garbage collection inside one round makes it negative. */
function bytesPerCall(hot: () => unknown, calls = 10_000, rounds = 15): number {
  const growth: number[] = [];
  for (let round = 0; round < 2 * rounds; round++) {
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < calls; i++) hot();
    if (round >= rounds) growth.push((process.memoryUsage().heapUsed - before) / calls); // first half warms up
  }
  return growth.sort((a, b) => a - b)[rounds >> 1]!;
}

const bench = new Bench();
const { memory, key, value } = bench;
const hash = HashMap.create(memory, { keySize: 14, valueSize: 56, maxEntries: 100, singleOwner: true });
bench.update(hash, [1, 2, 3, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0], [7]);
const hashKey = memory.alloc(16);
bench.put(hashKey, bench.bytes(key, 14));
const policy = PolicyMap.create(memory, 1, 100);
const entry = { deny: false, proxyPort: 0, proxyPortPriority: 0, authType: 0, hasExplicitAuth: false };
for (const identity of [0, 5, 0xffff_fffe]) {
  policy.update({ egress: false, identity, protocol: 6, dport: 80, portPrefixLen: 16 }, entry);
}
const ring = EventRing.create(memory, 1024);
const lru = LruHashMap.create(memory, { keySize: 14, valueSize: 56, maxEntries: 4, singleOwner: true });
const shared = HashMap.create(memory, { keySize: 12, valueSize: 8, maxEntries: 4 });
const perCpu = PerCpuHashMap.create(memory, { keySize: 8, valueSize: 16, maxEntries: 4, cpus: 2 });
const ipcache = IpcacheMap.create(memory);
ipcache.upsert(0xfffe_fdfc, 32, { identity: 0xfffe_0001, tunnelEndpoint: 0, key: 0, flags: 0 });
let changing = 0;
const reader = Reader.join(memory);

test.each<[name: string, hot: () => unknown]>([
  ['HashMap.lookup', () => hash.lookup(hashKey)],
  ['HashMap.update in place', () => hash.update(hashKey, value)],
  [
    'a policy lookup',
    () => {
      setPolicyKey(memory, key, 64, 0xffff_fffe, 0, 6, 80);
      return policy.trie.lookup(key);
    },
  ],
  [
    'an update of an LRU hash that gives an entry up',
    () => {
      memory.u32[key >> 2] = Math.imul(changing++, 0x9e37_79b1);
      return lru.update(key, value);
    },
  ],
  [
    'an update of a map with readers',
    () => {
      reader.quiet();
      return shared.update(hashKey, value);
    },
  ],
  ['a per-CPU update and lookup', () => perCpu.update(hashKey, value) + perCpu.lookup(hashKey)],
  [
    'an ipcache lookup',
    () => {
      setIpcacheKey4(memory, key, 0xfffe_fdfc, 32, 0);
      return ipcache.trie.lookup(key);
    },
  ],
  ['an ipcache key', () => setIpcacheKey4(memory, key, 0xfffe_fdfc, 32, 0)],
  ['an endpoint key', () => setEndpointKey4(memory, key, 0xfffe_fdfc)],
  ['a record into a ring, full or not', () => ring.outputParts(key, 48, value, 128)],
  ['a quiet point', () => reader.quiet()],
  ['the clock in seconds', () => memory.nowSeconds],
])('%s allocates nothing', (_name, hot) => {
  expect(bytesPerCall(hot)).toBeLessThan(1);
});

test('the measure sees an allocation', () => {
  let kept: unknown;
  expect(
    bytesPerCall(() => {
      kept = memory.u8.subarray(0, 1);
      return kept;
    }),
  ).toBeGreaterThan(16);
});
