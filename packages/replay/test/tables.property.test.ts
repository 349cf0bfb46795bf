import { Memory } from '@ciliate/maps';
import { udpDatagram } from '@ciliate/packet';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EventStream } from '../src/packets/event_stream.ts';
import { FlowTable } from '../src/packets/flow_table.ts';
import { newLatency, percentile, recordLatency } from '../src/packets/latency.ts';
import { WordTable } from '../src/packets/word_table.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);
const runs = { seed, numRuns: 50 };
const memory = Memory.create(64 * 1024 * 1024);

test('events come out of a stream as they went in, also where it begins again', () => {
  const stream = EventStream.create(memory);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 1500 }), { minLength: 50, maxLength: 300 }), (lengths) => {
      const sent = lengths.map((length, i) => new Uint8Array(length).fill(i));
      sent.forEach((event, i) => void stream.write(i, event));
      const got: [number, Uint8Array][] = [];
      stream.drain((number, event) => got.push([number, event]));
      expect(got).toEqual(sent.map((event, i) => [i, event]));
    }),
    runs,
  );
  stream.destroy();
});

const frame = udpDatagram({ src: 1, dst: 2, srcPort: 3, dstPort: 4, payload: new Uint8Array(8) });
const at = memory.alloc(64);
memory.u8.set(frame, at);

test('a flow table that has room counts as a Map does', () => {
  const packet = fc.record({ flow: fc.nat({ max: 3000 }), length: fc.integer({ min: 60, max: 9000 }) });
  fc.assert(
    fc.property(fc.array(packet, { minLength: 2000, maxLength: 5000 }), (packets) => {
      const table = new FlowTable(memory, 8192);
      const model = new Map<number, { packets: number; bytes: number; first: number }>();
      packets.forEach(({ flow, length }, i) => {
        table.add(Math.imul(flow, 0x9e3779b1), flow, at, length, i, 0, 0);
        const known = model.get(flow) ?? { packets: 0, bytes: 0, first: i };
        model.set(flow, { ...known, packets: known.packets + 1, bytes: known.bytes + length });
      });
      const want = [...model.values()].sort((a, b) => b.packets - a.packets || a.first - b.first).slice(0, 40);
      const got = table.top(40).map(({ packets: count, bytes, first }) => ({ packets: count, bytes, first }));
      expect(got).toEqual(want);
      expect(table.totals).toEqual({ connections: model.size, forgotten: 0 });
    }),
    { ...runs, numRuns: 10 },
  );
});

test('a flow table that is full forgets the small flows and keeps the large ones', () => {
  const table = new FlowTable(memory, 1024);
  const LARGE = 100;
  for (let round = 0; round < 50; round++) {
    for (let flow = 0; flow < LARGE; flow++) table.add(flow, 1, at, 100, flow, 0, 0);
    for (let i = 0; i < 200; i++) table.add(Math.imul(200 * round + i, 0x9e3779b1), 2, at, 60, 1000, 0, 0);
  }
  const { connections, forgotten } = table.totals;
  expect(connections).toBe(LARGE + 50 * 200);
  expect(forgotten).toBeGreaterThan(50 * 200 - 1024);
  expect(table.top(LARGE).map(({ packets, bytes }) => [packets, bytes])).toEqual(
    Array.from({ length: LARGE }, () => [50, 5000]),
  );
});

test('percentiles are right to 3 %', () => {
  const times = fc.array(fc.double({ min: 20, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 200 });
  fc.assert(
    fc.property(times, fc.constantFrom(0.5, 0.9, 0.99, 1), (all, share) => {
      const buckets = newLatency();
      for (const ns of all) recordLatency(buckets, ns, 1);
      const exact = all.sort((a, b) => a - b)[Math.ceil(all.length * share) - 1]!;
      expect(Math.abs(percentile(buckets, share) / exact - 1)).toBeLessThan(0.03);
    }),
    runs,
  );
});

test('a word table answers what was put in last, and `absent` for the rest', () => {
  const key = fc.tuple(...Array.from({ length: 5 }, () => fc.integer({ min: -2, max: 2 })));
  fc.assert(
    fc.property(
      fc.array(fc.tuple(key, fc.integer({ min: 0, max: 1000 })), { maxLength: 300 }),
      key,
      (entries, other) => {
        const table = new WordTable();
        const model = new Map<string, number>();
        for (const [words, value] of entries) {
          table.set(...(words as [number, number, number, number, number]), value);
          model.set(words.join(), value);
        }
        for (const words of [...entries.map(([words]) => words), other])
          expect(table.get(...(words as [number, number, number, number, number]), -7)).toBe(
            model.get(words.join()) ?? -7,
          );
        expect(table.size).toBe(model.size);
      },
    ),
    runs,
  );
});
