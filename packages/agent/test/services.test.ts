import { type DatapathOptions, DEFAULT_CONFIG } from '@ciliate/bpf';
import { decodeObjects } from '@ciliate/k8s';
import { ServiceManager } from '@ciliate/loadbalancer';
import { LbMaps } from '@ciliate/maps';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { Cluster, pod } from './cluster.ts';
import { Machine } from './machine.ts';

/** Services from YAML, by the agent's maps, to what the programs do with packets from outside and from pods. */

const NODE = '192.168.1.1';
const OUTSIDE = '198.18.0.9';
const POD = '10.0.0.2';
const WEB = ['10.0.0.11', '10.0.0.12', '10.0.0.13'];

let cluster: Cluster;
beforeAll(async () => {
  const pods = WEB.map((address, i) => pod(`web-${i + 1}`, address, 'web'));
  cluster = await Cluster.start(pods.join('\n') + pod('client', POD, 'client'));
});
afterAll(() => cluster.agent.stop());
afterEach(async () => {
  for (const kind of ['Service', 'EndpointSlice'] as const)
    for (const { metadata } of cluster.store.list(kind)) await cluster.delete(kind, metadata.name);
  cluster.agent.flushConntrack();
});

function withMachine<T>(run: (machine: Machine) => T, options: Partial<DatapathOptions> = {}): T {
  const machine = new Machine(cluster.agent, options);
  try {
    return run(machine);
  } finally {
    machine.close();
  }
}

/** @param spec in one line */
const service = (spec: string, status = ''): string =>
  `{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {${spec}}${status}}\n---\n`;
const selected = (spec: string, status = ''): string =>
  service(`selector: {app: web}, ports: [{port: 80, targetPort: 8080, nodePort: 30080}], ${spec}`, status);
/** @param endpoints in one line */
const slice = (endpoints: string): string =>
  `{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: web-1, labels: {kubernetes.io/service-name: web}},
addressType: IPv4, endpoints: [${endpoints}], ports: [{port: 8080}]}\n`;
const gone = (address: string, isServing = true): string =>
  `{addresses: [${address}], conditions: {ready: false, serving: ${isServing}, terminating: true}}`;

const ALL = WEB.map((address) => `${address}:8080`);
const CLUSTER_IP = 'clusterIP: 10.96.0.80';
const NODE_PORT = `type: NodePort, ${CLUSTER_IP}`;
const BALANCED = `type: LoadBalancer, ${CLUSTER_IP}`;
const INGRESS = ', status: {loadBalancer: {ingress: [{ip: 203.0.113.7}]}}';
const THERE = '{addresses: [10.0.0.11]}, {addresses: [10.9.9.9], nodeName: elsewhere}';
const NO_BACKEND = 'dropped: Service backend not found';

const scenarios: [name: string, yaml: string, from: string, to: string, want: string[]][] = [
  ['a pod reaches every backend by the cluster address', selected(NODE_PORT), POD, '10.96.0.80:80', ALL],
  [
    'nobody outside reaches the cluster address',
    selected(NODE_PORT),
    OUTSIDE,
    '10.96.0.80:80',
    ['dropped: Is a ClusterIP'],
  ],
  ['NodePort: from outside, at the node', selected(NODE_PORT), OUTSIDE, `${NODE}:30080`, ALL],
  ['NodePort: from a pod, at the node', selected(NODE_PORT), POD, `${NODE}:30080`, ALL],
  ['another port of the node is none of the service', selected(NODE_PORT), OUTSIDE, `${NODE}:80`, [`${NODE}:80`]],
  [
    'LoadBalancer: whoever is in a source range',
    selected(`${BALANCED}, loadBalancerSourceRanges: [198.18.0.0/24]`, INGRESS),
    OUTSIDE,
    '203.0.113.7:80',
    ALL,
  ],
  [
    'LoadBalancer: nobody else',
    selected(`${BALANCED}, loadBalancerSourceRanges: [198.18.1.0/24]`, INGRESS),
    OUTSIDE,
    '203.0.113.7:80',
    ['dropped: Denied by LB src range check'],
  ],
  [
    'source ranges do not concern pods',
    selected(`${BALANCED}, loadBalancerSourceRanges: [198.18.1.0/24]`, INGRESS),
    POD,
    '203.0.113.7:80',
    ALL,
  ],
  ['externalIP: from outside', selected(`${NODE_PORT}, externalIPs: [203.0.113.9]`), OUTSIDE, '203.0.113.9:80', ALL],
  [
    'externalTrafficPolicy Cluster: also to another node',
    selected(NODE_PORT) + slice(THERE),
    OUTSIDE,
    `${NODE}:30080`,
    ['10.0.0.11:8080', '10.9.9.9:8080'],
  ],
  [
    'externalTrafficPolicy Local: from outside only to this node',
    selected(`${NODE_PORT}, externalTrafficPolicy: Local`) + slice(THERE),
    OUTSIDE,
    `${NODE}:30080`,
    ['10.0.0.11:8080'],
  ],
  [
    'externalTrafficPolicy Local: pods go everywhere',
    selected(`${NODE_PORT}, externalTrafficPolicy: Local`) + slice(THERE),
    POD,
    `${NODE}:30080`,
    ['10.0.0.11:8080', '10.9.9.9:8080'],
  ],
  [
    'externalTrafficPolicy Local: no backend here, no way in',
    selected(`${NODE_PORT}, externalTrafficPolicy: Local`) + slice('{addresses: [10.9.9.9], nodeName: elsewhere}'),
    OUTSIDE,
    `${NODE}:30080`,
    [NO_BACKEND],
  ],
  [
    'internalTrafficPolicy Local: pods stay on this node',
    selected(`${CLUSTER_IP}, internalTrafficPolicy: Local`).replace(', nodePort: 30080', '') + slice(THERE),
    POD,
    '10.96.0.80:80',
    ['10.0.0.11:8080'],
  ],
  [
    'terminating only: those that still serve',
    selected(NODE_PORT) + slice(`${gone('10.0.0.11')}, ${gone('10.0.0.12', false)}`),
    OUTSIDE,
    `${NODE}:30080`,
    ['10.0.0.11:8080'],
  ],
  [
    'terminating: nobody new while another is there',
    selected(NODE_PORT) + slice(`${gone('10.0.0.11')}, {addresses: [10.0.0.12]}`),
    POD,
    '10.96.0.80:80',
    ['10.0.0.12:8080'],
  ],
  [
    'headless: its name leads to pods, no address to it',
    service('clusterIP: None, selector: {app: web}'),
    POD,
    '10.96.0.80:80',
    ['10.96.0.80:80'],
  ],
  [
    'no backend',
    service(`${NODE_PORT}, selector: {app: nobody}, ports: [{port: 80, nodePort: 30080}]`),
    POD,
    '10.96.0.80:80',
    [NO_BACKEND],
  ],
  [
    'no backend, from outside',
    service(`${NODE_PORT}, selector: {app: nobody}, ports: [{port: 80, nodePort: 30080}]`),
    OUTSIDE,
    `${NODE}:30080`,
    [NO_BACKEND],
  ],
];

