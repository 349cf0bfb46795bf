import { IPPROTO_ICMP, IPPROTO_UDP } from '@ciliate/packet';
import { expect, test } from 'vitest';
import { CTX_ACT_DROP, CTX_ACT_OK, CTX_ACT_REDIRECT, cilFromContainer, World } from '../src/index.ts';
import { address, build, icmp, join, udp, wrongChecksums } from './frames.ts';
import { scenarios } from './scenarios.ts';

/** What Cilium answers itself in IPv6, at its edges. Source: bpf/lib/icmp6.h. Pod 101 sends; 102 lives on its node. */
const scenario = scenarios.find(({ name }) => name === 'ttl-native-v6')!;
const POD = address('fd00:10:244:1::b');
const OTHER = address('fd00:10:244:1::c');
const ROUTER = address('fd00:10:244:1::fe');
const NEIGHBOUR_SOLICITATION = 135;
const SOURCE_LINK_LAYER = [1, 1, 0x0a, 0, 0, 0, 1, 0x0b];
/** An extension header of 8 bytes, with UDP behind it. */
const HOP_BY_HOP = [IPPROTO_UDP, 0, 1, 4, 0, 0, 0, 0];
const LENGTH_AT = 18;
const NEXT_HEADER_AT = 20;
const CHECKSUM_AT = 56;
const CILIUM_NOTIFY_TRACE = 4;
const TRACE_TO_NETWORK = 11;

/** A world of its own: what the pod sends, and what came of it. */
function fromPod(frame: Uint8Array): { ret: number; frame: Uint8Array; drops: Uint8Array[] } {
  const { datapath, skb, events } = new World(scenario);
  const program = datapath.program(101)!;
  skb.load(frame, program.ifindex);
  const ret = cilFromContainer(datapath, program, skb);
  const drops: Uint8Array[] = [];
  events.drain((event) => event[0] === 1 && drops.push(event));
  return { ret, frame: skb.frame(), drops };
}

function dying(length: number | undefined, l4 = udp(1000, 53), protocol = IPPROTO_UDP): Uint8Array {
  const frame = build({ src: POD, dst: OTHER, protocol, l4, ttl: 1 });
  if (length !== undefined) frame.set([length >> 8, length & 0xff], LENGTH_AT);
  return frame;
}

const timeExceeded: [name: string, frame: Uint8Array, drop: number | undefined][] = [
  ['is answered', dying(undefined), undefined],
  ['whose length field is too small is answered, with zeros behind', dying(10), undefined],
  ['whose length field is too large by one byte gets no room for the answer: write error', dying(18), 141],
  ['whose length field is larger than any packet is not resized: write error', dying(0xffff), 141],
  [
    'with an extension header is dropped as of an unknown protocol',
    dying(undefined, join(HOP_BY_HOP, udp(1000, 53)), 0),
    142,
  ],
  ['without the bytes to quote is invalid', dying(undefined).subarray(0, 58), 134],
];

test.each(timeExceeded)('a packet with no hop left %s', (_, frame, drop) => {
  const { ret, drops, frame: answer } = fromPod(frame);
  expect(ret).toBe(drop === undefined ? CTX_ACT_REDIRECT : CTX_ACT_DROP);
  expect(drops.map((event) => event[1])).toEqual(drop === undefined ? [] : [drop]);
  if (drop === undefined) expect(answer.length).toBe(54 + 8 + 40 + 8 + frame.length - 54 - frame[LENGTH_AT + 1]!);
  // The next header is written before anything else is looked at: so the drop's packet is one of ICMPv6.
  if (drop === 141) expect(drops[0]![40 + NEXT_HEADER_AT]).toBe(58);
});

// Found by running Cilium's own program with the same defines.
test.each([
  ['that has a hop left is told to leave for the network', 2, 1],
  ['with no hop left is answered, and not told to leave', 1, 0],
])('with BPF host routing a packet %s', (_, ttl, told) => {
  const { config } = scenario;
  const defines = [...config.defines, 'ENABLE_HOST_ROUTING'];
  const { datapath, skb, events } = new World({ ...scenario, config: { ...config, defines } });
  const program = datapath.program(101)!;
  const dst = address('2001:db8:1::7');
  skb.load(build({ src: POD, dst, protocol: IPPROTO_UDP, l4: udp(1000, 53), ttl }), program.ifindex);
  expect(cilFromContainer(datapath, program, skb)).toBe(CTX_ACT_REDIRECT);
  let toNetwork = 0;
  events.drain((event) => {
    if (event[0] === CILIUM_NOTIFY_TRACE && event[1] === TRACE_TO_NETWORK) toNetwork++;
  });
  expect(toNetwork).toBe(told);
});

const solicitation = (target: Uint8Array, options: number[]): Uint8Array =>
  build({
    src: POD,
    dst: ROUTER,
    protocol: IPPROTO_ICMP,
    l4: icmp(NEIGHBOUR_SOLICITATION, 0, 0, join(target, options)),
  });

test('a solicitation with an option is answered with a right checksum', () => {
  const { ret, frame } = fromPod(solicitation(ROUTER, SOURCE_LINK_LAYER));
  expect(ret).toBe(CTX_ACT_REDIRECT);
  expect([...frame.subarray(54, 56), frame[58]]).toEqual([136, 0, 0xc0]);
  expect(wrongChecksums(frame)).toEqual([]);
});

test('a solicitation without an option is answered with a checksum that is wrong by the 8 bytes of the new one', () => {
  const { ret, frame } = fromPod(solicitation(OTHER, []));
  expect(ret).toBe(CTX_ACT_REDIRECT);
  expect(frame.length).toBe(54 + 24 + 8);
  expect([...frame.subarray(54, 56), frame[58]]).toEqual([136, 0, 0x60]);
  expect(wrongChecksums(frame)).toEqual(['transport']);
  const view = new DataView(frame.buffer);
  view.setUint16(CHECKSUM_AT, view.getUint16(CHECKSUM_AT) - 8);
  expect(wrongChecksums(frame)).toEqual([]);
});

test('a wrong checksum of a solicitation stays wrong in the answer', () => {
  const frame = solicitation(ROUTER, SOURCE_LINK_LAYER);
  frame[CHECKSUM_AT]! ^= 0x40;
  expect(wrongChecksums(fromPod(frame).frame)).toEqual(['transport']);
});

test('an advertisement goes to the stack as it is', () => {
  const l4 = icmp(136, 0, 0, join(OTHER));
  expect(fromPod(build({ src: POD, dst: ROUTER, protocol: IPPROTO_ICMP, l4 })).ret).toBe(CTX_ACT_OK);
});
