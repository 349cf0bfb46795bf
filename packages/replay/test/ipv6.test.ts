import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Agent } from '@ciliate/agent';
import {
  fixChecksums,
  icmpEcho,
  openCapture,
  parseFrame,
  TCP_ACK,
  TCP_SYN,
  tcpSegment,
  udpDatagram,
  verifyChecksums,
} from '@ciliate/packet';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import {
  type FramedPacket,
  generateTrace,
  replayConversations,
  replayPackets,
  type TracePacket,
  tracePacket,
} from '../src/index.ts';
import { DUAL_STACK, ip6 as ip, POLICY, startAgent, temporaryFolder, writeCapture } from './support.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

const folder = temporaryFolder();
const PREFIXES = `
---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: client }
spec:
  endpointSelector: { matchLabels: { app: client } }
  ingress:
    - fromCIDR: ["2001:db8:1::/48"]
`;
let agent: Agent;
beforeAll(async () => {
  agent = await startAgent(`${DUAL_STACK}${POLICY}${PREFIXES}`);
});

const IP = 14;
const L4 = 54;
const syn = (src: string, dst: string, more = {}): Uint8Array =>
  tcpSegment({ src: ip(src), dst: ip(dst), srcPort: 40_000, dstPort: 80, seq: 1, flags: TCP_SYN, ...more });
const echo = (src: string, dst: string): Uint8Array => icmpEcho({ src: ip(src), dst: ip(dst), id: 1, sequence: 1 });

/** With the option that a host puts behind it. */
function solicitation(src: string, target: string): Uint8Array {
  const option = Uint8Array.of(1, 1, 2, 0, 0, 0, 0, 1);
  const frame = icmpEcho({ src: ip(src), dst: ip(target), id: 0, sequence: 0, payload: new Uint8Array(24) });
  frame[L4] = 135;
  frame.set(frame.subarray(IP + 24, IP + 40), L4 + 8);
  frame.set(option, L4 + 24);
  fixChecksums(frame, 0, frame.length);
  return frame;
}

const ends: [sentence: string, pod: string | undefined, frame: Uint8Array, end: string][] = [
  ['what policy allows is delivered', 'client-1', syn('fd00::1', 'fd00::11'), 'delivered to default/web-1'],
  ['a pod without the label is dropped', 'stranger', syn('fd00::3', 'fd00::11'), 'dropped: 133 Policy denied'],
  ['a service sends to its backend', 'client-1', syn('fd00::1', 'fd00:96::1'), 'delivered to default/web-'],
  ['an echo is asked policy like all else', 'stranger', echo('fd00::3', 'fd00::12'), 'dropped: 133 Policy denied'],
  ['and passes where it may', 'client-1', echo('fd00::1', 'fd00::12'), 'delivered to default/web-2'],
  ['to the world it leaves by the device', 'stranger', syn('fd00::3', '2001:db8::9'), 'leaves the node by device 5'],
  ['the node keeps its own', 'stranger', syn('fd00::3', 'fd00:1::1'), "to the host's stack, which keeps it"],
  ["a pod has no other pod's address", 'stranger', syn('fd00::1', 'fd00::11'), 'dropped: 132 Invalid source ip'],
  ['nor any where it has none', 'client-2', syn('fd00::2', 'fd00::11'), 'dropped: 132 Invalid source ip'],
  [
    'from a prefix that a rule names it comes in',
    undefined,
    syn('2001:db8:1::7', 'fd00::1'),
    'delivered to default/client-1',
  ],
  ['from any other it does not', undefined, syn('2001:db8:2::7', 'fd00::1'), 'dropped: 133 Policy denied'],
  ['who asks for a pod as its neighbour is answered', 'client-1', solicitation('fd00::1', 'fd00::11'), ANSWERED()],
  [
    'and who asks for the node, whose address is that of the router',
    'client-1',
    solicitation('fd00::1', 'fd00:1::1'),
    ANSWERED(),
  ],
  [
    'for an address that nobody has there is no answer',
    'client-1',
    solicitation('fd00::1', 'fd00::99'),
    'dropped: 150 Unknown L3 target address',
  ],
  ['without a hop left the sender is told', 'client-1', syn('fd00::1', 'fd00::11', { ttl: 1 }), ANSWERED()],
  [
    'on its way out the stack of the host drops it',
    'stranger',
    syn('fd00::3', '2001:db8::9', { ttl: 2 }),
    "dropped by the host's stack: no hop left to live",
  ],
];
function ANSWERED(): string {
  return 'back to its sender, as the answer';
}

