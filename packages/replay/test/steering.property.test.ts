import { DEFAULT_CONFIG } from '@ciliate/bpf';
import { type IpAddress, icmpEcho, tcpSegment, udpDatagram } from '@ciliate/packet';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { FragmentTable } from '../src/packets/fragment_table.ts';
import { Places } from '../src/packets/places.ts';
import { Steering } from '../src/packets/steering.ts';
import { CLUSTER, ip, ip6, startAgent } from './support.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);
const runs = { seed, numRuns: 300 };

const SHARDS = 16;
let steering: Steering;
beforeAll(async () => {
  const agent = await startAgent(CLUSTER);
  const { memory } = agent;
  steering = new Steering(new Places(memory), DEFAULT_CONFIG, SHARDS, FragmentTable.create(memory));
});

/** Shard and flow of a frame, which lies somewhere in a buffer. */
function placeOf(frame: Uint8Array): string {
  const bytes = new Uint8Array(frame.length + 10);
  bytes.set(frame, 6);
  steering.steer(bytes, 6, frame.length);
  expect(steering.shard).toBeLessThan(SHARDS);
  return `${steering.shard} ${steering.flowLow} ${steering.flowHigh}`;
}

const address = fc.oneof(
  fc.constantFrom('10.0.0.1', '10.0.0.2', '10.0.0.11', '192.168.1.1').map(ip),
  fc.integer({ min: 0x01000000, max: 0xdfffffff }),
);
const port = fc.integer({ min: 1, max: 65_535 });
const connection = fc.record({
  src: address,
  dst: address,
  srcPort: port,
  dstPort: fc.oneof(port, fc.constant(80)),
  isTcp: fc.boolean(),
});
type Ends = { src: number; dst: number; srcPort: number; dstPort: number; isTcp: boolean };

const frameOf = ({ isTcp, ...ends }: Ends, payload = new Uint8Array(20)): Uint8Array =>
  isTcp ? tcpSegment({ ...ends, seq: 1, flags: 0x10, payload }) : udpDatagram({ ...ends, payload });

const reversed = ({ src, dst, srcPort, dstPort, isTcp }: Ends): Ends => ({
  src: dst,
  dst: src,
  srcPort: dstPort,
  dstPort: srcPort,
  isTcp,
});

test('both directions of a connection have one place', () => {
  fc.assert(
    fc.property(connection, (ends) => {
      expect(placeOf(frameOf(reversed(ends)))).toBe(placeOf(frameOf(ends)));
    }),
    runs,
  );
});

const SERVICES = [
  { isTcp: true, frontend: '10.96.0.1', port: 80 },
  { isTcp: false, frontend: '10.96.0.2', port: 53 },
];

test('a connection through a service has one place with each backend, before and after translation', () => {
  const backend = fc.constantFrom('10.0.0.11', '10.0.0.12');
  fc.assert(
    fc.property(connection, fc.constantFrom(...SERVICES), backend, (ends, service, server) => {
      const asked = { ...ends, isTcp: service.isTcp, dstPort: service.port };
      const before = placeOf(frameOf({ ...asked, dst: ip(service.frontend) }));
      const after = { ...asked, dst: ip(server) };
      expect(placeOf(frameOf(after))).toBe(before);
      expect(placeOf(frameOf(reversed(after)))).toBe(before);
    }),
    runs,
  );
});

test('a pod that is its own backend: under its own address, and under the loopback address that it sees', () => {
  const own = { src: ip('10.0.0.11'), srcPort: 40_000, dstPort: 80, isTcp: true };
  const before = placeOf(frameOf({ ...own, dst: ip('10.96.0.1') }));
  const seen = { ...own, src: ip('169.254.42.1'), dst: ip('10.0.0.11') };
  expect(placeOf(frameOf(seen))).toBe(before);
  expect(placeOf(frameOf(reversed(seen)))).toBe(before);
});

/** An ICMP error of `type` about a frame, from a router to the frame's sender. */
function errorAbout(frame: Uint8Array, type: number, router: number, sender: number): Uint8Array {
  const quoted = frame.subarray(14, 14 + 28);
  const error = icmpEcho({ src: router, dst: sender, id: 0, sequence: 0, payload: quoted });
  error[34] = type;
  return error;
}

test('an ICMP error goes with the connection it is about', () => {
  fc.assert(
    fc.property(connection, address, fc.constantFrom(3, 11, 12), (ends, router, type) => {
      const frame = frameOf(ends);
      expect(placeOf(errorAbout(frame, type, router, ends.src))).toBe(placeOf(frame));
    }),
    runs,
  );
});

test('an error about an error about an error is followed no deeper than the first', () => {
  let frame = frameOf({ src: 1, dst: 2, srcPort: 3, dstPort: 4, isTcp: true });
  for (let i = 0; i < 2000; i++) {
    const error = icmpEcho({ src: 5, dst: 6, id: 0, sequence: 0, payload: frame.subarray(14) });
    error[34] = 3;
    frame = error;
  }
  expect(() => placeOf(frame)).not.toThrow();
});

