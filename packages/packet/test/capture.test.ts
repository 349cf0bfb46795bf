import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { CaptureError, openCapture } from '../src/index.ts';
import { block, encode, hex, interfaceBlock, option, put, sectionBlock, temporaryFolder } from './support.ts';

const folder = temporaryFolder();
const open = (bytes: Uint8Array) => openCapture(put(folder, 'demo.pcap', bytes));

const pcapHeader = (little: boolean, magic: number, linkType = 1): Uint8Array =>
  encode(little, magic, { u16: 2 }, { u16: 4 }, 0, 0, 65535, linkType);
const MICRO = 0xa1b2c3d4;
const NANO = 0xa1b23c4d;
const ABC = hex('616263');
const ABC_PADDED = hex('61626300');

const pcapFlavours: [name: string, little: boolean, magic: number, timestampNs: bigint][] = [
  ['little-endian microseconds', true, MICRO, 7_000_005_000n],
  ['big-endian microseconds', false, MICRO, 7_000_005_000n],
  ['little-endian nanoseconds', true, NANO, 7_000_000_005n],
  ['big-endian nanoseconds', false, NANO, 7_000_000_005n],
];

test.each(pcapFlavours)('pcap: %s', (_name, little, magic, timestampNs) => {
  const capture = open(Buffer.concat([pcapHeader(little, magic), encode(little, 7, 5, 3, 1514, ABC)]));
  expect(capture.format).toBe('pcap');
  expect(capture.interfaces).toEqual([{ name: undefined, description: undefined, linkType: 1, snapLength: 65535 }]);
  const want = { number: 1, interfaceId: 0, timestampNs, originalLength: 1514, data: ABC, comment: undefined };
  expect([...capture]).toEqual([want]);
});

const enhanced = (little: boolean, interfaceId: number, time: number, options: Uint8Array = hex('')): Uint8Array =>
  block(little, 6, interfaceId, 0, time, 3, 60, ABC_PADDED, options);

test.each([
  ['little', true],
  ['big', false],
])('pcapng: %s-endian, with a name, a comment and blocks to skip', (_name, little) => {
  const named = interfaceBlock(little, 1, 96, option(little, 2, Buffer.from('xw')));
  const commented = enhanced(little, 0, 5, option(little, 1, Buffer.from('why')));
  const [statistics, custom] = [block(little, 5, 0, 0, 0), block(little, 0x0bad, 1, 2)];
  const capture = open(Buffer.concat([sectionBlock(little), custom, named, commented, statistics]));
  expect(capture.interfaces).toEqual([{ name: 'xw', description: undefined, linkType: 1, snapLength: 96 }]);
  expect([...capture]).toEqual([
    { number: 1, interfaceId: 0, timestampNs: 5000n, originalLength: 60, data: ABC, comment: 'why' },
  ]);
});

const resolutions: [name: string, options: Uint8Array, timestampNs: bigint][] = [
  ['none given: microseconds', hex(''), 3_000n],
  ['milliseconds', option(true, 9, hex('03')), 3_000_000n],
  ['nanoseconds', option(true, 9, hex('09')), 3n],
  ['picoseconds lose what is below a nanosecond', option(true, 9, hex('0c')), 0n],
  ['sixteenths of a second (a power of 2)', option(true, 9, hex('84')), 187_500_000n],
  ['an offset of one second', option(true, 14, hex('0100000000000000')), 1_000_003_000n],
];

test.each(resolutions)('pcapng time: %s', (_name, options, timestampNs) => {
  const file = [sectionBlock(true), interfaceBlock(true, 1, 0, options), enhanced(true, 0, 3)];
  expect([...open(Buffer.concat(file))][0]!.timestampNs).toBe(timestampNs);
});

