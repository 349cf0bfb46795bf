import { Agent } from '@ciliate/agent';
import { type DatapathConfig, Skb } from '@ciliate/bpf';
import { decodeObjects, ObjectStore } from '@ciliate/k8s';
import { EventRing } from '@ciliate/maps';
import { icmpEcho, TCP_ACK, TCP_SYN, tcpSegment } from '@ciliate/packet';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { defaultRoute } from '../src/host_stack.ts';
import { NodePath, ShardDatapath } from '../src/packets/node_path.ts';
import {
  FATE_ANSWERED,
  FATE_DROPPED,
  FATE_TO_ENDPOINT,
  FATE_TO_NETWORK,
  FATE_TO_STACK,
  HOOK_FROM_CONTAINER,
  HOOK_FROM_HOST,
  HOOK_FROM_NETDEV,
} from '../src/packets/protocol.ts';
import { judge } from '../src/verdict.ts';
import { CLUSTER, ip } from './support.ts';

const NODE = '192.168.1.1';
const OTHER_NODE = '192.168.1.2';
const HEALTH = '10.0.9.4';
const WORLD = '8.8.8.8';
const CLIENT = '10.0.0.1';
const STRANGER = '10.0.0.3';
const WEB = '10.0.0.11';

const node = (labels: string): string => `
apiVersion: v1
kind: Node
metadata: { name: worker-1, labels: { ${labels} } }
status: { addresses: [{ type: InternalIP, address: ${NODE} }] }
---`;
const otherNode = (address: string): string => `
apiVersion: cilium.io/v2
kind: CiliumNode
metadata: { name: worker-2 }
spec: { addresses: [{ type: InternalIP, ip: ${address} }], health: { ipv4: ${HEALTH} } }
---`;
const edge = (spec: string): string => `
apiVersion: cilium.io/v2
kind: CiliumClusterwideNetworkPolicy
metadata: { name: edge }
spec:
  nodeSelector: { matchLabels: { role: edge } }
  ${spec}
---`;
const tcp = (port: number): string => `toPorts: [{ ports: [{ port: "${port}", protocol: TCP }] }]`;
const POLICY = edge(`ingress:
    - fromEntities: [remote-node]
      ${tcp(4240)}
    - fromEntities: [health]
    - fromEntities: [world]
      ${tcp(443)}
    - fromEndpoints: [{ matchLabels: { app: client, "k8s:io.kubernetes.pod.namespace": default } }]
      ${tcp(22)}
    - fromCIDRSet: [{ cidr: 8.8.0.0/16, except: [8.8.8.0/24] }]
      ${tcp(53)}
  ingressDeny:
    - fromEndpoints: [{ matchLabels: { app: client, "k8s:io.kubernetes.pod.namespace": default } }]
      ${tcp(23)}
  egress:
    - toEndpoints: [{ matchLabels: { app: web, "k8s:io.kubernetes.pod.namespace": default } }]
      ${tcp(80)}
    - toEntities: [remote-node]
    - toCIDR: [9.0.0.0/8]`);

interface Packet {
  from: string;
  to: string;
  /** 0: an ICMP echo request. */
  port: number;
}

/** One cluster with the packets of its node's hooks. */
class World {
  readonly store = new ObjectStore();
  agent!: Agent;

  static async start(yaml: string, enableHostFirewall: boolean): Promise<World> {
    const world = new World();
    for (const object of decodeObjects(yaml, 'cluster.yaml')) world.store.apply(object);
    const log = pino({ level: 'silent' });
    world.agent = await Agent.start({ store: world.store, seed: 1, log, enableHostFirewall });
    return world;
  }

  async apply(yaml: string): Promise<void> {
    for (const object of decodeObjects(yaml, 'cluster.yaml')) this.store.apply(object);
    await this.agent.settled();
  }

