import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeComment, openCapture, openCursor, PcapngWriter, writePcap } from '../src/index.ts';
import { seeded, temporaryFolder } from './support.ts';

const runs = seeded(60);
const folder = temporaryFolder();

const packet = fc.record({
  seconds: fc.nat({ max: 0xffffffff }),
  nanoseconds: fc.nat({ max: 999_999_999 }),
  data: fc.uint8Array({ maxLength: 3000 }),
  comment: fc.option(fc.string({ maxLength: 20 }), { nil: undefined }),
});
const packets = fc.array(packet, { maxLength: 60 });
const chunkBytes = fc.integer({ min: 100, max: 20_000 });

test('a cursor gives what iterating gives, whatever it reads at a time', () => {
  fc.assert(
    fc.property(packets, chunkBytes, fc.boolean(), (sent, chunk, isPcap) => {
      const path = join(folder, 'cursor.capture');
      if (isPcap) writePcap(path, sent.map(toPcap));
      else writePcapng(path, sent);
      const { cursor } = openCursor(path, chunk);
      const got = [];
      while (cursor.nextInBuffer() || cursor.next()) {
        const { number, seconds, nanoseconds, at, length, originalLength, interfaceId, comment } = cursor;
        const timestampNs = BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
        const data = cursor.bytes.slice(at, at + length);
        got.push({ number, interfaceId, timestampNs, originalLength, data, comment });
      }
      cursor.close();
      expect(got).toEqual([...openCapture(path)]);
      expect(got.map(({ data }) => data)).toEqual(sent.map(({ data }) => data));
    }),
    runs,
  );
});

test('packets that a cursor finds in its buffer stay there together', () => {
  const some = fc.array(packet, { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(some, chunkBytes, (sent, chunk) => {
      const path = join(folder, 'buffer.capture');
      writePcapng(path, sent);
      const { cursor } = openCursor(path, chunk);
      while (cursor.next()) {
        const there = [{ number: cursor.number, at: cursor.at }];
        const bytes = cursor.bytes;
        while (cursor.nextInBuffer()) there.push({ number: cursor.number, at: cursor.at });
        for (const { number, at } of there) {
          const { data } = sent[number - 1]!;
          expect(bytes.slice(at, at + data.length)).toEqual(data);
        }
      }
      cursor.close();
    }),
    runs,
  );
});

test('a cursor goes on where another has stopped, once it has seen what was declared in front', () => {
  fc.assert(
    fc.property(packets, fc.array(fc.nat({ max: 59 }), { maxLength: 3 }), fc.nat({ max: 60 }), (sent, late, stop) => {
      const path = join(folder, 'resumed.capture');
      writePcapng(path, sent, new Set(late));
      const all = [...openCapture(path)];
      const { cursor: first } = openCursor(path, 1000);
      for (let i = 0; i < stop && first.next(); i++);
      const { cursor: second, interfaces } = openCursor(path, 1000);
      second.skipTo(first.position);
      second.seek(first.position, first.number, new Uint8Array(new SharedArrayBuffer(5000)).subarray(16));
      const { declared } = second;
      const rest = [];
      while (second.nextInBuffer() || second.next())
        rest.push([second.number, second.interfaceId, second.bytes.slice(second.at, second.at + second.length)]);
      expect(rest).toEqual(all.slice(first.number).map(({ number, interfaceId, data }) => [number, interfaceId, data]));
      if (late.length === 0 && stop > 0) expect(second.declared).toBe(declared);
      expect(interfaces.length).toBe(1 + [...new Set(late)].filter((at) => at < sent.length).length);
      for (const one of [first, second]) one.close();
    }),
    runs,
  );
});

test('writeFrom writes as write does', () => {
  fc.assert(
    fc.property(packets, (sent) => {
      const [one, other] = [join(folder, 'one.pcapng'), join(folder, 'other.pcapng')];
      writePcapng(one, sent);
      {
        using out = new PcapngWriter(other);
        out.addInterface({ name: 'eth0' });
        for (const { comment, ...rest } of sent)
          out.write({ interfaceId: 0, data: rest.data, comment, timestampNs: toPcap(rest).timestampNs });
      }
      expect([...openCapture(other)]).toEqual([...openCapture(one)]);
    }),
    runs,
  );
});

const toPcap = ({ seconds, nanoseconds, data }: { seconds: number; nanoseconds: number; data: Uint8Array }) => ({
  timestampNs: BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds),
  data,
});

function writePcapng(
  path: string,
  sent: { seconds: number; nanoseconds: number; data: Uint8Array; comment: string | undefined }[],
  late: ReadonlySet<number> = new Set(), // packets in front of which an interface is declared, which is theirs
): void {
  using out = new PcapngWriter(path);
  out.addInterface({ name: 'eth0' });
  const around = new Uint8Array(4000);
  let interfaceId = 0;
  for (const [i, { seconds, nanoseconds, data, comment }] of sent.entries()) {
    if (late.has(i)) interfaceId = out.addInterface({ name: `late${i}` });
    around.set(data, 7);
    out.writeFrom(interfaceId, seconds, nanoseconds, around, 7, data.length, data.length, encodeComment(comment));
  }
}
