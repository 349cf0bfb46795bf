import { EventRing } from '@ciliate/maps';
import { IPPROTO_TCP, TCP_ACK, TCP_SYN, tcpSegment } from '@ciliate/packet';
import { beforeEach, expect, test } from 'vitest';
import {
  CTX_ACT_DROP,
  CTX_ACT_REDIRECT,
  cilFromContainer,
  cilToContainer,
  Datapath,
  Skb,
  World,
} from '../src/index.ts';
import { SKB_MAX_LEN } from '../src/skb.ts';
import { bytesPerCall } from './bytes_per_call.ts';
import { scenarios } from './scenarios.ts';

/** Two pods of a recorded scenario: 101 may reach 102 at port 80/TCP. What the recordings do not show. */
const scenario = scenarios.find(({ name }) => name === 'tcp-local-native-v4')!;
const CLIENT = { id: 101, address: 0x0af4010b };
const SERVER = { id: 102, address: 0x0af4010c };
const PORTS = { srcPort: 40_000, dstPort: 80 };
const there = { src: CLIENT.address, dst: SERVER.address, ...PORTS, seq: 1 };

let world: World;
beforeEach(() => {
  world = new World(scenario);
  world.memory.nowNs = 100_000_000_000_000n;
});

const fromClient = (frame: Uint8Array): number => {
  const client = world.datapath.program(CLIENT.id)!;
  world.skb.load(frame, client.ifindex);
  return cilFromContainer(world.datapath, client, world.skb);
};

const SOURCE_PORT = 34;
const NODE = 0x0af401fe; // its last byte makes the be32 too large for a small integer of V8
const paths: [name: string, frame: Uint8Array, want: number][] = [
  ['a packet of a known connection', tcpSegment({ ...there, flags: TCP_ACK }), CTX_ACT_REDIRECT],
  ['a packet that policy drops', tcpSegment({ ...there, dstPort: 81, flags: TCP_SYN }), CTX_ACT_DROP],
  ['a packet to an address that is large as a word', tcpSegment({ ...there, dst: NODE, flags: TCP_SYN }), CTX_ACT_DROP],
];

test.each(paths)('%s allocates nothing on its whole way', (_name, frame, want) => {
  const { memory, datapath, skb } = world;
  fromClient(tcpSegment({ ...there, flags: TCP_SYN }));
  const at = memory.alloc(frame.length);
  memory.u8.set(frame, at);
  const client = datapath.program(CLIENT.id)!;
  const packet = (): number => {
    skb.loadFrom(at, frame.length, client.ifindex);
    return cilFromContainer(datapath, client, skb);
  };
  expect(packet()).toBe(want);
  expect(bytesPerCall(packet, 3_000)).toBeLessThan(1);
});

test('new connections allocate nothing on their whole way, also when a map takes memory for them', () => {
  const { memory, datapath, skb } = new World(scenario, { cilium_ct4_global: 1 << 17, cilium_ct_any4_global: 1 << 17 });
  const frame = tcpSegment({ ...there, flags: TCP_SYN });
  const at = memory.alloc(frame.length);
  memory.u8.set(frame, at);
  const client = datapath.program(CLIENT.id)!;
  let port = 1024;
  const packet = (): number => {
    port++;
    memory.u8[at + SOURCE_PORT] = port >> 8;
    memory.u8[at + SOURCE_PORT + 1] = port & 0xff;
    skb.loadFrom(at, frame.length, client.ifindex);
    return cilFromContainer(datapath, client, skb);
  };
  expect(packet()).toBe(CTX_ACT_REDIRECT);
  // The smallest object has 16 bytes; asking for the heap's size takes some too.
  expect(bytesPerCall(packet, 1_500)).toBeLessThan(4);
  expect(port).toBeLessThan(1 << 16);
});

test('a frame longer than an skb is cut, and writes nothing behind it', () => {
  const { memory } = world;
  const long = SKB_MAX_LEN + 1000;
  const at = memory.alloc(long);
  memory.u8.fill(0xff, at, at + long);
  const skb = new Skb(memory);
  const behind = memory.alloc(2000);
  memory.u8.fill(0, behind, behind + 2000);
  skb.loadFrom(at, long, 1);
  expect(skb.len).toBe(SKB_MAX_LEN);
  expect(memory.u8.subarray(behind, behind + 2000).every((byte) => byte === 0)).toBe(true);
  skb.load(new Uint8Array(long), 1);
  expect(skb.len).toBe(SKB_MAX_LEN);
});

test('an skb gives its bytes back', () => {
  const { memory } = world;
  const before = memory.usedBytes;
  const skb = new Skb(memory);
  expect(memory.usedBytes).toBeGreaterThan(before);
  skb.destroy();
  expect(memory.usedBytes).toBe(before);
});

/** Bytes of `struct drop_notify`: the drop code, the source's identity, the extended error. */
const DROP = { code: 1, srcLabel: 16, extError: 31 };

test('the drop of a packet to a pod does not carry the extended error of the packet before', () => {
  const { datapath, events, skb } = world;
  const { policy } = scenario.endpoints.find(({ id }) => id === SERVER.id)!;
  const ingress80 = policy.find(({ key_hex }) => key_hex.endsWith('0050'))!;
  expect(ingress80.key_hex).toContain(IPPROTO_TCP.toString(16).padStart(2, '0'));
  world.set('policy:102', ingress80.key_hex, '0000c08100000000'); // authentication 1, asked for by name
  expect(fromClient(tcpSegment({ ...there, flags: TCP_SYN }))).toBe(CTX_ACT_DROP);
  const server = datapath.program(SERVER.id)!;
  const ipv6 = tcpSegment({ ...there, flags: TCP_SYN });
  ipv6.set([0x86, 0xdd], 12);
  skb.load(ipv6, server.ifindex);
  expect(cilToContainer(datapath, server, skb)).toBe(CTX_ACT_DROP);
  const drops: Uint8Array[] = [];
  events.drain((event) => event[0] === 1 && drops.push(event));
  expect(drops.map((event) => [event[DROP.code], event[DROP.extError]])).toEqual([
    [189, 1],
    [137, 0],
  ]);
});

test('a frame of no Ethernet type is dropped before its mark is read, so its drop names no identity', () => {
  const { memory, datapath } = world;
  const events = EventRing.create(memory, 4096);
  const worker = new Datapath(memory, { shard: 0, events, seed: 1 });
  const server = datapath.program(SERVER.id)!;
  const frame = tcpSegment({ ...there, flags: TCP_SYN });
  frame.set([0x01, 0x00], 12);
  const skb = new Skb(memory);
  skb.load(frame, server.ifindex, 0x0c00); // MARK_MAGIC_HOST
  expect(cilToContainer(worker, server, skb)).toBe(CTX_ACT_DROP);
  const drops: Uint8Array[] = [];
  events.drain((event) => drops.push(event));
  expect(drops.map((event) => [event[DROP.code], event[DROP.srcLabel]])).toEqual([[166, 0]]);
});