  /** What becomes of a packet; then of an answer to it. */
  send({ from, to, port }: Packet, config: Partial<DatapathConfig> = {}): string {
    const { agent } = this;
    const events = EventRing.create(agent.memory, 65_536);
    const skb = new Skb(agent.memory);
    const path = new NodePath(skb);
    const fib = defaultRoute(agent.config.node.netdev.ifindex);
    const options = { shard: 0, seed: 1, events, fib, config: { ...agent.config, ...config } };
    const datapath = new ShardDatapath(agent.memory, options);
    const run = (src: string, frame: Uint8Array): string => {
      const pod = agent.endpointOfAddress(ip(src));
      const own = agent.isHostAddress(ip(src)) ? HOOK_FROM_HOST : HOOK_FROM_NETDEV;
      const at = agent.memory.alloc(frame.length);
      agent.memory.u8.set(frame, at);
      path.run(datapath, pod === undefined ? own : HOOK_FROM_CONTAINER, pod?.id ?? 0, at, frame.length);
      agent.memory.free(at, frame.length);
      return path.fate === FATE_DROPPED ? `dropped ${path.dropCode}` : WORDS[path.fate]!;
    };
    const ends = { src: ip(from), dst: ip(to) };
    const frame =
      port === 0
        ? icmpEcho({ ...ends, id: 1, sequence: 1 })
        : tcpSegment({ ...ends, srcPort: 40_000, dstPort: port, seq: 1, flags: TCP_SYN });
    const first = run(from, frame);
    const back = { src: ip(to), dst: ip(from), srcPort: port, dstPort: 40_000, seq: 7, ack: 2 };
    const answered = port !== 0 && !first.startsWith('dropped');
    const answer = answered ? run(to, tcpSegment({ ...back, flags: TCP_SYN | TCP_ACK })) : '';
    datapath.destroy();
    path.destroy();
    skb.destroy();
    events.destroy();
    return answer.startsWith('dropped') ? `${first}, its answer ${answer}` : first;
  }
}

const WORDS: Readonly<Record<number, string>> = {
  [FATE_TO_ENDPOINT]: 'pod',
  [FATE_TO_NETWORK]: 'network',
  [FATE_TO_STACK]: 'node',
  [FATE_ANSWERED]: 'answered',
};

const DROPPED = 'dropped 133';
const DENIED = 'dropped 181';

let on: World;
let off: World;
beforeAll(async () => {
  const yaml = `${CLUSTER}${node('role: edge')}${otherNode(OTHER_NODE)}`;
  on = await World.start(`${yaml}${POLICY}`, true);
  off = await World.start(`${yaml}${POLICY}`, false);
});
afterAll(() => Promise.all([on.agent.stop(), off.agent.stop()]));
beforeEach(() => {
  for (const { agent } of [on, off]) agent.flushConntrack();
});

/** With the host firewall; without it everything arrives. */
const rows: [name: string, packet: Packet, want: string, without: string][] = [
  ['the world gets to a port of the node that a rule names', { from: WORLD, to: NODE, port: 443 }, 'node', 'node'],
  ['the world gets to no other port', { from: WORLD, to: NODE, port: 22 }, DROPPED, 'node'],
  ['an echo request of the world is no exception', { from: WORLD, to: NODE, port: 0 }, DROPPED, 'node'],
  ['a prefix gets to a port', { from: '8.8.4.4', to: NODE, port: 53 }, 'node', 'node'],
  ['what is excepted from the prefix does not', { from: WORLD, to: NODE, port: 53 }, DROPPED, 'node'],
  ['another node gets to the health port', { from: OTHER_NODE, to: NODE, port: 4240 }, 'node', 'node'],
  ['another node gets to no other port', { from: OTHER_NODE, to: NODE, port: 443 }, DROPPED, 'node'],
  ['the health endpoint of another node gets to every port', { from: HEALTH, to: NODE, port: 9 }, 'node', 'node'],
  ['a pod that a rule selects gets to the node', { from: CLIENT, to: NODE, port: 22 }, 'node', 'node'],
  ['another pod does not', { from: STRANGER, to: NODE, port: 22 }, DROPPED, 'node'],
  ['a pod that a rule denies does not', { from: CLIENT, to: NODE, port: 23 }, DENIED, 'node'],
  ['the node gets to a pod that a rule names', { from: NODE, to: WEB, port: 80 }, 'pod', 'pod'],
  ['the node gets to no other port of it', { from: NODE, to: WEB, port: 81 }, DROPPED, 'pod'],
  ['the node gets to no other pod', { from: NODE, to: STRANGER, port: 80 }, DROPPED, 'pod'],
  ['the node gets to another node', { from: NODE, to: OTHER_NODE, port: 10_250 }, 'network', 'node'],
  ['the node gets to a prefix', { from: NODE, to: '9.9.9.9', port: 443 }, 'network', 'node'],
  ['the node gets nowhere else', { from: NODE, to: WORLD, port: 443 }, DROPPED, 'node'],
  ['between pods the node has no say', { from: STRANGER, to: WEB, port: 81 }, 'pod', 'pod'],
  ['what the world sends to a pod is none of its business', { from: WORLD, to: WEB, port: 81 }, 'pod', 'pod'],
  ['nor what a pod sends to the world', { from: CLIENT, to: WORLD, port: 81 }, 'network', 'network'],
];
test.each(rows)('%s', (_name, packet, want, without) => {
  expect([on.send(packet), off.send(packet)]).toEqual([want, without]);
});

