import { CT_ENTRY_FLAG, ctFlags, IPV4_CT_TUPLE, Memory, setCtFlags } from '@ciliate/maps';
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, TCP_ACK, TCP_SYN } from '@ciliate/packet';
import { describe, expect, test } from 'vitest';
import { collectGarbage, collectOrphanNat, createDatapathMaps, ShardCollector } from '../src/index.ts';
import { openPinned, shardMapName } from '../src/maps.ts';
import { address, answerTo, build, flowOf, icmp, reversed, tcp, udp } from './frames.ts';
import { Node } from './nat/node.ts';

/** A pod's connections to the world, masqueraded; what is left of them when their time is over. */
const FAMILIES = [
  { name: 'IPv4', n: 4, pod: '10.244.1.11', world: '192.0.2.7', echo: 8 },
  { name: 'IPv6', n: 6, pod: 'fd00:10:244:1::b', world: '2001:db8:1::7', echo: 128 },
] as const;

const counts = (node: Node, n: 4 | 6): [tcp: number, any: number, nat: number] => [
  node.world.open(`cilium_ct${n}_global`).count,
  node.world.open(`cilium_ct_any${n}_global`).count,
  node.world.open(`cilium_snat_v${n}_external`).count,
];

describe.each(FAMILIES)('$name', ({ n, pod, world, echo }) => {
  const from = (protocol: number, l4: Uint8Array): Uint8Array =>
    build({ src: address(pod), dst: address(world), protocol, l4 });
  const dns = from(IPPROTO_UDP, udp(5000, 53));
  const syn = from(IPPROTO_TCP, tcp(5000, 443, TCP_SYN));
  const ack = from(IPPROTO_TCP, tcp(5000, 443, TCP_ACK));
  const ping = from(IPPROTO_ICMP, icmp(echo, 0, 77));

  /** Through the pod's program, which makes the conntrack entry, and the one at the network device. */
  function out(node: Node, frame: Uint8Array): Uint8Array {
    node.fromContainer(frame, 101);
    return node.toNetdev(frame);
  }

  // Each connection also has an entry for related errors, one for all connections between two addresses.
  const lives: [name: string, frames: Uint8Array[], seconds: number, want: [number, number, number]][] = [
    ['a datagram lives for 60 s', [dns], 60, [0, 2, 2]],
    ['and is gone a second later, with what NAT kept', [dns], 61, [0, 0, 0]],
    ['an echo request too', [ping], 61, [0, 0, 0]],
    ['a SYN without an answer too', [syn], 61, [0, 0, 0]],
    ['a connection lives for 8000 s; its entry for errors stays as the SYN left it', [syn, ack], 8000, [1, 0, 2]],
    ['and is gone a second later', [syn, ack], 8001, [0, 0, 0]],
    ['one connection goes, another stays', [dns, syn, ack], 61, [1, 0, 2]],
  ];

  test.each(lives)('%s', (_, frames, seconds, want) => {
    const node = new Node('masq-v4');
    for (const frame of frames) out(node, frame);
    const before = counts(node, n);
    node.wait(seconds);
    const stats = collectGarbage(node.world.memory);
    expect(counts(node, n)).toEqual(want);
    expect(stats.alive).toBe(want[0] + want[1]);
    expect(stats.deleted).toBe(before[0] + before[1] - stats.alive);
  });

  test('programs do not look at lifetimes: an answer that comes too late comes, until the collector was there', () => {
    const node = new Node('masq-v4');
    const translated = out(node, dns);
    node.wait(1000);
    const late = node.fromNetdev(answerTo(translated));
    expect(flowOf(late)).toEqual(reversed(flowOf(dns)));
    collectGarbage(node.world.memory);
    expect(flowOf(node.fromNetdev(answerTo(translated)))).toEqual(reversed(flowOf(translated)));
  });

  test('what NAT keeps of a connection that conntrack lost goes with the orphans only', () => {
    const node = new Node('masq-v4');
    out(node, syn);
    const kept = out(node, dns);
    const ct = node.world.open(`cilium_ct${n}_global`);
    for (const { key } of [...ct.entries()]) ct.delete(key);
    node.wait(50);
    collectGarbage(node.world.memory);
    expect(counts(node, n)[2]).toBe(4);
    expect(collectOrphanNat(node.world.memory)).toEqual({
      ingressDeleted: 1,
      ingressAlive: 1,
      egressDeleted: 1,
      egressAlive: 1,
    });
    expect(flowOf(node.fromNetdev(answerTo(kept)))).toEqual(reversed(flowOf(dns)));
  });

  test('a full conntrack map gives old connections up, and refuses none', () => {
    const size = 64;
    const node = new Node('masq-v4', { [`cilium_ct_any${n}_global`]: size, [`cilium_snat_v${n}_external`]: size });
    const datagram = (i: number): Uint8Array => from(IPPROTO_UDP, udp(20_000 + i, 53));
    const first = Uint8Array.from(out(node, datagram(0)));
    let translated = first;
    for (let i = 1; i < 1000; i++) {
      translated = Uint8Array.from(out(node, datagram(i)));
      expect(counts(node, n)[1]).toBeLessThanOrEqual(size);
      expect(counts(node, n)[2]).toBeLessThanOrEqual(size);
    }
    expect(counts(node, n)).toEqual([0, size, size]);
    // The newest connection has its answer; of the oldest nothing is left, and it begins anew.
    expect(flowOf(node.fromNetdev(answerTo(first)))).toEqual(reversed(flowOf(first)));
    expect(flowOf(node.fromNetdev(answerTo(translated)))).toEqual(reversed(flowOf(datagram(999))));
    const old = out(node, datagram(0));
    expect(flowOf(node.fromNetdev(answerTo(old)))).toEqual(reversed(flowOf(datagram(0))));
  });

  test.each(['ingress', 'egress'] as const)(
    'a NAT entry of %s that was given up comes back with the next packet',
    (lost) => {
      const node = new Node('masq-v4');
      const translated = out(node, dns);
      const nat = node.world.open(`cilium_snat_v${n}_external`);
      const flagsAt = n === 4 ? IPV4_CT_TUPLE.flags : 37;
      for (const { key } of [...nat.entries()])
        if ((node.world.memory.u8[key + flagsAt] === 1) === (lost === 'ingress')) nat.delete(key);
      expect(nat.count).toBe(1);
      if (lost === 'ingress') expect(out(node, dns)).toEqual(translated);
      else expect(flowOf(node.fromNetdev(answerTo(translated)))).toEqual(reversed(flowOf(dns)));
      expect(nat.count).toBe(2);
    },
  );
});