const made = (pod: string | undefined, frame: Uint8Array): FramedPacket => ({
  sender: pod === undefined ? undefined : agent.endpointOfPod(pod),
  frame,
  timeNs: 1_000_000_000_000n,
});

test.each(ends)('%s', (_sentence, pod, frame, end) => {
  agent.flushConntrack();
  const trace = tracePacket(agent, made(pod, frame), { aggregation: 3, debug: false });
  expect(trace.end.text.startsWith(end)).toBe(true);
});

test('each step names IPv6 addresses as such', () => {
  agent.flushConntrack();
  const packet = made('client-1', syn('fd00::1', 'fd00::11'));
  const { headers, steps } = tracePacket(agent, packet, { aggregation: 3, debug: false });
  expect(headers.map(({ name }) => name)).toEqual(['Ethernet', 'IPv6', 'TCP']);
  expect(headers[1]!.text).toBe('fd00::1 -> fd00::11, TCP, hop limit 64, 60 bytes');
  const texts = steps.flatMap((step) => ('text' in step ? [step.text] : []));
  const web = agent.endpointOfPod('web-1')!.identity;
  expect(texts).toContain(`fd00::11 has identity ${web} (ipcache): k8s:app=web`);
  expect(texts).toContain('The packet is routed: one hop less to live, and the Ethernet addresses of the next link.');
  expect(texts.filter((text) => text.includes('default/client-1:40000'))).not.toEqual([]);
});

test('an answer in the place of the packet is called one', () => {
  const packet = made('client-1', solicitation('fd00::1', 'fd00::11'));
  const { steps, after } = tracePacket(agent, packet, { aggregation: 3, debug: false });
  expect(steps.at(-1)).toMatchObject({ kind: 'rewrite', text: 'The packet becomes an answer to its sender.' });
  expect(after.find(({ name }) => name === 'ICMPv6')!.fields.type).toBe('136');
});

/** What the links of this cluster may carry: both families, what no program understands, and what is not whole. */
const PODS = ['10.0.0.1', 'fd00::1', 'fd00::3', 'fd00::11', '10.0.0.11', 'fd00::12'] as const;
const INTERFACES = ['default/client-1', 'default/stranger', 'default/web-1', 'default/web-2', 'eth0'] as const;
const OTHERS = [
  '198.18.0.7',
  '2001:db8:1::7',
  '2001:db8:2::7',
  '10.96.0.1',
  'fd00:96::1',
  '192.168.1.1',
  'fd00:1::1',
] as const;

const packet = fc
  .record({
    from: fc.constantFrom(...INTERFACES),
    src: fc.constantFrom(...PODS, ...OTHERS),
    dst: fc.constantFrom(...PODS, ...OTHERS),
    kind: fc.constantFrom(
      'syn',
      'ack',
      'udp',
      'echo',
      'reply',
      'solicitation',
      'fragment',
      'options',
      'error',
      'bytes',
    ),
    port: fc.integer({ min: 1, max: 4 }),
    ttl: fc.constantFrom(1, 2, 64),
    bytes: fc.uint8Array({ maxLength: 80 }),
  })
  .map(({ from, src, dst, ...more }): [string, Uint8Array] => [from, frameOf(src, dst, more)]);

type Shape = { kind: string; port: number; ttl: number; bytes: Uint8Array };

function frameOf(from: string, to: string, { kind, port, ttl, bytes }: Shape): Uint8Array {
  const src = ip(from);
  const dst = typeof ip(to) === typeof src ? ip(to) : src;
  const isV6 = typeof src === 'bigint';
  const ports = { src, dst, ttl, srcPort: 40_000 + port, dstPort: port === 1 ? 80 : 8080 };
  if (kind === 'ack') return tcpSegment({ ...ports, seq: 2, ack: 1, flags: TCP_ACK, payload: bytes });
  if (kind === 'udp') return udpDatagram({ ...ports, payload: bytes });
  if (kind === 'echo' || kind === 'reply')
    return icmpEcho({ src, dst, ttl, id: port, sequence: 1, reply: kind === 'reply' });
  if (kind === 'solicitation' && isV6) return solicitation(from, to.includes(':') ? to : from);
  if (kind === 'error') {
    const quoted = tcpSegment({ ...ports, src: dst, dst: src, seq: 1, flags: TCP_SYN }).subarray(IP);
    const error = icmpEcho({ src, dst, ttl, id: 0, sequence: 0, payload: quoted });
    error[isV6 ? L4 : 34] = isV6 ? 1 : 3;
    fixChecksums(error, 0, error.length);
    return error;
  }
  const frame = kind === 'bytes' ? udpDatagram({ ...ports, payload: bytes }).subarray(0, 14 + bytes.length) : undefined;
  if (frame !== undefined) return frame;
  if (isV6 && (kind === 'fragment' || kind === 'options'))
    return extended(udpDatagram({ ...ports, payload: bytes }), kind === 'fragment' ? 44 : 0, port);
  return tcpSegment({ ...ports, seq: 1, flags: TCP_SYN });
}

