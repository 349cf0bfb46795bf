import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatIpv4, parseFrame, TCP_SYN } from '../src/index.ts';
import { frame, RECORDED_LOOKUP, RECORDED_SYN } from './frames.ts';
import { hex, seeded } from './support.ts';

const runs = seeded(500);

test('a recorded SYN is read', () => {
  const { eth, ipv4, tcp, payload, truncated, error } = parseFrame(RECORDED_SYN);
  expect(eth).toEqual({ src: 0x02000a000015, dst: 0x020000000001, type: 0x0800 });
  expect([ipv4!.src, ipv4!.dst].map(formatIpv4)).toEqual(['10.0.0.21', '10.96.0.80']);
  expect(ipv4).toMatchObject({ at: 14, protocol: 6, ttl: 64, id: 0x3efa, totalLength: 60, isFragment: false });
  expect(tcp).toEqual({ at: 34, srcPort: 39106, dstPort: 80, seq: 0xfd91aee4, ack: 0, flags: TCP_SYN, window: 64240 });
  expect([payload.length, truncated, error]).toEqual([0, false, undefined]);
});

test('Ethernet padding is no payload', () => {
  const padded = new Uint8Array([...RECORDED_LOOKUP, 0, 0, 0, 0, 0, 0]);
  expect(parseFrame(padded).payload).toEqual(RECORDED_LOOKUP.subarray(42));
});

test('a frame that the capture cut short keeps the payload there is', () => {
  const cut = RECORDED_LOOKUP.subarray(0, 60);
  const { udp, payload, truncated, error } = parseFrame(cut);
  expect(udp).toMatchObject({ srcPort: 50325, dstPort: 53 });
  expect([payload.length, truncated, error]).toEqual([18, true, undefined]);
});

const syn = (at: number, ...bytes: number[]): Uint8Array => {
  const copy = RECORDED_SYN.slice();
  copy.set(bytes, at);
  return copy;
};

const unreadable: [name: string, bytes: Uint8Array, error: string][] = [
  ['no byte at all', hex(''), 'an Ethernet header wants 14 bytes, 0 left'],
  ['half an IPv4 header', RECORDED_SYN.subarray(0, 24), 'an IPv4 header wants 20 bytes, 10 left'],
  ['half a TCP header', RECORDED_SYN.subarray(0, 44), 'a TCP header wants 20 bytes, 10 left'],
  ['TCP options that are cut off', RECORDED_SYN.subarray(0, 60), 'a TCP header wants 40 bytes, 26 left'],
  ['half a UDP header', RECORDED_LOOKUP.subarray(0, 38), 'a UDP header wants 8 bytes, 4 left'],
  ['ARP', syn(12, 0x08, 0x06), 'ARP, not IP'],
  ['IPv4 that calls itself IPv6', syn(12, 0x86, 0xdd), 'IP version 4 under the EtherType of IPv6'],
  ['a VLAN tag', syn(12, 0x81, 0x00), 'EtherType 0x8100, not IP'],
  ['IPv6 that calls itself IPv4', syn(14, 0x65), 'IP version 6 under the EtherType of IPv4'],
  ['an IPv4 header of 16 bytes', syn(14, 0x44), 'an IPv4 header that says it is 16 bytes long'],
  ['a total length of 10', syn(16, 0, 10), 'an IPv4 packet of 10 bytes with a header of 20'],
  ['a TCP header of 8 bytes', syn(46, 0x20), 'a TCP header that says it is 8 bytes long'],
  ['SCTP', syn(23, 132), 'IP protocol 132: not TCP, UDP or ICMP'],
  ['a later fragment', syn(20, 0x00, 0xb9), 'a later IPv4 fragment: it has no L4 header'],
];

test.each(unreadable)('%s', (_name, bytes, error) => {
  const parsed = parseFrame(bytes);
  expect(parsed.error).toBe(error);
  expect([parsed.tcp, parsed.udp, parsed.icmp]).toEqual([undefined, undefined, undefined]);
});

test('no bytes make it throw: it reads an L4 header or says why not', () => {
  const damaged = fc.tuple(frame, fc.nat(), fc.nat({ max: 255 }), fc.nat()).map(([bytes, at, value, keep]) => {
    const changed = bytes.with(at % Math.min(bytes.length, 60), value);
    return changed.subarray(0, keep % (changed.length + 1));
  });
  fc.assert(
    fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 80 })), (bytes) => {
      const { tcp, udp, icmp, error, payload } = parseFrame(bytes);
      const understood = [tcp, udp, icmp].filter((header) => header !== undefined).length;
      expect(understood).toBe(error === undefined ? 1 : 0);
      expect(payload.length).toBeLessThanOrEqual(bytes.length);
    }),
    runs,
  );
});
