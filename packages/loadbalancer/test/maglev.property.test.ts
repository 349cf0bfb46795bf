import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DEFAULT_MAGLEV_TABLE_SIZE, MAGLEV_TABLE_SIZES, type MaglevBackend, maglevTable } from '../src/index.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

const check = <T>(arbitrary: fc.Arbitrary<T>, holds: (value: T) => void): void =>
  fc.assert(fc.property(arbitrary, holds), { seed, numRuns: 60 });

const backendsOf = (weight: fc.Arbitrary<number>, minLength = 1): fc.Arbitrary<MaglevBackend[]> =>
  fc
    .uniqueArray(
      fc.record({
        id: fc.integer({ min: 1, max: 0xffff_fffe }),
        address: fc.oneof(fc.ipV4(), fc.constantFrom('fd00::1', 'fd00::2', 'fd00:10:244::b')),
        port: fc.constantFrom(80, 8080),
        protocol: fc.constantFrom('TCP', 'UDP'),
        weight,
      }),
      { minLength, maxLength: 100, selector: ({ address, port, protocol }) => `${address} ${port} ${protocol}` },
    )
    .filter((backends) => new Set(backends.map(({ id }) => id)).size === backends.length);

const slotsOf = (table: Uint32Array): Map<number, number> => {
  const counts = new Map<number, number>();
  for (const id of table) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
};

test('each slot has a backend, and with equal weights no backend has two slots more than another', () => {
  const sizes = fc.constantFrom(...MAGLEV_TABLE_SIZES.slice(0, 7));
  check(fc.tuple(backendsOf(fc.constant(100)), sizes), ([backends, m]) => {
    const counts = slotsOf(maglevTable(backends, { m }));
    expect(new Set(backends.map(({ id }) => id))).toEqual(new Set(counts.keys()));
    expect(Math.max(...counts.values()) - Math.min(...counts.values())).toBeLessThanOrEqual(1);
  });
});

test('the order of the backends does not matter', () => {
  check(backendsOf(fc.integer({ min: 0, max: 500 })), (backends) => {
    expect(maglevTable(backends.toReversed(), { m: 1021 })).toEqual(maglevTable(backends, { m: 1021 }));
  });
});

test('a backend has the share of the slots that its weight has of all weights, within a thousandth of the table', () => {
  check(backendsOf(fc.integer({ min: 1, max: 500 })), (backends) => {
    const sum = backends.reduce((all, { weight = 0 }) => all + weight, 0);
    fc.pre(Math.floor(sum / backends.length) > 1); // as in Cilium, where smaller weights do not count
    const counts = slotsOf(maglevTable(backends));
    for (const { id, weight = 0 } of backends) {
      const wanted = (DEFAULT_MAGLEV_TABLE_SIZE * weight) / sum;
      expect(Math.abs((counts.get(id) ?? 0) - wanted)).toBeLessThan(DEFAULT_MAGLEV_TABLE_SIZE / 1000);
    }
  });
});

test('when a backend leaves, of the slots of those that stay fewer than one in 20 move', () => {
  check(fc.tuple(backendsOf(fc.constant(100), 2), fc.nat()), ([backends, n]) => {
    const gone = backends[n % backends.length]!;
    const before = maglevTable(backends);
    const after = maglevTable(backends.filter((backend) => backend !== gone));
    expect(after).not.toContain(gone.id);
    const stayed = [...before.keys()].filter((slot) => before[slot] !== gone.id);
    const moved = stayed.filter((slot) => before[slot] !== after[slot]);
    expect(moved.length).toBeLessThan(stayed.length / 20);
  });
});