test.each(scenarios)('%s', async (_name, yaml, from, to, want) => {
  await cluster.apply(yaml);
  withMachine((machine) => expect(machine.spread(from, to)).toEqual(want));
});

test.each([
  ['a node port', `${NODE}:30080`],
  ['a load balancer', '203.0.113.7:80'],
])('the answer to a client outside comes from %s', async (_name, to) => {
  await cluster.apply(selected(BALANCED, INGRESS));
  withMachine((machine) => {
    const server = machine.connect(OUTSIDE, 41_000, to);
    expect(machine.answer(server, `${OUTSIDE}:41000`)).toBe(to);
  });
});

test('affinity: a client comes back to its backend until that is gone or its time is over', async () => {
  await cluster.apply(
    selected(`${NODE_PORT}, sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 10}}`),
  );
  const { memory } = cluster.agent;
  const start = memory.nowNs;
  const after = (seconds: number, to: string): string[] =>
    withMachine((machine) => {
      memory.nowNs = start + BigInt(seconds) * 1_000_000_000n;
      cluster.agent.flushConntrack();
      return machine.spread(OUTSIDE, to);
    });
  const first = after(0, `${NODE}:30080`);
  expect(first).toHaveLength(1);
  expect(after(9, `${NODE}:30080`)).toEqual(first);
  const others = WEB.filter((address) => `${address}:8080` !== first[0]).map((address) => `{addresses: [${address}]}`);
  await cluster.apply(slice(others.join(', ')));
  const second = after(10, `${NODE}:30080`);
  expect(second).toHaveLength(1);
  expect(second).not.toEqual(first);
  const clients = withMachine((machine) =>
    WEB.map((_, i) => `198.18.0.${10 + i}`)
      .concat(POD)
      .map((client) => machine.spread(client, `${NODE}:30080`)),
  );
  expect(clients.every((places) => places.length === 1)).toBe(true);
  memory.nowNs = start;
});

test('Maglev: the flow alone decides, and the clients of other backends stay when one goes', () => {
  const manager = new ServiceManager(LbMaps.open(cluster.agent.memory), {
    ...{ algorithm: 'maglev', nodePortAddresses: [NODE] },
  });
  const write = (endpoints: readonly string[]): void => {
    const yaml = selected(NODE_PORT) + slice(endpoints.map((address) => `{addresses: [${address}]}`).join(', '));
    for (const object of decodeObjects(yaml, 'services.yaml')) {
      if (object.kind === 'Service') manager.upsertService(object);
      if (object.kind === 'EndpointSlice') manager.upsertEndpointSlice(object);
    }
    manager.reconcile();
  };
  const ports = Array.from({ length: 200 }, (_, i) => 40_000 + i);
  const choices = (seed: number): string[] => {
    cluster.agent.flushConntrack();
    const config = { ...DEFAULT_CONFIG, lbSelection: 2 };
    return withMachine((machine) => ports.map((port) => machine.connect(OUTSIDE, port, `${NODE}:30080`)), {
      seed,
      config,
    });
  };
  write(WEB);
  const before = choices(1);
  expect([...new Set(before)].sort()).toEqual(ALL);
  expect(choices(2)).toEqual(before);
  write(WEB.slice(1));
  const later = choices(1);
  expect([...new Set(later)].sort()).toEqual(ALL.slice(1));
  const stayed = before.filter((place, i) => place !== ALL[0] && later[i] === place).length;
  const others = before.filter((place) => place !== ALL[0]).length;
  expect(stayed / others).toBeGreaterThan(0.9);
  manager.deleteService('default', 'web');
  manager.deleteEndpointSlice('default', 'web-1');
  manager.reconcile();
});
