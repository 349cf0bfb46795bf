import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Agent } from '@ciliate/agent';
import { type CapturedPacket, openCapture, parseFrame, TCP_FIN, TCP_SYN, verifyChecksums } from '@ciliate/packet';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { Random, WeightedChoice, zipfShares } from '../src/generate/random.ts';
import { type GenerateOptions, type GenerateSummary, generateTrace } from '../src/index.ts';
import { CLUSTER, ip, POLICY, startAgent, temporaryFolder } from './support.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

const folder = temporaryFolder();
let agent: Agent;
let other: Agent;
beforeAll(async () => {
  agent = await startAgent(CLUSTER);
  other = await startAgent(CLUSTER, 2);
});

interface Trace {
  summary: GenerateSummary;
  bytes: Buffer;
  packets: CapturedPacket[];
  names: string[];
}

function generate(options: Partial<GenerateOptions>, from = agent): Trace {
  const path = join(folder, 'trace.pcapng');
  const summary = generateTrace(from, path, options);
  const capture = openCapture(path);
  const packets = [...capture];
  return { summary, bytes: readFileSync(path), packets, names: capture.interfaces.map(({ name }) => name!) };
}

test('the same seed and options give the same file; another seed another one', () => {
  const options = { packets: 3000, flows: 100, synFlood: 0.1, scan: 0.1 };
  const first = generate(options);
  const again = generate(options);
  expect(again.bytes.equals(first.bytes)).toBe(true);
  expect(again.summary).toEqual(first.summary);
  expect(generate(options, other).bytes.equals(first.bytes)).toBe(false);
});

/** From 0 to `max`, each as likely: of `fc.double`, most are next to 0. */
const hundredths = (max: number) => fc.nat(max * 100).map((n) => n / 100);
const weights = (names: readonly string[]) =>
  fc.record(Object.fromEntries(names.map((name) => [name, fc.integer({ min: 1, max: 9 })])));

test('whatever is asked for: so many packets, in order, each of its interface, all checksums right, counted as said', () => {
  const options = fc.record({
    packets: fc.integer({ min: 1, max: 400 }),
    flows: fc.integer({ min: 1, max: 50 }),
    skew: hundredths(3),
    rate: fc.integer({ min: 1, max: 1_000_000 }),
    newFlows: fc.integer({ min: 0, max: 1_000_000 }),
    peers: weights(['service', 'pod', 'world', 'inbound']),
    mix: weights(['tcp', 'udp', 'icmp', 'sctp']),
    sizes: fc.oneof(
      fc.constant('imix'),
      fc.tuple(fc.integer({ min: 40, max: 9000 }), fc.nat({ max: 500 })).map(([max, less]) => ({
        min: Math.max(40, max - less),
        max,
      })),
    ),
    synFlood: hundredths(0.5),
    scan: hundredths(0.5),
  });
  fc.assert(
    fc.property(options, (asked) => {
      const { summary, packets, names } = generate(asked as Partial<GenerateOptions>);
      expect(packets.length).toBe(asked.packets);
      expect(summary.bytes).toBe(packets.reduce((sum, { data }) => sum + data.length, 0));
      expect(summary.interfaces.reduce((sum, one) => sum + one.packets, 0)).toBe(asked.packets);
      let before = 0n;
      for (const { timestampNs, data, interfaceId } of packets) {
        expect(timestampNs).toBeGreaterThanOrEqual(before);
        before = timestampNs;
        expect(verifyChecksums(data, 0, data.length)).toBeUndefined();
        const { ipv4 } = parseFrame(data);
        const sender = agent.endpointOfAddress(ipv4!.src);
        expect(names[interfaceId]).toBe(sender === undefined ? 'eth0' : `default/${sender.name}`);
      }
    }),
    { seed, numRuns: 60 },
  );
});

/** As which a pod that is its own backend sees itself. */
const LOOPBACK = ip('169.254.42.1');

