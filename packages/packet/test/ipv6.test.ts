import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  bytesOfIp,
  fixChecksums,
  formatIp,
  formatIpPort,
  type IpAddress,
  icmpEcho,
  ipOfBytes,
  isIpv6,
  parseFrame,
  parseIp,
  TCP_SYN,
  tcpSegment,
  udpDatagram,
  verifyChecksums,
} from '../src/index.ts';
import { hex, seeded } from './support.ts';

const runs = seeded(300);
const IP = 14;
const L4 = 54;
const ends = { src: parseIp('2001:db8::1')!, dst: parseIp('fd00::2')! };

// The forms of RFC 4291, section 2.2, and the text of RFC 5952 that each has.
const texts: [name: string, text: string, canonical: string | undefined][] = [
  ['eight groups', '2001:DB8:0:0:8:800:200C:417A', '2001:db8::8:800:200c:417a'],
  ['the unspecified address', '0:0:0:0:0:0:0:0', '::'],
  ['the loopback address', '::1', '::1'],
  ['the first of the longest runs of zeros is left out', '2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
  ['of two that are as long, the first', '2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['one group of zeros stays', '2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['zeros at the end', 'fd00::', 'fd00::'],
  ['an IPv4 address as the last two groups', '64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ['an IPv4 address in the form of IPv6 stays one of IPv6', '::ffff:10.0.0.1', '::ffff:10.0.0.1'],
  ['seven groups and no gap', '1:2:3:4:5:6:7', undefined],
  ['two gaps', '1::2::3', undefined],
  ['a gap of nothing', '1:2:3:4:5:6:7::8', undefined],
  ['a group of five digits', 'fd00::12345', undefined],
  ['a zone', 'fe80::1%eth0', undefined],
  ['a prefix', 'fd00::/8', undefined],
  ['IPv4 with a zero in front', '10.0.0.01', undefined],
];

test.each(texts)('the text of an address: %s', (_name, text, canonical) => {
  const address = parseIp(text);
  expect(address === undefined ? undefined : formatIp(address)).toBe(canonical);
});

const address: fc.Arbitrary<IpAddress> = fc.oneof(
  fc.nat({ max: 0xffff_ffff }),
  fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }),
);

test('an address comes back from its text and from its bytes', () => {
  fc.assert(
    fc.property(address, (one) => {
      expect(parseIp(formatIp(one))).toBe(one);
      expect(ipOfBytes(bytesOfIp(one))).toBe(one);
      expect(bytesOfIp(one).length).toBe(isIpv6(one) ? 16 : 4);
      expect(formatIpPort(one, 80)).toBe(isIpv6(one) ? `[${formatIp(one)}]:80` : `${formatIp(one)}:80`);
    }),
    runs,
  );
});

const wide = fc.bigInt({ min: 0n, max: 2n ** 128n - 1n });
const port = fc.integer({ min: 0, max: 0xffff });
const spec = fc.record({
  src: wide,
  dst: wide,
  srcPort: port,
  dstPort: port,
  payload: fc.uint8Array({ maxLength: 40 }),
});

test('what the builders make over IPv6 is what parseFrame reads, all checksums right', () => {
  fc.assert(
    fc.property(spec, fc.constantFrom('tcp', 'udp', 'icmp'), (made, kind) => {
      const { src, dst, srcPort, dstPort, payload } = made;
      let frame = icmpEcho({ src, dst, id: srcPort, sequence: dstPort, payload });
      if (kind === 'tcp') frame = tcpSegment({ ...made, seq: 7, flags: TCP_SYN });
      if (kind === 'udp') frame = udpDatagram(made);
      const parsed = parseFrame(frame);
      expect([parsed.error, parsed.truncated, parsed.ipv4]).toEqual([undefined, false, undefined]);
      expect(parsed.ip).toBe(parsed.ipv6);
      expect(parsed.ipv6).toMatchObject({
        src,
        dst,
        ttl: 64,
        at: IP,
        headerLength: 40,
        totalLength: frame.length - IP,
      });
      if (kind === 'icmp') expect(parsed.icmp).toMatchObject({ at: L4, type: 128, id: srcPort, sequence: dstPort });
      else expect(parsed.tcp ?? parsed.udp).toMatchObject({ at: L4, srcPort, dstPort });
      expect(parsed.payload).toEqual(payload);
      expect(verifyChecksums(frame, 0, frame.length)).toBeUndefined();
      const flipped = frame.with(frame.length - 1, frame.at(-1)! ^ 1);
      expect(verifyChecksums(flipped, 0, flipped.length)).toBe(kind);
      fixChecksums(flipped, 0, flipped.length);
      expect(verifyChecksums(flipped, 0, flipped.length)).toBeUndefined();
    }),
    runs,
  );
});

test('an echo reply has the type of ICMPv6', () => {
  expect(icmpEcho({ ...ends, reply: true, id: 1, sequence: 2 })[L4]).toBe(129);
});

test('a packet has addresses of one family', () => {
  const mixed = { src: parseIp('10.0.0.1')!, dst: ends.dst, id: 1, sequence: 1 };
  expect(() => icmpEcho(mixed)).toThrow(RangeError);
});

test('the most is 65535 bytes behind the header', () => {
  const payload = new Uint8Array(65_535 - 8);
  expect(udpDatagram({ ...ends, srcPort: 1, dstPort: 2, payload }).length).toBe(14 + 40 + 65_535);
  expect(() => udpDatagram({ ...ends, srcPort: 1, dstPort: 2, payload: new Uint8Array(65_528) })).toThrow(/65575/);
});

const DATAGRAM = udpDatagram({ ...ends, srcPort: 4000, dstPort: 53, payload: hex('616263') });

/** The datagram with extension headers, as they lie behind each other. @param first kind of the first one */
function extended(first: number, headers: string): Uint8Array {
  const bytes = hex(headers);
  const frame = new Uint8Array([...DATAGRAM.subarray(0, L4), ...bytes, ...DATAGRAM.subarray(L4)]);
  frame[IP + 6] = first;
  frame[IP + 5] = frame[IP + 5]! + bytes.length;
  return frame;
}

const UDP_BEHIND = '11';
const extensions: [name: string, frame: Uint8Array, headerLength: number, isFragment: boolean, readsUdp: boolean][] = [
  ['hop-by-hop options', extended(0, `${UDP_BEHIND}00010400000000`), 48, false, true],
  ['a routing header of 24 bytes', extended(43, `${UDP_BEHIND}02${'00'.repeat(22)}`), 64, false, true],
  ['authentication, whose length counts 4 bytes', extended(51, `${UDP_BEHIND}01${'00'.repeat(10)}`), 52, false, true],
  ['two of them', extended(0, `3c00010400000000 ${UDP_BEHIND}00010400000000`), 56, false, true],
  ['an atomic fragment, which is none', extended(44, `${UDP_BEHIND}00000000000007`), 48, false, true],
  ['a first fragment', extended(44, `${UDP_BEHIND}00000100000007`), 48, true, true],
  ['a later fragment has no L4 header', extended(44, `${UDP_BEHIND}00000800000007`), 48, true, false],
];

test.each(extensions)('extension headers: %s', (_name, frame, headerLength, isFragment, readsUdp) => {
  const { ipv6, udp, error } = parseFrame(frame);
  expect(ipv6).toMatchObject({ protocol: 17, headerLength, isFragment });
  if (readsUdp) expect(udp).toEqual({ at: IP + headerLength, srcPort: 4000, dstPort: 53 });
  else expect([udp, error]).toEqual([undefined, 'a later IPv6 fragment: it has no L4 header']);
  if (isFragment) expect(ipv6!.id).toBe(7);
});

test('checksums are taken behind extension headers; those of fragments are left alone', () => {
  for (const [, frame, , isFragment] of extensions) {
    expect(verifyChecksums(frame, 0, frame.length)).toBeUndefined();
    const wrong = frame.with(frame.length - 1, 0);
    expect(verifyChecksums(wrong, 0, wrong.length)).toBe(isFragment ? undefined : 'udp');
  }
});

test('over IPv6 a UDP datagram without a checksum is wrong', () => {
  const frame = DATAGRAM.slice();
  frame.fill(0, L4 + 6, L4 + 8);
  expect(verifyChecksums(frame, 0, frame.length)).toBe('udp');
});

const unreadable: [name: string, frame: Uint8Array, error: string][] = [
  ['half an IPv6 header', DATAGRAM.subarray(0, 40), 'an IPv6 header wants 40 bytes, 26 left'],
  ['half an extension header', extended(0, '1100').subarray(0, 56), 'IPv6 extension header 0 wants 8 bytes, 2 left'],
  [
    'an extension header beyond the end',
    extended(0, '1140010400000000'),
    'IPv6 extension header 0 wants 520 bytes, 19 left',
  ],
  ['nothing behind the header', DATAGRAM.with(IP + 6, 59), 'IP protocol 59: not TCP, UDP or ICMP'],
  ['ICMP of IPv4 over IPv6', DATAGRAM.with(IP + 6, 1), 'IP protocol 1: not TCP, UDP or ICMP'],
];

test.each(unreadable)('unreadable: %s', (_name, frame, error) => {
  expect(parseFrame(frame).error).toBe(error);
});

test('no bytes behind the EtherType of IPv6 make it throw', () => {
  const damaged = fc
    .tuple(fc.uint8Array({ maxLength: 90 }), fc.constantFrom(0, 6, 17, 43, 44, 51, 58, 60))
    .map(([bytes, next]) => {
      const frame = new Uint8Array(14 + bytes.length);
      frame.set([0x86, 0xdd], 12);
      frame.set(bytes, 14);
      if (bytes.length > 6) frame.set([0x60, 0, 0, 0, 0, bytes.length % 64, next], 14);
      return frame;
    });
  fc.assert(
    fc.property(damaged, (frame) => {
      const { tcp, udp, icmp, error, payload } = parseFrame(frame);
      expect([tcp, udp, icmp].filter((header) => header !== undefined).length).toBe(error === undefined ? 1 : 0);
      expect(payload.length).toBeLessThanOrEqual(frame.length);
      expect(() => fixChecksums(frame, 0, frame.length)).not.toThrow();
    }),
    { ...runs, numRuns: 2000 },
  );
});
