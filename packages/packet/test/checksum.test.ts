import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  fixChecksums,
  icmpEcho,
  internetChecksum,
  setIpv4Src,
  setTcpChecksum,
  setUdpChecksum,
  tcpSegment,
  udpChecksum,
  udpDatagram,
  updateChecksum16,
  updateChecksum32,
  verifyChecksums,
} from '../src/index.ts';
import { frame, RECORDED_LOOKUP, RECORDED_SYN } from './frames.ts';
import { hex, seeded } from './support.ts';

const runs = seeded(300);
const verify = (bytes: Uint8Array) => verifyChecksums(bytes, 0, bytes.length);
const IP = 14;
const L4 = 34;

test('the example of RFC 1071, section 3, sums to ddf2', () => {
  expect(internetChecksum(hex('0001 f203 f4f5 f6f7'), 0, 8)).toBe(~0xddf2 & 0xffff);
});

test('an odd last byte counts as the high half of a word', () => {
  expect(internetChecksum(hex('ab'), 0, 1)).toBe(internetChecksum(hex('ab00'), 0, 2));
});

describe('frames recorded from real programs', () => {
  test.each([
    ['a SYN of curl', RECORDED_SYN],
    ['a lookup by glibc', RECORDED_LOOKUP],
  ])('%s: verified, and fixing changes nothing', (_name, recorded) => {
    const copy = recorded.slice();
    fixChecksums(copy, 0, copy.length);
    expect(copy).toEqual(recorded);
    expect(verify(recorded)).toBeUndefined();
  });
});

const flip = (bytes: Uint8Array, at: number): Uint8Array => bytes.with(at, bytes[at]! ^ 1);
const ends = { src: 0x0a000015, dst: 0x0a00000b };
const segment = tcpSegment({ ...ends, srcPort: 4000, dstPort: 80, seq: 1, flags: 2, payload: hex('616263') });
const datagram = udpDatagram({ ...ends, srcPort: 4000, dstPort: 53, payload: hex('616263') });
const echo = icmpEcho({ ...ends, id: 1, sequence: 2, payload: hex('616263') });

const faults: [name: string, bytes: Uint8Array, want: string | undefined][] = [
  ['a changed IPv4 header', flip(segment, IP + 8), 'ipv4'],
  ['a changed TCP payload', flip(segment, segment.length - 1), 'tcp'],
  ['a changed UDP port', flip(datagram, L4), 'udp'],
  ['a changed ICMP sequence', flip(echo, L4 + 7), 'icmp'],
  ['a frame that is cut short cannot be judged', flip(segment, L4).subarray(0, -1), undefined],
  ['another EtherType is not judged', flip(flip(segment, 13), IP + 8), undefined],
  ['a frame of no bytes is not judged', hex(''), undefined],
];

test.each(faults)('verify: %s', (_name, bytes, want) => {
  expect(verify(bytes)).toBe(want);
});

test('a UDP datagram without a checksum is right, and fixing gives it one', () => {
  const bytes = datagram.slice();
  setUdpChecksum(bytes, L4, 0);
  expect(verify(bytes)).toBeUndefined();
  fixChecksums(bytes, 0, bytes.length);
  expect(bytes).toEqual(datagram);
});

test('a UDP checksum that comes out as 0 is written as ffff', () => {
  const build = (word: number) =>
    udpDatagram({ ...ends, srcPort: 4000, dstPort: 53, payload: Uint8Array.of(word >> 8, word & 0xff) });
  const cancelling = udpChecksum(build(0), L4); // as payload, it brings the sum to ffff, its complement to 0
  expect(udpChecksum(build(cancelling), L4)).toBe(0xffff);
  expect(verify(build(cancelling))).toBeUndefined();
});

test('fixing brings a rewritten frame back to valid', () => {
  fc.assert(
    fc.property(frame, fc.nat({ max: 0xffffffff }), (bytes, address) => {
      setIpv4Src(bytes, IP, address);
      fixChecksums(bytes, 0, bytes.length);
      expect(verify(bytes)).toBeUndefined();
    }),
    runs,
  );
});

test('fixing works on a frame in the middle of other bytes and leaves those alone', () => {
  const around = new Uint8Array(segment.length + 20).fill(0xee);
  around.set(segment, 7);
  setTcpChecksum(around, 7 + L4, 0);
  fixChecksums(around, 7, segment.length);
  expect(around.subarray(7, 7 + segment.length)).toEqual(segment);
  expect(around.filter((byte, i) => byte === 0xee && (i < 7 || i >= 7 + segment.length))).toHaveLength(20);
});

test('an update of a field gives what summing again would', () => {
  // Not all zero, or both forms of zero would be right (RFC 1624, section 3).
  const words = fc
    .uint8Array({ minLength: 12, maxLength: 12 })
    .filter((bytes) => bytes.subarray(6).some((b) => b !== 0));
  fc.assert(
    fc.property(words, fc.nat({ max: 0xffff }), fc.nat({ max: 0xffffffff }), (bytes, after16, after32) => {
      const view = new DataView(bytes.buffer);
      let sum = internetChecksum(bytes, 0, bytes.length);
      sum = updateChecksum16(sum, view.getUint16(0), after16);
      sum = updateChecksum32(sum, view.getUint32(2), after32);
      view.setUint16(0, after16);
      view.setUint32(2, after32);
      expect(sum).toBe(internetChecksum(bytes, 0, bytes.length));
    }),
    runs,
  );
});
