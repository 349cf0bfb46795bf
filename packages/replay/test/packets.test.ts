import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Agent } from '@ciliate/agent';
import { DEFAULT_CONFIG, DEFAULT_NODE } from '@ciliate/bpf';
import { openCapture, parseFrame, TCP_SYN, tcpSegment, verifyChecksums } from '@ciliate/packet';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  generateTrace,
  mergeResults,
  type NamedResult,
  type PacketsResult,
  type ReplayPacketsOptions,
  replayPackets,
} from '../src/index.ts';
import { CLUSTER, ip, POLICY, startAgent, temporaryFolder, writeCapture } from './support.ts';

const folder = temporaryFolder();
const trace = join(folder, 'trace.pcapng');
const WORKERS = [1, 2, 3, 5];
const PACKETS = 20_000;
const EVENT_DROP = 1;

let agent: Agent;
beforeAll(async () => {
  agent = await startAgent(`${CLUSTER}${POLICY}`);
  const flows = { flows: 200, newFlows: 4000, synFlood: 0.02, scan: 0.02 };
  generateTrace(agent, trace, { packets: PACKETS, ...flows, mix: { tcp: 6, udp: 3, icmp: 1, sctp: 1 } });
});

async function replay(options: ReplayPacketsOptions = {}, path = trace): Promise<PacketsResult> {
  const { timings, ...result } = await replayPackets(agent, path, options);
  expect(timings!.packetsPerSecond).toBeGreaterThan(0);
  return result;
}

async function outputs(name: string, options: ReplayPacketsOptions, path = trace) {
  const [writePcap, flows] = [join(folder, `${name}.pcapng`), join(folder, `${name}.json`)];
  const result = await replay({ ...options, writePcap, flows }, path);
  return { result, pcap: readFileSync(writePcap), flows: readFileSync(flows, 'utf8'), writePcap };
}

test('the result and both files are the same, byte for byte, with 1, 2, 3 and 5 workers', async () => {
  const one = await outputs('one', { workers: 1 });
  expect(one.result.judged.packets).toBe(PACKETS);
  for (const workers of WORKERS.slice(1)) {
    const many = await outputs('many', { workers });
    expect(many.result).toEqual(one.result);
    expect(many.pcap.equals(one.pcap)).toBe(true);
    expect(many.flows).toBe(one.flows);
  }
});

test('every packet has a hook and an end, and what is counted adds up', async () => {
  const { judged, hooks, fates, drops, flows, events, complete } = await replay();
  const total = (of: Record<string, { packets: number }>) =>
    Object.values(of).reduce((sum, one) => sum + one.packets, 0);
  expect([total(hooks), total(fates), complete]).toEqual([PACKETS, PACKETS, true]);
  expect(drops.reduce((sum, { packets }) => sum + packets, 0)).toBe(fates.dropped.packets);
  expect(fates.dropped.packets).toBeGreaterThan(0);
  expect(hooks['from-netdev'].packets).toBeGreaterThan(0);
  expect(flows.top[0]!.packets).toBeGreaterThan(flows.top[50]!.packets);
  expect(events.read).toBe(0);
  expect(events.lost).toBeGreaterThan(1000);
  expect(judged.bytes).toBe(openBytes(trace));
});

const openBytes = (path: string): number => [...openCapture(path)].reduce((sum, { data }) => sum + data.length, 0);

test('what is written says of every packet where it went, in the order of the trace, with valid checksums', async () => {
  const { writePcap, result } = await outputs('written', {});
  const capture = openCapture(writePcap);
  const packets = [...capture];
  expect(packets.length).toBe(PACKETS);
  for (let i = 1; i < packets.length; i++)
    if (packets[i]!.timestampNs < packets[i - 1]!.timestampNs) throw new Error(`packet ${i} is out of order`);
  const dropped = packets.filter(({ comment }) => comment!.startsWith('dropped: '));
  expect(dropped.length).toBe(result.fates.dropped.packets);
  expect(new Set(dropped.map(({ comment }) => comment))).toContain('dropped: 133 Policy denied');
  for (const { comment, data, interfaceId } of packets) {
    if (comment!.startsWith('to default/')) expect(comment).toBe(`to ${capture.interfaces[interfaceId]!.name}`);
    const wrong = verifyChecksums(data, 0, data.length);
    if (wrong !== undefined) throw new Error(`${comment}: bad ${wrong} checksum`);
  }
});

test('flows are Hubble JSON lines, one for each event, none lost', async () => {
  const { flows, result } = await outputs('flows', {});
  const lines = flows.trimEnd().split('\n');
  expect(lines.length).toBe(result.events.read);
  expect(result.events.lost).toBe(0);
  const dropped = lines.map((line) => JSON.parse(line).flow).filter((flow) => flow.event_type.type === EVENT_DROP);
  expect(dropped.length).toBe(result.fates.dropped.packets);
  const policy = dropped.filter(({ drop_reason: code }) => code === 133);
  expect(policy[0]).toMatchObject({ verdict: 'DROPPED', drop_reason_desc: 'POLICY_DENIED', node_name: 'node-1' });
});

test.each([2, 5])('%i shares, merged, are one run', async (of) => {
  const whole = await replay();
  const shares: NamedResult[] = [];
  for (let index = of - 1; index >= 0; index--)
    shares.push({
      file: `${index}.json`,
      result: await replayPackets(agent, trace, { share: { index, of }, workers: 2 }),
    });
  expect(mergeResults(shares)).toEqual(whole);
});