/** Packets by connection: both directions, the service for its backends. */
function connections(packets: readonly CapturedPacket[]): ReturnType<typeof parseFrame>[][] {
  const found = new Map<string, ReturnType<typeof parseFrame>[]>();
  const isServer = (address: number): boolean => [ip('10.96.0.1'), ip('10.0.0.11'), ip('10.0.0.12')].includes(address);
  for (const { data } of packets) {
    const parsed = parseFrame(data);
    const { ipv4, tcp } = parsed;
    const ends = [
      [ipv4!.src, tcp!.srcPort],
      [ipv4!.dst === LOOPBACK ? ipv4!.src : ipv4!.dst, tcp!.dstPort],
    ].map(([address, port]) => (port === 80 && isServer(address!) ? 'web' : `${address}:${port}`));
    const key = ends.sort().join(' ');
    found.set(key, [...(found.get(key) ?? []), parsed]);
  }
  return [...found.values()];
}

const ONLY_SERVICES = {
  peers: { service: 1, pod: 0, world: 0, inbound: 0 },
  mix: { tcp: 1, udp: 0, icmp: 0, sctp: 0 },
};

test('TCP connections begin with SYN, SYN-ACK, ACK, number their bytes, and end with FIN, FIN, ACK', () => {
  const { packets } = generate({ packets: 5000, flows: 20, newFlows: 5000, ...ONLY_SERVICES });
  let closed = 0;
  for (const one of connections(packets)) {
    if (one.length < 4) continue;
    const flags = one.map(({ tcp }) => tcp!.flags);
    expect(flags.slice(0, 3)).toEqual([TCP_SYN, TCP_SYN | 0x10, 0x10]);
    if ((flags.at(-2)! & TCP_FIN) !== 0) closed++;
    const next = new Map<number, number>();
    for (const { tcp, ipv4 } of one) {
      const known = next.get(tcp!.srcPort);
      if (known !== undefined) expect(tcp!.seq).toBe(known);
      const length = ipv4!.totalLength - 40 + ((tcp!.flags & (TCP_SYN | TCP_FIN)) !== 0 ? 1 : 0);
      next.set(tcp!.srcPort, (tcp!.seq + length) >>> 0);
    }
  }
  expect(closed).toBeGreaterThan(50);
});

test('replies of a service come from a pod behind it, to the client that asked', () => {
  const { packets, names } = generate({ packets: 3000, flows: 50, ...ONLY_SERVICES });
  const replies = packets.filter(({ data }) => parseFrame(data).tcp!.srcPort === 80);
  expect(replies.length).toBeGreaterThan(500);
  expect(new Set(replies.map(({ interfaceId }) => names[interfaceId]))).toEqual(
    new Set(['default/web-1', 'default/web-2']),
  );
});

test('nobody answers a connection that policy drops: its SYN is tried three times', async () => {
  const strict = await startAgent(`${CLUSTER}${POLICY}`);
  const { summary, packets } = generate({ packets: 4000, flows: 50, ...ONLY_SERVICES }, strict);
  expect(summary.opened.answers.nobody).toBeGreaterThan(0);
  for (const one of connections(packets)) {
    if (one[0]!.ipv4!.src !== ip('10.0.0.3')) continue;
    expect(one.length).toBeLessThanOrEqual(3);
    for (const { tcp } of one) expect(tcp!.flags).toBe(TCP_SYN);
  }
});

test('floods and scans are the share asked for, new connections the rate', () => {
  const { summary } = generate({
    packets: 50_000,
    flows: 500,
    rate: 100_000,
    newFlows: 5000,
    synFlood: 0.1,
    scan: 0.05,
  });
  expect(summary.synFlood / 50_000).toBeCloseTo(0.1, 2);
  expect(summary.scan / 50_000).toBeCloseTo(0.05, 2);
  expect(summary.duration).toBeCloseTo(0.5, 1);
  // Besides the first 500, so many in half a second, less the packets of attacks.
  expect(summary.connections - 500).toBeGreaterThan(1500);
  expect(summary.connections - 500).toBeLessThan(3500);
});

test('Zipf shares fall as 1/rank, and a weighted choice follows its weights', () => {
  const shares = zipfShares(100, 1);
  expect(shares[0]! / shares[9]!).toBeCloseTo(10);
  const random = new Random(seed);
  const choice = new WeightedChoice([5, 0, 3, 2]);
  const counts = [0, 0, 0, 0];
  for (let i = 0; i < 100_000; i++) counts[choice.pick(random)]!++;
  expect(counts.map((count) => Math.round(count / 5000))).toEqual([10, 0, 6, 4]);
});