/** As a part of a datagram: bits and offset (in 8 bytes) of its header, and an id. */
function asFragment(frame: Uint8Array, id: number, offset: number, isLast: boolean): Uint8Array {
  const copy = frame.slice();
  const view = new DataView(copy.buffer);
  view.setUint16(18, id);
  view.setUint16(20, (isLast ? 0 : 0x2000) | offset);
  return copy;
}

test('fragments go with the first one, which has the ports', () => {
  fc.assert(
    fc.property(connection, fc.nat({ max: 0xffff }), fc.integer({ min: 1, max: 8000 }), (ends, id, offset) => {
      const whole = placeOf(frameOf(ends));
      expect(placeOf(asFragment(frameOf(ends), id, 0, false))).toBe(whole);
      expect(placeOf(asFragment(frameOf({ ...ends, srcPort: 1, dstPort: 2 }), id, offset, true))).toBe(whole);
    }),
    runs,
  );
});

const ipv6 = fc.oneof(
  fc.constantFrom('fd00::1', 'fd00::11', 'fd00:1::1').map(ip6),
  fc.bigInt({ min: 1n << 125n, max: (1n << 126n) - 1n }),
);
const connection6 = fc.record({ src: ipv6, dst: ipv6, srcPort: port, dstPort: port, isTcp: fc.boolean() });
type Ends6 = { src: IpAddress; dst: IpAddress; srcPort: number; dstPort: number; isTcp: boolean };

const frameOf6 = ({ isTcp, ...ends }: Ends6, payload = new Uint8Array(20)): Uint8Array =>
  isTcp ? tcpSegment({ ...ends, seq: 1, flags: 0x10, payload }) : udpDatagram({ ...ends, payload });

/** With an extension header of 8 bytes behind the IPv6 header. @param rest of it */
const extended = (frame: Uint8Array, kind: number, ...rest: number[]): Uint8Array => {
  const longer = new Uint8Array([...frame.subarray(0, 54), frame[20]!, ...rest, ...frame.subarray(54)]);
  longer[20] = kind;
  longer[19] = longer[19]! + 8;
  return longer;
};
const options = (frame: Uint8Array): Uint8Array => extended(frame, 0, 0, 1, 4, 0, 0, 0, 0);
const fragment = (frame: Uint8Array, id: number, offset: number, isLast: boolean): Uint8Array =>
  extended(frame, 44, 0, offset >> 5, ((offset << 3) & 0xff) | (isLast ? 0 : 1), 0, 0, id >> 8, id & 0xff);

test('IPv6: both directions, with options and without, have one place', () => {
  fc.assert(
    fc.property(connection6, ({ src, dst, srcPort, dstPort, isTcp }) => {
      const there = placeOf(frameOf6({ src, dst, srcPort, dstPort, isTcp }));
      const back = frameOf6({ src: dst, dst: src, srcPort: dstPort, dstPort: srcPort, isTcp });
      expect([placeOf(back), placeOf(options(back))]).toEqual([there, there]);
    }),
    runs,
  );
});

test('IPv6: an ICMPv6 error goes with the connection it is about', () => {
  fc.assert(
    fc.property(connection6, ipv6, fc.constantFrom(1, 2, 3, 4), (ends, router, type) => {
      const frame = frameOf6(ends);
      const error = icmpEcho({ src: router, dst: ends.src, id: 0, sequence: 0, payload: frame.subarray(14, 14 + 48) });
      error[54] = type;
      expect(placeOf(error)).toBe(placeOf(frame));
    }),
    runs,
  );
});

test('IPv6: fragments go with the first one, which has the ports; an atomic one is whole', () => {
  fc.assert(
    fc.property(connection6, fc.nat({ max: 0xffff }), fc.integer({ min: 1, max: 8000 }), (ends, id, offset) => {
      const whole = placeOf(frameOf6(ends));
      expect(placeOf(fragment(frameOf6(ends), id, 0, true))).toBe(whole);
      expect(placeOf(fragment(frameOf6(ends), id, 0, false))).toBe(whole);
      expect(placeOf(fragment(frameOf6({ ...ends, srcPort: 1, dstPort: 2 }), id, offset, true))).toBe(whole);
    }),
    runs,
  );
});

test('connections are spread over all shards', () => {
  const counts = new Array<number>(SHARDS).fill(0);
  for (let i = 0; i < 16_000; i++) {
    placeOf(frameOf({ src: ip('10.0.0.1'), dst: ip('10.96.0.1'), srcPort: 1024 + i, dstPort: 80, isTcp: true }));
    counts[steering.shard]!++;
  }
  for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(200);
});

test('any bytes have a place', () => {
  const start = fc.constantFrom([0x08, 0x00], [0x86, 0xdd], [0x08, 0x06]);
  fc.assert(
    fc.property(start, fc.uint8Array({ maxLength: 120 }), (type, rest) => {
      const frame = new Uint8Array(14 + rest.length);
      frame.set(type, 12);
      frame.set(rest, 14);
      placeOf(frame);
      placeOf(frame.subarray(0, rest.length % 15));
    }),
    { ...runs, numRuns: 2000 },
  );
});
