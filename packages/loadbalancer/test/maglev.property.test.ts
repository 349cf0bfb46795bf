import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MAGLEV_SIZES, type MaglevBackend, maglevSeeds, maglevTable } from '../src/index.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

const size = fc.constantFrom(...MAGLEV_SIZES.filter((slots) => slots >= 1021 && slots <= 8191));
const backends = fc
  .uniqueArray(fc.record({ host: fc.nat(0xffff), port: fc.integer({ min: 1, max: 65535 }), id: fc.nat(0xffff_fffe) }), {
    selector: ({ host, port }) => `${host}:${port}`,
    minLength: 2,
    maxLength: 20,
  })
  .map((list) =>
    list.map(
      ({ host, port }, index): MaglevBackend => ({
        id: index + 1,
        address: `10.0.${host >> 8}.${host & 0xff}`,
        port,
        protocol: 'TCP',
      }),
    ),
  );
const shares = (table: Uint32Array): Map<number, number> => {
  const found = new Map<number, number>();
  for (const id of table) found.set(id, (found.get(id) ?? 0) + 1);
  return found;
};

test('every slot has a backend, the shares are equal, and the order of backends does not matter', () => {
  fc.assert(
    fc.property(backends, size, (list, slots) => {
      const table = maglevTable(list, { size: slots });
      const counts = [...shares(table).values()];
      expect(counts.reduce((sum, count) => sum + count, 0)).toBe(slots);
      expect(counts).toHaveLength(list.length);
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
      expect(maglevTable(list.toReversed(), { size: slots })).toEqual(table);
    }),
    { seed, numRuns: 100 },
  );
});

test('when a backend leaves, few slots of the others change', () => {
  let [moved, kept] = [0, 0];
  fc.assert(
    fc.property(backends, size, fc.nat(), (list, slots, which) => {
      const gone = list[which % list.length]!;
      const before = maglevTable(list, { size: slots });
      const after = maglevTable(
        list.filter((one) => one !== gone),
        { size: slots },
      );
      let changed = 0;
      for (const [slot, id] of before.entries()) if (id !== gone.id && after[slot] !== id) changed++;
      // The paper measures a few per cent with tables 100 times as large as the set; small sets move more.
      expect(changed / slots).toBeLessThan(0.25);
      moved += changed;
      kept += slots;
    }),
    { seed, numRuns: 100 },
  );
  expect(moved / kept).toBeLessThan(0.1);
});

test('a backend of twice the weight has about twice the slots', () => {
  fc.assert(
    fc.property(backends, (list) => {
      const table = maglevTable(
        list.map((one, index) => ({ ...one, weight: index === 0 ? 200 : 100 })),
        { size: 8191 },
      );
      const counts = shares(table);
      expect(counts.get(1)! / counts.get(2)!).toBeGreaterThan(1.8);
      expect(counts.get(1)! / counts.get(2)!).toBeLessThan(2.2);
    }),
    { seed, numRuns: 50 },
  );
});

test.each(['', 'AAAA', 'JLfvgnHc2kaSUFaIAAAA', 'not base64!!!!!!'])('%j is no seed', (text) => {
  expect(() => maglevSeeds(text)).toThrow('want 12 bytes in base64');
});

test('no backends, no table', () => {
  expect(maglevTable([])).toHaveLength(0);
});
