import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CaptureError, openCapture, PcapngWriter, writePcap } from '../src/index.ts';
import { block, interfaceBlock, put, sectionBlock, seeded, temporaryFolder } from './support.ts';

const runs = seeded(200);
const folder = temporaryFolder();
const path = join(folder, 'property.capture');

const data = fc.uint8Array({ maxLength: 30 });
const originalLength = fc.nat({ max: 0xffffffff });
const text = fc.string({ unit: 'grapheme', maxLength: 12 });
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const packet = fc.record({
  timestampNs: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  originalLength,
  data,
  comment: maybe(text),
  interfaceIndex: fc.nat(),
});
const description = fc.record({ name: text, description: maybe(text), snapLength: fc.nat({ max: 0xffffffff }) });

test('what is written as pcapng is read back', () => {
  const interfaces = fc.array(description, { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(interfaces, fc.array(packet, { maxLength: 8 }), (described, packets) => {
      const sent = packets.map(({ interfaceIndex, ...rest }) => ({
        ...rest,
        interfaceId: interfaceIndex % described.length,
      }));
      writePcapng(described, sent);
      const capture = openCapture(path);
      expect(capture.format).toBe('pcapng');
      expect(capture.interfaces).toEqual(described.map((one) => ({ ...one, linkType: 1 })));
      expect([...capture]).toEqual(sent.map((one, i) => ({ ...one, number: i + 1 })));
    }),
    runs,
  );
});

function writePcapng(
  described: { name: string; description: string | undefined; snapLength: number }[],
  packets: Parameters<PcapngWriter['write']>[0][],
): void {
  using out = new PcapngWriter(path, { comment: 'a property test', os: 'none', application: 'vitest' });
  for (const { name, description, snapLength } of described) {
    out.addInterface(description === undefined ? { name, snapLength } : { name, description, snapLength });
  }
  for (const one of packets) out.write(one);
}

test('what is written as pcap is read back', () => {
  const inRange = fc.bigInt({ min: 0n, max: 2n ** 32n * 1_000_000_000n - 1n });
  fc.assert(
    fc.property(fc.array(fc.record({ timestampNs: inRange, originalLength, data })), (packets) => {
      writePcap(path, packets);
      const capture = openCapture(path);
      expect(capture.format).toBe('pcap');
      const want = packets.map((one, i) => ({ ...one, number: i + 1, interfaceId: 0, comment: undefined }));
      expect([...capture]).toEqual(want);
    }),
    runs,
  );
});

/** Whole files to damage, each with every kind of block or record. */
const wholeFiles: Uint8Array[] = [];
writePcap(
  path,
  [1n, 2n, 3n].map((timestampNs) => ({ timestampNs, data: new Uint8Array(20) })),
);
wholeFiles.push(readFileSync(path));
const one = { timestampNs: 1n, data: new Uint8Array(6), comment: 'c' };
writePcapng([{ name: 'a', description: 'b', snapLength: 0 }], [{ ...one, interfaceId: 0 }]);
wholeFiles.push(readFileSync(path));
for (const little of [true, false]) {
  const simple = block(little, 3, 4, new Uint8Array(4));
  wholeFiles.push(Buffer.concat([sectionBlock(little), interfaceBlock(little), simple, block(little, 5, 0), simple]));
}

const damagedFile = fc
  .tuple(fc.constantFrom(...wholeFiles), fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 3 }), fc.nat())
  .map(([whole, changes, keep]) => {
    const bytes = new Uint8Array(whole);
    for (const [at, value] of changes) bytes[at % bytes.length] = value;
    return bytes.subarray(0, keep % 3 === 0 ? keep % (bytes.length + 1) : bytes.length);
  });

test('any bytes give packets or a CaptureError that names the file, never another exception', () => {
  let refused = 0;
  let read = 0;
  fc.assert(
    fc.property(fc.oneof({ weight: 4, arbitrary: damagedFile }, fc.uint8Array({ maxLength: 64 })), (bytes) => {
      put(folder, 'property.capture', bytes);
      try {
        for (const { data: some } of openCapture(path)) expect(some.length).toBeLessThanOrEqual(bytes.length);
        read++;
      } catch (error) {
        expect(error).toBeInstanceOf(CaptureError);
        expect(error).toMatchObject({ code: 'BAD_INPUT', message: expect.stringContaining(`${path}: `) });
        refused++;
      }
    }),
    { ...runs, numRuns: 1000 },
  );
  expect(refused).toBeGreaterThan(0);
  expect(read).toBeGreaterThan(0);
});