/** Port 1: the first fragment, else a later one of the same datagram. */
function extended(frame: Uint8Array, kind: number, port: number): Uint8Array {
  const header = kind === 44 ? [17, 0, 0, port === 1 ? 1 : 8, 0, 0, 0, 9] : [17, 0, 1, 4, 0, 0, 0, 0];
  const longer = new Uint8Array([...frame.subarray(0, L4), ...header, ...frame.subarray(L4)]);
  longer[IP + 5] = longer[IP + 5]! + 8;
  longer[IP + 6] = kind;
  return longer;
}

async function outputs(path: string, workers: number) {
  const [writePcap, flows] = [join(folder, 'out.pcapng'), join(folder, 'out.json')];
  const { timings: _, ...result } = await replayPackets(agent, path, { workers, writePcap, flows });
  return {
    result,
    pcap: createHash('sha256').update(readFileSync(writePcap)).digest('hex'),
    flows: readFileSync(flows, 'utf8'),
  };
}

test.each([2, 3, 5, 6])('mixed packets have the same end, byte for byte, with 1 and %i workers', async (workers) => {
  const path = join(folder, 'mixed.pcapng');
  const packets = fc.sample(packet, { seed: seed + workers, numRuns: 250 });
  writeCapture(path, packets);
  const one = await outputs(path, 1);
  expect(one.result.judged.packets + one.result.received).toBe(packets.length);
  expect(one.result.drops.length).toBeGreaterThan(1);
  expect(await outputs(path, workers)).toEqual(one);
});

test('a generated trace has both families, all checksums right, each frame on the interface of its sender', () => {
  const path = join(folder, 'generated.pcapng');
  const flows = { flows: 100, newFlows: 5000, synFlood: 0.05, scan: 0.05 };
  generateTrace(agent, path, { packets: 6000, ...flows, mix: { tcp: 5, udp: 3, icmp: 1, sctp: 1 } });
  const capture = openCapture(path);
  const count = { ipv4: 0, ipv6: 0 };
  const protocols = new Set<number>();
  for (const { data, interfaceId } of capture) {
    expect(verifyChecksums(data, 0, data.length)).toBeUndefined();
    const { ip: header, ipv6 } = parseFrame(data);
    count[ipv6 === undefined ? 'ipv4' : 'ipv6']++;
    protocols.add(header!.protocol);
    const sender = agent.endpointOfAddress(header!.src);
    expect(capture.interfaces[interfaceId]!.name).toBe(sender === undefined ? 'eth0' : `default/${sender.name}`);
  }
  expect(Math.min(count.ipv4, count.ipv6)).toBeGreaterThan(1000);
  expect([...protocols].sort((a, b) => a - b)).toEqual([1, 6, 17, 58, 132]);
});

test('a generated trace is judged the same with 1, 2 and 5 workers; rows and flows name both families', async () => {
  const path = join(folder, 'generated.pcapng');
  generateTrace(agent, path, { packets: 6000, flows: 100, newFlows: 5000, mix: { tcp: 5, udp: 3, icmp: 1, sctp: 1 } });
  const one = await outputs(path, 1);
  for (const workers of [2, 5]) expect(await outputs(path, workers)).toEqual(one);
  const lines = one.flows
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).flow);
  expect(new Set(lines.map(({ IP: header }) => header?.ipVersion))).toEqual(new Set(['IPv4', 'IPv6']));
  expect(lines.find(({ l4 }) => l4?.ICMPv6)).toMatchObject({ l4: { ICMPv6: { type: 128 } } });
  expect(new Set(one.result.flows.top.map(({ protocol }) => protocol))).toContain('ICMPv6');
  const world = one.result.flows.top.filter(({ destination }) => destination.startsWith('2001:2:'));
  expect(world.length).toBeGreaterThan(0);
});

test('what a pod received over IPv6 is judged where it was sent, not again', async () => {
  const path = join(folder, 'both.pcapng');
  const frame = syn('fd00::1', 'fd00::11');
  writeCapture(path, [
    ['default/client-1', frame],
    ['default/web-1', frame],
    ['default/web-1', syn('fd00::11', 'fd00::1', { flags: TCP_SYN | TCP_ACK, srcPort: 80, dstPort: 40_000 })],
  ]);
  const { received, fates, hooks } = await replayPackets(agent, path);
  expect([received, fates['to-endpoint'].packets, hooks['from-container'].packets]).toEqual([1, 2, 2]);
});

