import { join } from 'node:path';
import { Agent } from '@ciliate/agent';
import { decodeObjects, ObjectStore } from '@ciliate/k8s';
import { openCapture, TCP_ACK, TCP_SYN, tcpSegment } from '@ciliate/packet';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { type PacketsResult, replayPackets } from '../src/index.ts';
import { ip, temporaryFolder, writeCapture } from './support.ts';

// One node of two: pods of the other are behind its tunnel.

const folder = temporaryFolder();
const pod = (name: string, address: string, node: string, host: string): string => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, labels: { app: ${name} } }
spec: { nodeName: ${node}, containers: [{ name: main, ports: [{ containerPort: 80 }] }] }
status: { podIP: ${address}, hostIP: ${host} }
---`;
const CLUSTER = [
  pod('here', '10.0.1.1', 'one', '192.168.1.1'),
  pod('friend', '10.0.2.1', 'two', '192.168.1.2'),
  pod('stranger', '10.0.2.2', 'two', '192.168.1.2'),
  `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: here }
spec:
  endpointSelector: { matchLabels: { app: here } }
  ingress: [{ fromEndpoints: [{ matchLabels: { app: friend } }] }]
---`,
].join('');

const [HERE, FRIEND, STRANGER] = ['10.0.1.1', '10.0.2.1', '10.0.2.2'].map(ip) as [number, number, number];
const segment = (src: number, dst: number, srcPort: number, dstPort: number, flags: number): Uint8Array =>
  tcpSegment({ src, dst, srcPort, dstPort, seq: 1, flags });
const PACKETS = [
  ['default/here', segment(HERE, FRIEND, 4000, 80, TCP_SYN)],
  ['default/friend', segment(FRIEND, HERE, 80, 4000, TCP_SYN | TCP_ACK)],
  ['eth0', segment(FRIEND, HERE, 5000, 80, TCP_SYN)],
  ['default/stranger', segment(STRANGER, HERE, 5000, 80, TCP_SYN)],
] as const;

async function replay(options: Partial<Parameters<typeof Agent.start>[0]>, workers = 2) {
  const store = new ObjectStore();
  for (const object of decodeObjects(CLUSTER, 'cluster.yaml')) store.apply(object);
  const agent = await Agent.start({ store, seed: 1, log: pino({ level: 'silent' }), node: 'one', ...options });
  const [path, writePcap] = [join(folder, 'in.pcapng'), join(folder, 'out.pcapng')];
  writeCapture(path, PACKETS);
  try {
    const result = await replayPackets(agent, path, { workers, writePcap });
    const out = openCapture(writePcap);
    const comments = [...out].map(({ comment, interfaceId }) => `${out.interfaces[interfaceId]!.name}: ${comment}`);
    return { result, comments, identity: agent.endpointOfPod('here')!.identity };
  } finally {
    await agent.stop();
  }
}

const hooks = ({ hooks }: PacketsResult): number[] => Object.values(hooks).map(({ packets }) => packets);

test('by a tunnel: out with the identity as VNI, in with that of the sender, which policy is asked about', async () => {
  const { result, comments, identity } = await replay({ routingMode: 'tunnel' });
  expect(hooks(result)).toEqual([1, 0, 0, 3]);
  expect(comments).toEqual([
    `cilium_vxlan: to the tunnel, VNI ${identity}`,
    'default/here: to default/here',
    'default/here: to default/here',
    'default/stranger: dropped: 133 Policy denied',
  ]);
  const { timings: _, ...same } = (await replay({ routingMode: 'tunnel' }, 1)).result;
  expect(result).toMatchObject(same);
});

test('Geneve has a device of its own name', async () => {
  const { comments } = await replay({ routingMode: 'tunnel', tunnelProtocol: 'geneve' });
  expect(comments[0]).toMatch(/^cilium_geneve: /);
});

test('by the network without one', async () => {
  const { result, comments } = await replay({});
  expect(hooks(result)).toEqual([1, 3, 0, 0]);
  expect(comments).toEqual([
    'eth0: to the network',
    'default/here: to default/here',
    'default/here: to default/here',
    'default/stranger: dropped: 133 Policy denied',
  ]);
});
