import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openCapture, PcapngWriter, writePcap } from '../src/index.ts';
import { temporaryFolder } from './support.ts';

const folder = temporaryFolder();
const path = join(folder, 'out.pcapng');
const data = new Uint8Array(4);

test('a file that cannot be created is bad input', () => {
  const nowhere = join(folder, 'no', 'such', 'out.pcapng');
  expect(() => new PcapngWriter(nowhere)).toThrow(/out\.pcapng: cannot be written: ENOENT/);
  expect(() => writePcap(nowhere, [])).toThrow(expect.objectContaining({ code: 'BAD_INPUT' }));
});

test.skipIf(!existsSync('/dev/full'))('a full disk is reported as such, not as an error of closing the file', () => {
  const fill = () => {
    using out = new PcapngWriter('/dev/full');
    const id = out.addInterface({ name: 'a' });
    for (let i = 0; i < 2000; i++) out.write({ interfaceId: id, timestampNs: 0n, data: new Uint8Array(100) });
  };
  expect(fill).toThrow(/^\/dev\/full: cannot be written: ENOSPC/);
});

test('values that do not fit their fields are refused', () => {
  using out = new PcapngWriter(path);
  const id = out.addInterface({ name: 'a' });
  expect(() => out.write({ interfaceId: 1, timestampNs: 0n, data })).toThrow('interface 1 has not been added');
  expect(() => out.write({ interfaceId: id, timestampNs: -1n, data })).toThrow('time -1 ns');
  expect(() => out.write({ interfaceId: id, timestampNs: 0n, data: new Uint8Array(262_145) })).toThrow('262145 bytes');
  expect(() => out.write({ interfaceId: id, timestampNs: 0n, data, comment: 'x'.repeat(65_536) })).toThrow(
    '65536 bytes',
  );
  expect(() => writePcap(path, [{ timestampNs: 2n ** 62n, data }])).toThrow('not in 1970..2106');
});

test('a packet larger than the write buffer arrives in its place', () => {
  const sizes = [10, 200_000, 20];
  writePcap(
    path,
    sizes.map((size) => ({ timestampNs: 0n, data: new Uint8Array(size).fill(size) })),
  );
  const read = [...openCapture(path)].map((packet) => packet.data);
  expect(read).toEqual(sizes.map((size) => new Uint8Array(size).fill(size)));
  expect(readdirSync(folder)).toEqual(['out.pcapng']);
});