const captured = (frames: readonly Uint8Array[]): TracePacket[] =>
  frames.map((data, i) => {
    const timestampNs = 1_700_000_000_000_000_000n + BigInt(i) * 1000n;
    return { number: i + 1, timestampNs, data, interfaceName: undefined };
  });

/** A query for the name of web-2's IPv6 address, and its answer. */
function lookup(client: string, server: string): Uint8Array[] {
  const name = [3, 0x77, 0x65, 0x62, 0]; // web
  const question = [...name, 0, 28, 0, 1];
  const address = [...Array(15).fill(0), 0x12];
  [address[0], address[1]] = [0xfd, 0x00];
  const head = (flags: number, answers: number) => [0, 7, flags, 0, 0, 1, 0, answers, 0, 0, 0, 0];
  const answer = [...head(0x80, 1), ...question, ...name, 0, 28, 0, 1, 0, 0, 0, 60, 0, 16, ...address];
  const asks = { src: ip(client), dst: ip(server), srcPort: 5353, dstPort: 53 };
  const answers = { src: ip(server), dst: ip(client), srcPort: 53, dstPort: 5353 };
  return [
    udpDatagram({ ...asks, payload: Uint8Array.from([...head(1, 0), ...question]) }),
    udpDatagram({ ...answers, payload: Uint8Array.from(answer) }),
  ];
}

const handshake = (client: string, server: string): Uint8Array[] => [
  syn(client, server),
  syn(server, client, { srcPort: 80, dstPort: 40_000, seq: 9, ack: 2, flags: TCP_SYN | TCP_ACK }),
  syn(client, server, { seq: 2, ack: 10, flags: TCP_ACK }),
];
const ping = (client: string, server: string): Uint8Array[] => [
  echo(client, server),
  icmpEcho({ src: ip(server), dst: ip(client), id: 1, sequence: 1, reply: true }),
];

const conversations: [sentence: string, frames: Uint8Array[], rows: object[]][] = [
  [
    'a connection that policy allows is answered',
    handshake('fd00::1', 'fd00::11'),
    [{ transport: 'TCP', destination: 'default/web-1:80', outcome: 'answered', sees: 'connected' }],
  ],
  [
    'a service is answered by one of its backends, under its own address',
    [
      syn('fd00::1', 'fd00:96::1'),
      syn('fd00::11', 'fd00::1', { srcPort: 80, dstPort: 40_000, seq: 9, ack: 2, flags: TCP_SYN | TCP_ACK }),
      syn('fd00::1', 'fd00:96::1', { seq: 2, ack: 10, flags: TCP_ACK }),
    ],
    [{ destination: 'default/web:80', outcome: 'answered', sees: 'connected' }],
  ],
  [
    'after a dropped SYN nothing follows',
    handshake('fd00::3', 'fd00::11'),
    [{ source: 'default/stranger', outcome: 'dropped', dropCode: 133 }],
  ],
  [
    'an echo is answered',
    ping('fd00::1', 'fd00::12'),
    [{ transport: 'ICMPv6', destination: 'default/web-2', asked: 'echo', sees: 'echo reply' }],
  ],
  [
    'without a hop left the client sees an ICMP error, and no more is sent',
    [syn('fd00::1', 'fd00::11', { ttl: 1 }), ...handshake('fd00::1', 'fd00::11').slice(1)],
    [{ outcome: 'dropped', sees: 'an ICMP error' }],
  ],
  [
    'the address that a name has is learnt by an AAAA record',
    [...lookup('fd00::1', 'fd00::11'), ...handshake('fd00::1', 'fd00::12')],
    [{ asked: 'AAAA web', sees: 'fd00::12' }, { outcome: 'answered' }],
  ],
  [
    'and without that answer the client does not know whom to ask',
    [...lookup('fd00::3', 'fd00::11'), ...handshake('fd00::3', 'fd00::12')],
    [{ outcome: 'dropped' }, { verdict: 'NOT SENT', outcome: 'unresolved' }],
  ],
];

test.each(conversations)('conversations: %s', async (_sentence, frames, rows) => {
  agent.flushConntrack();
  const played = await replayConversations(agent, captured(frames));
  expect(played.unreplayed).toEqual([]);
  expect(played.rows).toMatchObject(rows);
  expect(played.flows.filter(({ ip: header }) => header?.version !== 'IPv6')).toEqual([]);
});
