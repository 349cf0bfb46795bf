import type { IpAddress } from '@ciliate/packet';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DnsCache, DnsZombies } from '../src/index.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);
const LIMITS = { minTtlS: 0, maxIpsPerHost: 2, maxDeferredDeletes: 2, idleGraceS: 0 };
const addresses = (zombies: DnsZombies): IpAddress[] => [...zombies.entries()].map(({ address }) => address).sort();

test('of two answers with one address the one that lasts longer counts', () => {
  const cache = new DnsCache(LIMITS);
  expect(cache.update('a.', [1], 30, 100)).toEqual([1]);
  expect(cache.update('a.', [1], 10, 110)).toEqual([]);
  expect(cache.update('a.', [1], 21, 110)).toEqual([1]);
  expect([...cache.entries()]).toEqual([{ name: 'a.', address: 1, expiresS: 131 }]);
});

test('beyond the limit of a name the addresses that expire first go', () => {
  const cache = new DnsCache(LIMITS);
  cache.update('a.', [1], 30, 0);
  cache.update('a.', [2], 10, 0);
  cache.update('a.', [3], 20, 0);
  expect(cache.gc(0).map(({ address }) => address)).toEqual([2]);
});

test('a connection keeps an address, and with it the others of its name', () => {
  const zombies = new DnsZombies({ ...LIMITS, maxDeferredDeletes: 10 });
  for (const address of [1, 2]) zombies.upsert({ name: 'a.', address, expiresS: 10 }, 10);
  zombies.upsert({ name: 'b.', address: 3, expiresS: 10 }, 10);
  for (const at of [60, 120, 180]) {
    zombies.conntrackCollected(at, new Set([1]));
    zombies.gc();
  }
  expect(addresses(zombies)).toEqual([1, 2]);
});

test('beyond the limit those go whose connections were seen longest ago', () => {
  const zombies = new DnsZombies(LIMITS);
  for (const address of [1, 2, 3]) zombies.upsert({ name: `${address}.`, address, expiresS: 10 }, 10);
  zombies.conntrackCollected(60, new Set([1, 3]));
  zombies.gc();
  expect(addresses(zombies)).toEqual([1, 3]);
});

test('a cache holds what a plain list of answers says, collection by collection', () => {
  const answer = fc.record({
    name: fc.constantFrom('a.', 'b.'),
    address: fc.nat(3),
    ttlS: fc.nat(40),
    waitS: fc.nat(9),
  });
  fc.assert(
    fc.property(fc.array(answer, { maxLength: 30 }), (answers) => {
      const cache = new DnsCache({ minTtlS: 5, maxIpsPerHost: 100 });
      let model: { name: string; address: number; expiresS: number }[] = [];
      let now = 0;
      for (const { name, address, ttlS, waitS } of answers) {
        now += waitS;
        cache.update(name, [address], ttlS, now);
        model.push({ name, address, expiresS: now + Math.max(5, ttlS) });
        if (address === 0) {
          cache.gc(now);
          model = model.filter(({ expiresS }) => expiresS >= now);
        }
        const latest = new Map<string, number>();
        for (const one of model) {
          const key = `${one.name} ${one.address}`;
          latest.set(key, Math.max(latest.get(key) ?? 0, one.expiresS));
        }
        const held = [...cache.entries()].map((one) => [`${one.name} ${one.address}`, one.expiresS] as const);
        expect(new Map(held)).toEqual(latest);
      }
    }),
    { seed, numRuns: 300 },
  );
});
