import { fileURLToPath } from 'node:url';
import { Agent } from '@ciliate/agent';
import { loadObjects, ObjectStore } from '@ciliate/k8s';
import {
  type IpAddress,
  internetChecksum,
  openCapture,
  parseIpv4,
  TCP_ACK,
  TCP_SYN,
  tcpSegment,
  udpDatagram,
} from '@ciliate/packet';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FramedPacket, framed, type PacketTrace, type TraceStep, tracePacket } from '../src/index.ts';

const FOLDER = fileURLToPath(new URL('../../../examples/deathstar', import.meta.url));
const OPTIONS = { aggregation: 3, debug: false } as const;

let agent: Agent;
beforeAll(async () => {
  const store = new ObjectStore();
  for (const object of loadObjects([FOLDER, `${FOLDER}/policies/l7.yaml`])) store.apply(object);
  agent = await Agent.start({ store, seed: 1, log: pino({ level: 'silent' }) });
});
afterAll(() => agent.stop());

const SERVICE = parseIpv4('10.96.0.80')!;
const address = (pod: string): IpAddress => agent.endpointOfPod(pod)!.address;
const from = (pod: string, dst: IpAddress, flags = TCP_SYN, dstPort = 80): FramedPacket => ({
  sender: agent.endpointOfPod(pod),
  frame: tcpSegment({ src: address(pod), dst, srcPort: 40_000, dstPort, seq: 1, flags }),
  timeNs: 1_000_000_000_000n,
});

function trace(packet: FramedPacket, before: FramedPacket[] = []): PacketTrace {
  agent.flushConntrack();
  return tracePacket(agent, packet, OPTIONS, before);
}

type MapStep = Extract<TraceStep, { kind: 'map' }>;
const isMap = (step: TraceStep): step is MapStep => step.kind === 'map';
const asked = ({ steps }: PacketTrace): string[] =>
  steps.filter(isMap).map(({ question, answer }) => `${question} ${answer}`.trim());
const texts = ({ steps }: PacketTrace): string[] => steps.flatMap((step) => ('text' in step ? step.text : []));

const ends: [name: string, packet: () => FramedPacket, end: string][] = [
  ['a pod without the label is dropped by policy', () => from('xwing', SERVICE), 'dropped: 133 Policy denied'],
  ['one with it goes to the proxy', () => from('tiefighter', SERVICE), 'to the proxy, port 10000'],
  ['what no policy selects is delivered', () => from('tiefighter', address('xwing')), 'delivered to default/xwing'],
  [
    'to the world it leaves by the device',
    () => from('xwing', parseIpv4('203.0.113.9')!),
    'leaves the node by device 5',
  ],
  ['the node itself keeps it', () => from('xwing', agent.nodeAddresses[0]!), "to the host's stack, which keeps it"],
  [
    'a pod sends only from its own address',
    () => ({ ...from('xwing', SERVICE), sender: agent.endpointOfPod('tiefighter') }),
    'dropped: 132 Invalid source ip',
  ],
  [
    'a packet of the network for a pod is asked ingress policy',
    () => ({ ...fromWorld(address('deathstar-1')), sender: undefined }),
    'dropped: 133 Policy denied',
  ],
  ['a pod that no policy selects gets it', () => fromWorld(address('xwing')), 'delivered to default/xwing'],
  [
    'with one hop to live it goes no further',
    () => fromWorld(address('xwing'), 1),
    "dropped by the host's stack: no hop left to live",
  ],
];

const fromWorld = (dst: IpAddress, ttl = 64): FramedPacket => ({
  sender: undefined,
  frame: tcpSegment({ src: parseIpv4('203.0.113.9')!, dst, srcPort: 40_000, dstPort: 80, seq: 1, flags: TCP_SYN, ttl }),
  timeNs: 1_000_000_000_000n,
});

test.each(ends)('%s', (_name, packet, end) => {
  expect(trace(packet()).end.text).toBe(end);
});

test('a new connection to a service: the questions in order', () => {
  expect(asked(trace(from('xwing', SERVICE)))).toEqual([
    'Is 10.96.0.80:80/TCP the address of a service? Yes: backends in slots 1 to 2, reverse NAT id 1.',
    'Which backend was chosen for this connection to the service? None yet.',
    expect.stringMatching(/^Which backend is in slot [12] of the service\? Backend [12]\.$/),
    expect.stringMatching(/^Where is backend ([12])\? At 10\.0\.0\.1\1:80\/TCP\.$/),
    'The choice of the backend is remembered.',
    'Is it part of a connection that was opened from here? No.',
    expect.stringMatching(/^Whose address is 10\.0\.0\.1[12]\? .* is the longest: identity 41191, /),
    'What does the policy map say about identity 41191? Nothing.',
    'What does the policy map say about any identity? Allow, by egress, any identity, ANY.',
    'ICMP errors about the connection will be known by an entry of their own.',
    'The connection is remembered.',
    expect.stringMatching(/^Is 10\.0\.0\.1[12] on this node\? Yes, endpoint [12]: default\/deathstar-[12]\.$/),
    'Is it an answer in a connection that was opened from here? No.',
    'Is it part of a connection that was opened to here? No.',
    'What does the policy map say about identity 34687? Nothing.',
    'What does the policy map say about any identity? Nothing.',
  ]);
});

