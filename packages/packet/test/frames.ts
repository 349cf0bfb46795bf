import fc from 'fast-check';
import { icmpEcho, tcpSegment, udpDatagram } from '../src/index.ts';
import { hex } from './support.ts';

/** Recorded from real programs (examples/deathstar, capture): a SYN of curl and a lookup by glibc. */
export const RECORDED_SYN = hex(`
  020000000001 02000a000015 0800 4500003c 3efa4000 4006e6fd 0a000015 0a600050
  98c20050 fd91aee4 00000000 a002faf0 c9a80000 020405b4 0402080a 148d1489 00000000 0103030a`);
export const RECORDED_LOOKUP = hex(`
  020000000001 02000a000015 0800 45000051 26d44000 4011ff49 0a000015 0a60000a c4950035 003d792c
  1a630100 00010000 00000000 09646561 74687374 61720764 65666175 6c740373 76630763 6c757374 6572056c 6f63616c 00000100 01`);

const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.nat({ max: 0xffffffff });
const mac = fc.nat({ max: 2 ** 48 - 1 });
const ends = { srcMac: mac, dstMac: mac, src: u32, dst: u32, ttl: fc.integer({ min: 1, max: 255 }) };
const ports = { srcPort: u16, dstPort: u16 };
const payload = fc.uint8Array({ maxLength: 40 });

export const tcpSpec = fc.record({
  ...ends,
  ...ports,
  seq: u32,
  ack: u32,
  flags: fc.integer({ min: 0, max: 0xff }),
  window: u16,
  options: fc.uint8Array({ maxLength: 40 }),
  payload,
});
export const udpSpec = fc.record({ ...ends, ...ports, payload });
export const icmpSpec = fc.record({ ...ends, reply: fc.boolean(), id: u16, sequence: u16, payload });

/** Any frame the builders can make. */
export const frame = fc.oneof(tcpSpec.map(tcpSegment), udpSpec.map(udpDatagram), icmpSpec.map(icmpEcho));