test('pcapng: a second section in the other byte order has interfaces of its own', () => {
  const first = [sectionBlock(true), interfaceBlock(true), enhanced(true, 0, 1)];
  const second = [sectionBlock(false), interfaceBlock(false, 1, 77), enhanced(false, 0, 2)];
  const capture = open(Buffer.concat([...first, ...second]));
  expect(capture.interfaces).toHaveLength(1);
  const packets = [...capture].map(({ number, interfaceId, timestampNs }) => [number, interfaceId, timestampNs]);
  expect(packets).toEqual([
    [1, 0, 1000n],
    [2, 1, 2000n],
  ]);
  expect(capture.interfaces.map(({ snapLength }) => snapLength)).toEqual([0, 77]);
});

test('pcapng: a Simple Packet has no time and is cut at the snap length of its interface', () => {
  const file = [sectionBlock(true), interfaceBlock(true, 1, 3), block(true, 3, 60, ABC_PADDED)];
  const want = { number: 1, interfaceId: 0, timestampNs: 0n, originalLength: 60, data: ABC, comment: undefined };
  expect([...open(Buffer.concat(file))]).toEqual([want]);
});

test('pcapng: the obsolete Packet Block is read, its drop count is not taken for an interface', () => {
  const old = block(true, 2, { u16: 0 }, { u16: 9 }, 0, 4, 3, 60, ABC_PADDED);
  const want = { number: 1, interfaceId: 0, timestampNs: 4000n, originalLength: 60, data: ABC, comment: undefined };
  expect([...open(Buffer.concat([sectionBlock(true), interfaceBlock(true), old]))]).toEqual([want]);
});

test('a file larger than a chunk is read to its end, again and again', () => {
  const packets = Array.from({ length: 300 }, (_, i) => encode(true, i, 0, 1000, 1000, new Uint8Array(1000).fill(i)));
  const large = encode(true, 300, 0, 200_000, 200_000, new Uint8Array(200_000).fill(7));
  const capture = open(Buffer.concat([pcapHeader(true, MICRO), ...packets, large]));
  for (let round = 0; round < 2; round++) {
    let count = 0;
    for (const { number, data } of capture) {
      expect(data.every((byte) => byte === (number === 301 ? 7 : (number - 1) & 0xff))).toBe(true);
      count++;
    }
    expect(count).toBe(301);
  }
});

test('a packet stays as it was when the next ones are read', () => {
  const record = (letter: string) => encode(true, 0, 0, 1, 1, Buffer.from(letter));
  const packets = [...open(Buffer.concat([pcapHeader(true, MICRO), record('a'), record('b')]))];
  expect(packets.map(({ data }) => Buffer.from(data).toString())).toEqual(['a', 'b']);
});

const pcapThenCut = Buffer.concat([
  pcapHeader(true, MICRO),
  encode(true, 0, 0, 3, 3, ABC),
  encode(true, 0, 0, 1514, 1514, new Uint8Array(96)),
]);
const ngStart = [sectionBlock(true), interfaceBlock(true)];
const ng = (...blocks: Uint8Array[]): Uint8Array => Buffer.concat([...ngStart, ...blocks]);