test('its next packet, and the answer to it, are known', () => {
  const pods = ['tiefighter', 'xwing'] as const;
  const open = from(pods[0], address(pods[1]));
  const next = trace(from(pods[0], address(pods[1]), TCP_ACK), [open]);
  expect(asked(next)).toContain('Is it part of a connection that was opened from here? Yes.');
  expect(asked(next)).toContain('The entry is brought up to date.');
  expect(asked(next)).not.toContain('The connection is remembered.');
  const { frame } = open;
  const reply = tcpSegment({
    ...{ src: address(pods[1]), dst: address(pods[0]), srcPort: 80, dstPort: 40_000, seq: 1 },
    flags: TCP_SYN | TCP_ACK,
  });
  expect(frame.length).toBe(reply.length);
  const answer = trace({ sender: agent.endpointOfPod(pods[1]), frame: reply, timeNs: open.timeNs }, [open]);
  expect(asked(answer)).toContain('Is it an answer in a connection that was opened to here? Yes.');
  expect(texts(answer)).toContain('conntrack, egress: reply');
});

test('keys and values are the bytes of the maps', () => {
  const [service] = trace(from('xwing', SERVICE)).steps.filter(isMap);
  expect(service).toMatchObject({
    access: 'lookup',
    map: 'cilium_lb4_services_v2',
    key: '0a6000500050000006000000',
    keyText: '10.96.0.80:80/TCP (0)',
    value: '000000000200000100000000',
  });
});

test('of a trie, the key of the prefix that matched', () => {
  const world = trace(from('xwing', parseIpv4('203.0.113.9')!)).steps.filter(isMap);
  expect(world.find(({ map }) => map === 'cilium_ipcache_v2')).toMatchObject({
    key: '4000000000000001cb007109000000000000000000000000',
    keyText: '203.0.113.9/32',
    matched: '200000000000000100000000000000000000000000000000',
    matchedText: '0.0.0.0/0',
  });
});

test('events stand where they were sent: in front of the rewrite that they do not show', () => {
  const { steps } = trace(from('xwing', parseIpv4('203.0.113.9')!));
  const kinds = steps.flatMap((step) => {
    if (step.kind === 'rewrite') return `rewrite ${step.changes.map(({ field }) => field).join(',')}`;
    return step.kind === 'event' ? step.event : [];
  });
  expect(kinds).toEqual([
    'policy verdict notification',
    'rewrite destination,TTL,checksum',
    'trace notification',
    'rewrite TTL,checksum',
  ]);
  const events = steps.filter((step) => step.kind === 'event');
  expect(events.map(({ struct }) => struct.length / 2)).toEqual([32, 48]);
});

test('with DEBUG the messages of the programs stand between the steps', () => {
  agent.flushConntrack();
  const { steps } = tracePacket(agent, from('tiefighter', SERVICE), { aggregation: 3, debug: true });
  const debug = steps.flatMap((step) => (step.kind === 'event' && step.event.startsWith('debug') ? step.text : []));
  expect(debug).toEqual(
    expect.arrayContaining([
      'CT verdict: New, revnat=1',
      expect.stringMatching(/^Successfully mapped addr=10\.0\.0\.1[12] to identity=41191$/),
      'Matched L4 policy; creating conntrack src=434 dst=41191 dport=80 proto=6',
      '54 bytes, Packet to proxy port 10000 (Pre)',
    ]),
  );
});

const levels: [aggregation: 0 | 1 | 2 | 3 | 4, traces: number][] = [
  [0, 2],
  [1, 1],
  [2, 1],
  [3, 0],
  [4, 0],
];

test.each(levels)(
  'monitor aggregation %s: of a packet in a known connection %s traces are told',
  (aggregation, traces) => {
    agent.flushConntrack();
    const [syn, ack] = [from('tiefighter', address('xwing')), from('tiefighter', address('xwing'), TCP_ACK)];
    const { steps } = tracePacket(agent, ack, { aggregation, debug: false }, [syn, ack]);
    expect(steps.filter((step) => step.kind === 'event' && step.event === 'trace notification')).toHaveLength(traces);
  },
);

test('every packet of the capture: rewrites follow on each other, and the IPv4 checksum stays right', () => {
  const capture = openCapture(`${FOLDER}/deathstar.pcapng`);
  const packets = [...capture].map(({ number, timestampNs, data, interfaceId }) =>
    framed(agent, { number, timestampNs, data, interfaceName: capture.interfaces[interfaceId]?.name }),
  );
  agent.flushConntrack();
  let rewrites = 0;
  for (const packet of packets) {
    const { headers, steps, after, end } = tracePacket(agent, packet, OPTIONS);
    let now = headers;
    for (const step of steps) {
      if (step.kind !== 'rewrite') continue;
      expect(step.before).toEqual(now);
      expect(step.changes.length).toBeGreaterThan(0);
      now = step.after;
      rewrites++;
    }
    expect(after).toEqual(now);
    expect(end.text).not.toBe('');
    const ip = Buffer.from(after.find(({ name }) => name === 'IPv4')!.hex, 'hex');
    expect(internetChecksum(ip, 0, ip.length)).toBe(0);
  }
  expect(rewrites).toBeGreaterThan(packets.length);
});

test('bytes that are no packet are told as far as they go', () => {
  const sender = agent.endpointOfPod('xwing');
  const short = trace({ sender, frame: new Uint8Array(10), timeNs: 1n });
  expect([short.headers[0]!.name, short.end.kind]).toEqual(['rest', 'dropped']);
  const frame = udpDatagram({ src: address('xwing'), dst: SERVICE, srcPort: 1, dstPort: 2 }).subarray(0, 20);
  expect(trace({ sender, frame, timeNs: 1n }).end).toEqual({ kind: 'dropped', text: 'dropped: 134 Invalid packet' });
});
