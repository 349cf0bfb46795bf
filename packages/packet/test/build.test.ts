import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  icmpEcho,
  parseFrame,
  TCP_ACK,
  TCP_SYN,
  tcpHeaderLength,
  tcpSegment,
  udpDatagram,
  udpLength,
  verifyChecksums,
} from '../src/index.ts';
import { icmpSpec, RECORDED_LOOKUP, RECORDED_SYN, tcpSpec, udpSpec } from './frames.ts';
import { hex, seeded } from './support.ts';

const runs = seeded(300);
const L4 = 34;

test('what tcpSegment builds is what parseFrame reads', () => {
  fc.assert(
    fc.property(tcpSpec, ({ options, payload, ...spec }) => {
      const frame = tcpSegment({ ...spec, options, payload });
      const parsed = parseFrame(frame);
      expect(parsed.error).toBeUndefined();
      expect({ ...parsed.eth, ...parsed.ipv4, ...parsed.tcp }).toMatchObject({
        src: spec.src,
        dst: spec.dst,
        ttl: spec.ttl,
        srcPort: spec.srcPort,
        dstPort: spec.dstPort,
        seq: spec.seq,
        ack: spec.ack,
        flags: spec.flags,
        window: spec.window,
      });
      expect(parsed.eth).toMatchObject({ src: spec.srcMac, dst: spec.dstMac });
      expect(frame.subarray(L4 + 20, L4 + 20 + options.length)).toEqual(options);
      expect(tcpHeaderLength(frame, L4)).toBe(20 + Math.ceil(options.length / 4) * 4);
      expect(parsed.payload).toEqual(payload);
      expect(verifyChecksums(frame, 0, frame.length)).toBeUndefined();
    }),
    runs,
  );
});

test('what udpDatagram builds is what parseFrame reads', () => {
  fc.assert(
    fc.property(udpSpec, (spec) => {
      const frame = udpDatagram(spec);
      const parsed = parseFrame(frame);
      expect(parsed.error).toBeUndefined();
      expect(parsed.ipv4).toMatchObject({ src: spec.src, dst: spec.dst, ttl: spec.ttl, protocol: 17 });
      expect(parsed.udp).toMatchObject({ srcPort: spec.srcPort, dstPort: spec.dstPort });
      expect(udpLength(frame, L4)).toBe(8 + spec.payload.length);
      expect(parsed.payload).toEqual(spec.payload);
      expect(verifyChecksums(frame, 0, frame.length)).toBeUndefined();
    }),
    runs,
  );
});

test('what icmpEcho builds is what parseFrame reads', () => {
  fc.assert(
    fc.property(icmpSpec, (spec) => {
      const frame = icmpEcho(spec);
      const parsed = parseFrame(frame);
      expect(parsed.icmp).toMatchObject({ type: spec.reply ? 0 : 8, code: 0, id: spec.id, sequence: spec.sequence });
      expect(parsed.payload).toEqual(spec.payload);
      expect(verifyChecksums(frame, 0, frame.length)).toBeUndefined();
    }),
    runs,
  );
});

test('a recorded SYN is built again byte for byte, its IPv4 id and header checksum aside', () => {
  const built = tcpSegment({
    srcMac: 0x02000a000015,
    dstMac: 0x020000000001,
    src: 0x0a000015,
    dst: 0x0a600050,
    srcPort: 39106,
    dstPort: 80,
    seq: 0xfd91aee4,
    flags: TCP_SYN,
    window: 64240,
    options: RECORDED_SYN.subarray(54),
  });
  expect(withoutIpId(built)).toEqual(withoutIpId(RECORDED_SYN));
});

test('a recorded lookup is built again byte for byte, its IPv4 id and header checksum aside', () => {
  const built = udpDatagram({
    srcMac: 0x02000a000015,
    dstMac: 0x020000000001,
    src: 0x0a000015,
    dst: 0x0a60000a,
    srcPort: 50325,
    dstPort: 53,
    payload: RECORDED_LOOKUP.subarray(42),
  });
  expect(withoutIpId(built)).toEqual(withoutIpId(RECORDED_LOOKUP));
});

const withoutIpId = (frame: Uint8Array): Uint8Array => frame.with(18, 0).with(19, 0).with(24, 0).with(25, 0);

const minimal = { src: 1, dst: 2, srcPort: 3, dstPort: 4, seq: 5, flags: TCP_ACK };

test('what does not fit its length field is refused', () => {
  expect(() => tcpSegment({ ...minimal, options: new Uint8Array(41) })).toThrow('41 bytes of TCP options');
  expect(() => tcpSegment({ ...minimal, payload: new Uint8Array(65_496) })).toThrow('an IPv4 packet of 65536 bytes');
  expect(tcpSegment({ ...minimal, payload: new Uint8Array(65_495) })).toHaveLength(14 + 65_535);
});

test('options are padded with end-of-list bytes', () => {
  expect(tcpSegment({ ...minimal, options: hex('0303 0a') }).subarray(54)).toEqual(hex('0303 0a00'));
});