const refused: [name: string, bytes: Uint8Array, message: string][] = [
  ['a script', Buffer.from('#!/bin/sh\n'), 'not a pcap or pcapng file: starts with 23 21 2f 62'],
  ['two bytes', hex('0a0d'), 'not a pcap or pcapng file: starts with 0a 0d'],
  ['an empty file', hex(''), 'not a pcap or pcapng file: it is empty'],
  ['gzip', gzipSync(ABC), 'not a pcap or pcapng file: it is compressed by gzip; unpack it first'],
  ['zstd', hex('28b52ffd00'), 'not a pcap or pcapng file: it is compressed by zstd; unpack it first'],
  [
    'a pcap header cut off',
    pcapHeader(true, MICRO).subarray(0, 20),
    'truncated pcap file header at byte 0: wants 24 bytes, 20 left',
  ],
  ['a pcap packet cut off', pcapThenCut, 'truncated packet 2 at byte 43: wants 1514 bytes, 96 left'],
  [
    'a pcap record header cut off',
    pcapThenCut.subarray(0, 50),
    'truncated header of packet 2 at byte 43: wants 16 bytes, 7 left',
  ],
  [
    'a pcap length that lies',
    Buffer.concat([pcapHeader(true, MICRO), encode(true, 0, 0, 0x7fffffff, 60)]),
    'packet 1 at byte 24: says it has 2147483647 bytes, the most is 262144',
  ],
  ['pcap version 3', encode(true, MICRO, { u16: 3 }, { u16: 0 }, 0, 0, 0, 1), 'pcap version 3.0: only 2.x can be read'],
  [
    'a pcap of tcpdump -i any',
    pcapHeader(false, NANO, 276),
    'link type 276, LINUX_SLL2 (tcpdump -i any): only Ethernet (1) can be read',
  ],
  ['a link type nobody named', pcapHeader(false, NANO, 999), 'link type 999, unknown: only Ethernet (1) can be read'],
  [
    'a pcapng of raw IP',
    Buffer.concat([sectionBlock(true), interfaceBlock(true, 101)]),
    'interface at byte 28: link type 101, RAW (IP without a link layer): only Ethernet (1) can be read',
  ],
  [
    'a pcapng packet cut off',
    ng(enhanced(true, 0, 1)).subarray(0, -8),
    'truncated packet 1 at byte 48: wants 36 bytes, 28 left',
  ],
  [
    'a pcapng block cut off',
    ng(block(true, 5, 0, 0)).subarray(0, -8),
    'truncated block at byte 48: wants 20 bytes, 12 left',
  ],
  [
    'a packet of an interface nobody declared',
    ng(enhanced(true, 2, 1)),
    'packet 1 at byte 48: interface 2, but the section has declared 1',
  ],
  [
    'two lengths that differ',
    ng(encode(true, 5, 12, 16)),
    'block at byte 48: its length is 12 at its start and 16 at its end',
  ],
  ['a block length that cannot be', ng(encode(true, 5, 13, 13)), 'block at byte 48: its length cannot be 13'],
  [
    'a packet longer than its block',
    ng(block(true, 6, 0, 0, 0, 5, 5, ABC_PADDED)),
    'packet 1 at byte 48: wants 5 bytes, its block has 4',
  ],
  ['a packet block without a packet', ng(block(true, 6, 0)), 'packet 1 at byte 48: block too short'],
  [
    'an option longer than its block',
    ng(enhanced(true, 0, 0, hex('01000900'))),
    'block at byte 48: option 1 wants 9 bytes, 0 left',
  ],
  ['no byte-order magic', block(true, 0x0a0d0d0a, 0, 0, 0, 0), 'section header at byte 0: no byte-order magic'],
  [
    'pcapng version 2',
    block(true, 0x0a0d0d0a, 0x1a2b3c4d, { u16: 2 }, { u16: 0 }, 0, 0),
    'section header at byte 0: pcapng version 2.0, not 1.x',
  ],
];

test.each(refused)('refused: %s', (_name, bytes, message) => {
  const attempt = () => [...open(bytes)];
  expect(attempt).toThrow(CaptureError);
  expect(attempt).toThrow(expect.objectContaining({ code: 'BAD_INPUT', message: `${folder}/demo.pcap: ${message}` }));
});

test('a file that is not there, and a folder, are bad input with the cause kept', () => {
  const missing = () => openCapture(`${folder}/missing.pcap`);
  expect(missing).toThrow(/missing\.pcap: cannot be read: ENOENT/);
  expect(missing).toThrow(expect.objectContaining({ code: 'BAD_INPUT', cause: expect.any(Error) }));
  expect(() => openCapture(folder)).toThrow(/cannot be read: EISDIR/);
});

test('packets before the damage are still given', () => {
  const packets: number[] = [];
  const all = () => {
    for (const { number } of open(pcapThenCut)) packets.push(number);
  };
  expect(all).toThrow('truncated packet 2');
  expect(packets).toEqual([1]);
});