test('in audit mode nothing is dropped', () => {
  const audited = rows.map(([, packet]) => on.send(packet, { policyAuditMode: true }));
  expect(audited.filter((fate) => fate.includes('dropped'))).toEqual([]);
});

const asked = (host: World, pod: string, port: number) =>
  judge(host.agent, {
    client: host.agent.endpointOfPod(pod)!,
    server: { address: ip(NODE), port },
    answering: undefined,
    transport: 'TCP',
  });

test('a verdict about the node asks its policy too, and names the rule', async () => {
  const allowed = await asked(on, 'client-1', 22);
  expect(allowed).toMatchObject({ outcome: 'forwarded', sees: 'arrived at the node' });
  expect(allowed.why).toMatch(/^CiliumClusterwideNetworkPolicy edge ingress\[3\] \(cluster\.yaml:\d+\)$/);
  const dropped = await asked(on, 'stranger', 22);
  expect(dropped).toMatchObject({ outcome: 'dropped', dropCode: 133 });
  expect(dropped.why).toContain('to reserved:host, which CiliumClusterwideNetworkPolicy edge selects');
  expect(dropped.steps.filter(({ kind }) => kind === 'policy').map(({ at }) => at)).toEqual([
    'default/stranger',
    'reserved:host',
  ]);
  expect(await asked(off, 'stranger', 22)).toMatchObject({ outcome: 'forwarded' });
});

describe('while the agent runs, one after the other', () => {
  const probe = { from: WORLD, to: NODE, port: 22 };
  const health = { from: '192.168.1.9', to: NODE, port: 4240 };
  const changes: [name: string, change: () => unknown, packet: Packet, want: string][] = [
    ['before, the port is shut', () => {}, probe, DROPPED],
    [
      'a node policy that changes opens it',
      () => on.apply(edge(`ingress: [{ fromEntities: [world] }]`)),
      probe,
      'node',
    ],
    ['its old rules are gone', () => {}, { from: OTHER_NODE, to: NODE, port: 4240 }, DROPPED],
    ['it said something about ingress alone', () => {}, { from: NODE, to: WORLD, port: 443 }, 'network'],
    ['as it was', () => on.apply(POLICY), probe, DROPPED],
    [
      'a label of the node goes: the policy is not about it any more',
      () => on.apply(node('role: inner')),
      probe,
      'node',
    ],
    ['the label comes again', () => on.apply(node('role: edge')), probe, DROPPED],
    ["an address that is nobody's is the world", () => {}, health, DROPPED],
    ['another node gets it', () => on.apply(otherNode('192.168.1.9')), health, 'node'],
    ["the address that it had is the world's", () => {}, { from: OTHER_NODE, to: NODE, port: 4240 }, DROPPED],
    [
      'the node goes',
      async () => {
        on.store.delete({ kind: 'CiliumNode', namespace: '', name: 'worker-2' });
        await on.agent.settled();
      },
      health,
      DROPPED,
    ],
    [
      'the policy goes: there is none about the node',
      async () => {
        on.store.delete({ kind: 'CiliumClusterwideNetworkPolicy', namespace: '', name: 'edge' });
        await on.agent.settled();
      },
      probe,
      'node',
    ],
  ];
  test.each(changes)('%s', async (_name, change, packet, want) => {
    await change();
    expect(on.send(packet)).toBe(want);
  });
});