test('of direct server return, the entry that translates the replies goes with the connection', () => {
  const node = new Node('masq-v4');
  const syn = build({
    src: address('10.244.1.11'),
    dst: address('192.0.2.7'),
    protocol: IPPROTO_TCP,
    l4: tcp(5000, 443, TCP_SYN),
  });
  node.fromContainer(syn, 101);
  const { memory } = node.world;
  const ct = node.world.open('cilium_ct4_global');
  const nat = node.world.open('cilium_snat_v4_external');
  const [entry] = [...ct.entries()];
  setCtFlags(memory, entry!.value, ctFlags(memory, entry!.value) | CT_ENTRY_FLAG.dsr_internal);
  // The reply's key: ends exchanged, addresses in their natural order.
  const key = memory.alloc(16);
  const value = memory.alloc(40);
  memory.u8.copyWithin(key, entry!.key, entry!.key + 14);
  memory.u16[(key + 8) >> 1] = memory.u16[(entry!.key + 10) >> 1]!;
  memory.u16[(key + 10) >> 1] = memory.u16[(entry!.key + 8) >> 1]!;
  nat.update(key, value);
  expect(collectOrphanNat(memory)).toMatchObject({ egressAlive: 1, egressDeleted: 0 });
  node.wait(61);
  collectGarbage(memory);
  expect([ct.count, nat.count]).toEqual([0, 0]);
});

test('all shards are collected', () => {
  const memory = Memory.create(64 * 1024 * 1024);
  const small = Object.fromEntries(
    [4, 6].flatMap((n) =>
      [`cilium_ct${n}_global`, `cilium_ct_any${n}_global`, `cilium_snat_v${n}_external`].map((name) => [name, 64]),
    ),
  );
  createDatapathMaps(memory, { shards: 3, maxEntries: small });
  const key = memory.alloc(40);
  const value = memory.alloc(56);
  for (let shard = 0; shard < 3; shard++)
    openPinned(memory, shardMapName('cilium_ct_any6_global', shard)).update(key, value);
  memory.nowNs = 1_000_000_000n;
  expect(collectGarbage(memory)).toMatchObject({ deleted: 3, alive: 0 });
});

// A map of 100 entries; each run finds so many that are over.
const runs: [name: string, over: number[], pauses: number[]][] = [
  ['nothing to delete: every 300 s', [0, 0], [300, 300]],
  ['little to delete: half as long again', [1, 4, 0], [450, 675, 675]],
  ['a fair share: as before', [5, 25], [300, 300]],
  ['much: sooner by as much', [26, 50], [222, 111]],
  ['nearly all: a tenth, never under 10 s', [100, 95, 0], [30, 10, 10]],
  [
    'never later than after half a day',
    Array<number>(13).fill(1),
    [450, 675, 1013, 1520, 2280, 3420, 5130, 7695, 11_543, 17_315, 25_973, 38_960, 43_200],
  ],
];
test.each(runs)('the collector of a shard finds %s', (_, over, pauses) => {
  const memory = Memory.create(64 * 1024 * 1024);
  createDatapathMaps(memory, { shards: 1, maxEntries: { cilium_ct_any4_global: 100 } });
  const ct = openPinned(memory, 'cilium_ct_any4_global');
  const key = memory.alloc(16);
  const value = memory.alloc(56);
  const collector = new ShardCollector(memory, 0);
  const got = over.map((count) => {
    for (let i = 0; i < count; i++) {
      memory.u32[key >> 2] = i;
      ct.update(key, value);
    }
    const now = collector.nextSeconds + 1; // a packet comes a second later than it could
    expect(collector.run(now)).toEqual({ deleted: count, alive: 0, deleteRatio: count / 100 });
    return collector.nextSeconds - now;
  });
  expect(got).toEqual(pauses);
});

test('a program that finds no free port for NAT asks the agent to collect', () => {
  const node = new Node('nodeport-hostrouting-v4');
  const signals: Uint8Array[] = [];
  const to = (port: number): Uint8Array =>
    build({
      src: address('192.0.2.7'),
      dst: address('10.0.0.1'),
      protocol: IPPROTO_TCP,
      l4: tcp(port, 30_081, TCP_SYN),
    });
  const drops: string[] = [];
  const taken = new Set<number>();
  for (let port = 1; port < 65_536 && drops.length === 0; port++) {
    try {
      taken.add(flowOf(node.fromNetdev(to(port))).sport);
    } catch (error) {
      drops.push((error as Error).message);
    }
    node.world.signals.drain((signal) => signals.push(signal));
  }
  expect(drops).toEqual(['dropped: 167']);
  expect(taken.size).toBeGreaterThan(1000);
  // struct signal_msg: SIGNAL_NAT_FILL_UP, and for IPv4 0.
  expect(signals.length).toBeGreaterThan(0);
  expect([...signals.at(-1)!]).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
});
