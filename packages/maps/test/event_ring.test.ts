import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EventRing, Memory } from '../src/index.ts';
import { MIB, seed } from './support.ts';

test('records come out as they went in, in order; what found no room is counted', () => {
  const op = fc.oneof(
    { weight: 4, arbitrary: fc.tuple(fc.nat(40), fc.nat(40)) },
    { weight: 1, arbitrary: fc.constant('drain' as const) },
  );
  fc.assert(
    fc.property(fc.array(op, { maxLength: 100 }), (ops) => {
      const memory = Memory.create(MIB);
      const ring = EventRing.create(memory, 256);
      const reader = EventRing.attach(memory, ring.address);
      const bytes = memory.alloc(256);
      for (let i = 0; i < 256; i++) memory.u8[bytes + i] = i;
      const waiting: number[][] = [];
      let lost = 0;
      const drain = (): void => {
        const got: number[][] = [];
        reader.drain((record) => got.push([...record]));
        expect(got).toEqual(waiting.splice(0));
      };
      for (const [i, operation] of ops.entries()) {
        if (operation === 'drain') {
          drain();
          expect(ring.output(bytes, 100)).toBe(true); // an empty ring takes a record of nearly half its size
          waiting.push([...memory.u8.subarray(bytes, bytes + 100)]);
          continue;
        }
        const [len1, len2] = operation;
        const [at1, at2] = [bytes + (i % 100), bytes + 100 + (i % 7)];
        if (ring.outputParts(at1, len1, at2, len2)) {
          waiting.push([...memory.u8.subarray(at1, at1 + len1), ...memory.u8.subarray(at2, at2 + len2)]);
        } else lost++;
        expect(reader.lost).toBe(lost);
      }
      drain();
    }),
    { seed, numRuns: 300 },
  );
});

test('a ring refuses when full, and takes again after a drain', () => {
  const memory = Memory.create(MIB);
  const ring = EventRing.create(memory, 64);
  expect([1, 2, 3, 4].map(() => ring.output(1024, 8))).toEqual([true, true, true, true]);
  expect([ring.output(1024, 0), ring.lost]).toEqual([false, 1]);
  let seen = 0;
  ring.drain(() => seen++);
  expect([seen, ring.output(1024, 8), ring.lost]).toEqual([4, true, 1]);
});

test('only a ring can be attached to; a ring destroyed gives its memory back', () => {
  const memory = Memory.create(MIB);
  const used = memory.usedBytes;
  const ring = EventRing.create(memory, 100);
  expect(memory.usedBytes - used).toBe(64 + 128);
  ring.destroy();
  expect(memory.usedBytes).toBe(used);
  expect(() => EventRing.attach(memory, ring.address)).toThrow('EINVAL');
  expect(() => EventRing.create(memory, 0)).toThrow('EINVAL');
});