test('a loop goes on in time and number where the pass before ended, the connections remembered', async () => {
  const once = await replay();
  const { result, writePcap } = await outputs('loop', { loop: 2 });
  expect(result.judged.packets).toBe(2 * once.judged.packets);
  expect(result.trace.fingerprint).toBe(once.trace.fingerprint);
  const times = [...openCapture(writePcap)].map(({ timestampNs }) => timestampNs);
  expect(times[PACKETS]! - times[0]!).toBe(1_000_000_000n);
  expect((await replay({ loop: 2, workers: 3 })).checksum).toBe(result.checksum);
});

test('a run that is ended gives what was judged until then, and says so', async () => {
  const end = new AbortController();
  const result = await replay({
    loop: 1000,
    signal: end.signal,
    onProgress: (packets) => packets > 30_000 && end.abort(),
  });
  expect(result.complete).toBe(false);
  expect(result.judged.packets).toBeGreaterThan(30_000);
  expect(result.judged.packets).toBeLessThan(200_000);
});

test('with the seed of the trace, replies come from the backends that the datapath chooses: only policy drops', async () => {
  const open = await startAgent(CLUSTER, 5);
  const path = join(folder, 'seed5.pcapng');
  generateTrace(open, path, { packets: 5000, flows: 50, mix: { tcp: 3, udp: 1, icmp: 1, sctp: 0 } });
  const { timings: _, ...result } = await replayPackets(open, path);
  expect(result.drops).toEqual([]);
  expect(result.received).toBe(0);
});

describe('merge refuses, with the file at fault', () => {
  let whole: PacketsResult;
  beforeAll(async () => {
    whole = await replay();
  });
  const share =
    (index: number, of: number, change: Partial<PacketsResult> = {}) =>
    () => ({
      file: `share-${index}`,
      result: { ...whole, share: { index, of }, ...change },
    });
  const rows: [string, (() => NamedResult)[], RegExp][] = [
    ['nothing', [], /no result to merge/],
    ['a share that is not there', [share(0, 3), share(2, 3)], /share 1\/3 is missing/],
    ['a share twice', [share(0, 2), share(0, 2)], /share-0: share 0\/2, which share-0 has too/],
    ['other shares', [share(0, 2), share(1, 3)], /share-1: .*another number of shares/],
    ['another seed', [share(0, 2), share(1, 2, { seed: 9 })], /share-1: .*another seed/],
    ['an ended run', [share(0, 2), share(1, 2, { complete: false })], /share-1: .*ended before/],
    ['the result of all', [share(0, 2), share(1, 2, { share: null })], /share-1: the result of all connections/],
  ];
  test.each(rows)('%s', (_name, makers, message) => {
    const merge = () => mergeResults(makers.map((make) => make()));
    expect(merge).toThrow(message);
    expect(merge).toThrow(expect.objectContaining({ code: 'BAD_INPUT' }));
  });
});

test.each([
  [0, 17],
  [3, 3],
  [0, 0],
])('share %i of %i is refused', async (index, of) => {
  await expect(replayPackets(agent, trace, { share: { index, of } })).rejects.toMatchObject({ code: 'BAD_INPUT' });
});

test('a capture is not written over while it is read', async () => {
  const run = replayPackets(agent, trace, { writePcap: `${folder}/../${basename(folder)}/trace.pcapng` });
  await expect(run).rejects.toThrow(/trace\.pcapng: the capture itself/);
  expect((await replay()).judged.packets).toBe(PACKETS);
});

describe('behind masquerading', () => {
  const be32 = (address: number): number => Buffer.from(Uint32Array.of(address).buffer).swap32().readUInt32LE();
  const node = { ...DEFAULT_NODE, masqueradeIpv4: be32(ip('192.168.1.1')) };
  const config = { ...DEFAULT_CONFIG, masqueradeIpv4: true, node };
  const server = ip('198.18.0.9');
  const PODS = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.11', '10.0.0.12'];
  const NAMES = ['client-1', 'client-2', 'stranger', 'web-1', 'web-2'];
  const syns = Array.from({ length: 200 }, (_, i) => {
    const srcPort = 40_000 + (i >> 2); // the same port of four pods: NAT must choose others for three
    const ends = { src: ip(PODS[i % 5]!), dst: server, srcPort, dstPort: 443 };
    return [`default/${NAMES[i % 5]}`, tcpSegment({ ...ends, seq: i, flags: TCP_SYN })] as const;
  });
  const path = join(folder, 'masqueraded.pcapng');

  test('answers to ports that NAT chose reach the pod, the same with any number of workers', async () => {
    writeCapture(path, syns);
    const out = await outputs('nat', { config }, path);
    expect(out.result.fates['to-network'].packets).toBe(syns.length);
    const sent = [...openCapture(out.writePcap)].map(({ data }) => parseFrame(data));
    expect(new Set(sent.map(({ tcp }) => tcp!.srcPort)).size).toBe(syns.length);
    const answers = sent.map(({ ipv4, tcp }) => {
      const ends = { src: ipv4!.dst, dst: ipv4!.src, srcPort: tcp!.dstPort, dstPort: tcp!.srcPort };
      return ['eth0', tcpSegment({ ...ends, seq: 1, ack: tcp!.seq + 1, flags: 0x12 })] as const;
    });
    const both = syns.flatMap((syn, i) => [syn, answers[i]!]);
    writeCapture(path, both);
    const one = await outputs('nat-1', { config, workers: 1 }, path);
    expect(one.result.fates).toMatchObject({ 'to-network': { packets: 200 }, 'to-endpoint': { packets: 200 } });
    for (const workers of WORKERS.slice(1)) {
      const many = await outputs('nat-n', { config, workers }, path);
      expect(many.result).toEqual(one.result);
      expect(many.pcap.equals(one.pcap)).toBe(true);
    }
  });
});
