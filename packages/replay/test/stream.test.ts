import { type ParsedTcp, TCP_ACK, TCP_FIN, TCP_SYN } from '@ciliate/packet';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SegmentStream, seqDiff } from '../src/stream.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

const segment = (seq: number, flags: number): ParsedTcp => ({
  at: 34,
  srcPort: 1,
  dstPort: 2,
  seq: seq >>> 0,
  ack: 0,
  flags,
  window: 0,
});
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytes = (content: string): Uint8Array => new TextEncoder().encode(content);

test('a SYN takes one number, and the first byte is at place 0', () => {
  const stream = new SegmentStream();
  stream.add(segment(100, TCP_SYN), bytes(''));
  expect([stream.isn, stream.next]).toEqual([100, 101]);
  expect(text(stream.add(segment(101, TCP_ACK), bytes('hello')))).toBe('hello');
  expect(stream.next).toBe(106);
});

test('a segment that comes early waits for the one before it', () => {
  const stream = new SegmentStream();
  stream.add(segment(100, TCP_SYN), bytes(''));
  expect(text(stream.add(segment(104, TCP_ACK), bytes('lo')))).toBe('');
  expect(text(stream.add(segment(101, TCP_ACK), bytes('hel')))).toBe('hello');
});

test('a FIN counts only when nothing before it is missing', () => {
  const stream = new SegmentStream();
  stream.add(segment(100, TCP_SYN), bytes(''));
  stream.add(segment(103, TCP_FIN), bytes('c'));
  expect([stream.finished, stream.next]).toEqual([false, 101]);
  stream.add(segment(101, TCP_ACK), bytes('ab'));
  expect([stream.finished, stream.next]).toEqual([true, 105]);
});

test('sequence numbers wrap', () => {
  const stream = new SegmentStream();
  stream.add(segment(0xffff_fffe, TCP_SYN), bytes(''));
  stream.add(segment(0xffff_ffff, TCP_ACK), bytes('abc'));
  expect(stream.next).toBe(2);
  expect(seqDiff(2, 0xffff_ffff)).toBe(3);
});

test('a recording that begins in the middle takes its first segment for the start', () => {
  const stream = new SegmentStream();
  expect(text(stream.add(segment(5000, TCP_ACK), bytes('mid')))).toBe('mid');
});

test('any cutting, repeating and reordering of segments gives the same bytes', () => {
  const pieces = fc.record({
    content: fc.string({ minLength: 1, maxLength: 60, unit: 'grapheme-ascii' }),
    isn: fc.integer({ min: 0, max: 0xffff_ffff }),
    cuts: fc.array(fc.tuple(fc.nat(60), fc.nat(60)), { maxLength: 12 }),
    order: fc.infiniteStream(fc.nat()),
  });
  fc.assert(
    fc.property(pieces, ({ content, isn, cuts, order }) => {
      const whole = bytes(content);
      const ranges = [...cuts.map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const), [0, whole.length] as const];
      const stream = new SegmentStream();
      stream.add(segment(isn, TCP_SYN), bytes(''));
      const keyed = ranges.map((range) => ({ range, key: order.next().value ?? 0 })).sort((a, b) => a.key - b.key);
      let grown = '';
      for (const { range } of keyed)
        grown += text(stream.add(segment(isn + 1 + range[0], TCP_ACK), whole.subarray(...range)));
      expect(text(stream.bytes)).toBe(content);
      expect(grown).toBe(content);
    }),
    { seed, numRuns: 500 },
  );
});
