import { IpcacheMap, LxcMap, type Memory } from '@ciliate/maps';
import { parseIpv4 } from '@ciliate/packet';
import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import type { AgentOptions } from '../src/index.ts';
import { Cluster, pod, policy } from './cluster.ts';

let cluster: Cluster | undefined;
afterEach(() => cluster?.agent.stop());
async function start(yaml: string, options: Partial<AgentOptions> = {}): Promise<Cluster> {
  cluster = await Cluster.start(yaml, options);
  return cluster;
}

const PODS = pod('web', '10.0.0.1', 'web') + pod('client', '10.0.0.2', 'client');
const node = (name: string, address: string, labels = ''): string => `
apiVersion: v1
kind: Node
metadata: { name: ${name}, labels: { ${labels} } }
status: { addresses: [{ type: InternalIP, address: ${address} }, { type: Hostname, address: ${name} }] }
---`;
const ciliumNode = (name: string, spec: string): string => `
apiVersion: cilium.io/v2
kind: CiliumNode
metadata: { name: ${name} }
spec: { ${spec} }
---`;
const apiServer = (...addresses: string[]): string => `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: kubernetes, namespace: default, labels: { kubernetes.io/service-name: kubernetes } }
addressType: IPv4
endpoints: [{ addresses: [${addresses.join(', ')}] }]
ports: [{ name: https, port: 6443 }]
---`;
const nodePolicy = (spec: string): string =>
  policy(spec).replace('CiliumNetworkPolicy', 'CiliumClusterwideNetworkPolicy');
const ALLOW = `nodeSelector: { matchLabels: { role: edge } }\n  ingress: [{ fromEntities: [cluster] }]`;

const identityOf = (memory: Memory, address: string): number =>
  IpcacheMap.open(memory).lookup(parseIpv4(address)!)!.identity;
/** Which of these are addresses of the node itself in cilium_lxc. */
const hostsIn = (memory: Memory): string[] =>
  ['192.168.1.1', '10.0.0.99', '10.0.0.1'].filter((text) => {
    const endpoint = LxcMap.open(memory).get(parseIpv4(text)!);
    return endpoint !== undefined && endpoint.flags !== 0;
  });

const known: [name: string, yaml: string, address: string, identity: number][] = [
  ['the address that pods call their host', '', '192.168.1.1', 1],
  ['an address that no object has', '', '192.168.1.2', 2],
  [
    'of the node with that address every other one',
    ciliumNode('a', 'addresses: [{ type: InternalIP, ip: 192.168.1.1 }, { type: CiliumInternalIP, ip: 10.0.0.99 }]'),
    '10.0.0.99',
    1,
  ],
  ['another node', node('a', '192.168.1.1') + node('b', '192.168.1.2'), '192.168.1.2', 6],
  [
    'the CiliumInternalIP of another node',
    ciliumNode('b', 'addresses: [{ type: CiliumInternalIP, ip: 10.0.9.1 }]') + node('a', '192.168.1.1'),
    '10.0.9.1',
    6,
  ],
  ['a health endpoint', ciliumNode('b', 'health: { ipv4: 10.0.9.4 }'), '10.0.9.4', 4],
  ["a node's ingress", ciliumNode('b', 'ingress: { ipv4: 10.0.9.8 }'), '10.0.9.8', 8],
  [
    'a node with the API server',
    node('a', '192.168.1.1') + node('b', '192.168.1.2') + apiServer('192.168.1.2'),
    '192.168.1.2',
    7,
  ],
  ['the node itself with the API server', apiServer('192.168.1.1'), '192.168.1.1', 1],
  [
    'another node, though a policy names its address',
    node('a', '192.168.1.1') +
      node('b', '192.168.1.2') +
      policy('endpointSelector: {}\n  ingress: [{ fromCIDR: [192.168.1.2/32] }]'),
    '192.168.1.2',
    6,
  ],
  [
    'a pod, though a node says it has its address',
    ciliumNode('b', 'addresses: [{ type: InternalIP, ip: 10.0.0.2 }]') + node('a', '192.168.1.1'),
    '10.0.0.2',
    256,
  ],
];
test.each(known)('the ipcache knows %s', async (_name, yaml, address, identity) => {
  const { agent } = await start(PODS + yaml);
  const found = identityOf(agent.memory, address);
  if (identity < 256) expect(found).toBe(identity);
  else expect(found).toBe(agent.endpointOfPod('client')!.identity);
});

test('the API server outside of the cluster has an identity of its own, which policies select', async () => {
  const rule = policy('endpointSelector: { matchLabels: { app: web } }\n  egress: [{ toEntities: [kube-apiserver] }]');
  const { agent } = await start(PODS + apiServer('192.0.2.9') + rule);
  const identity = identityOf(agent.memory, '192.0.2.9');
  expect(`${agent.identities.get(identity)}`).toBe('reserved:kube-apiserver,reserved:world');
  const web = agent.endpointOfPod('web')!;
  const selected = () =>
    web.policyMap
      .entries()
      .flatMap(({ egress, identity }) => (egress ? [identity] : []))
      .sort((a, b) => a - b);
  expect(selected()).toEqual([7, identity]);

  await cluster!.apply(apiServer('192.168.1.1'));
  expect(`${agent.identities.get(1)}`).toBe('reserved:host,reserved:kube-apiserver');
  expect(selected()).toEqual([1, 7]);
  expect(identityOf(agent.memory, '192.0.2.9')).toBe(2);

  await cluster!.delete('EndpointSlice', 'kubernetes');
  expect(`${agent.identities.get(1)}`).toBe('reserved:host');
  expect(selected()).toEqual([7]);
});

test("the node's own addresses come and go, in cilium_lxc and in the ipcache", async () => {
  const own = (more: string) => ciliumNode('a', `addresses: [{ type: InternalIP, ip: 192.168.1.1 }${more}]`);
  const { agent } = await start(PODS + own(''));
  expect(hostsIn(agent.memory)).toEqual(['192.168.1.1']);
  await cluster!.apply(own(', { type: CiliumInternalIP, ip: 10.0.0.99 }'));
  expect(hostsIn(agent.memory)).toEqual(['192.168.1.1', '10.0.0.99']);
  expect(identityOf(agent.memory, '10.0.0.99')).toBe(1);
  await cluster!.delete('CiliumNode', 'a', '');
  expect(hostsIn(agent.memory)).toEqual(['192.168.1.1']);
  expect(identityOf(agent.memory, '10.0.0.99')).toBe(2);
  expect(identityOf(agent.memory, '192.168.1.1')).toBe(1);
});

test('the host endpoint has the labels of its node that make identities, and identity 1 whatever they are', async () => {
  const labels = 'role: edge, kubernetes.io/hostname: a, node-role.kubernetes.io/control-plane: ""';
  const { agent } = await start(PODS + node('a', '192.168.1.1', labels), { enableHostFirewall: true });
  const host = agent.hostEndpoint;
  expect(`${host.labels}`).toBe('k8s:node-role.kubernetes.io/control-plane,k8s:role=edge,reserved:host');
  await cluster!.apply(node('a', '192.168.1.1', 'role: inner'));
  expect([host.identity, `${host.labels}`]).toEqual([1, 'k8s:role=inner,reserved:host']);
  expect(agent.endpointOfId(host.id)).toBe(host);
  expect(agent.endpoints).not.toContain(host);
});

test('without the host firewall the host endpoint lets everything through, and the log says what is ignored', async () => {
  const lines: string[] = [];
  const log = pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) });
  const { agent } = await start(PODS + node('a', '192.168.1.1', 'role: edge') + nodePolicy(ALLOW), { log });
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    {
      policy: 'CiliumClusterwideNetworkPolicy p',
      path: 'spec',
      msg: 'selects nodes, but the host firewall is off (--enable-host-firewall): it is ignored',
    },
  ]);
  expect(agent.config.hostFirewall).toBe(false);
  expect(agent.hostEndpoint.policyMap.entries().map(({ identity, egress }) => [identity, egress])).toEqual([
    [0, false],
    [0, true],
  ]);
});

test('with the host firewall its policy map follows policies, labels and identities', async () => {
  const { agent } = await start(PODS + node('a', '192.168.1.1', 'role: edge'), { enableHostFirewall: true });
  const { policyMap } = agent.hostEndpoint;
  const ingress = () =>
    policyMap
      .entries()
      .filter(({ egress }) => !egress)
      .map(({ identity }) => identity);
  expect(agent.config.hostFirewall).toBe(true);
  expect(ingress()).toEqual([0]);
  await cluster!.apply(
    nodePolicy(
      `nodeSelector: { matchLabels: { role: edge } }\n  ingress: [{ fromEndpoints: [{ matchLabels: { app: new } }] }]`,
    ),
  );
  expect(ingress()).toEqual([]);
  await cluster!.apply(pod('new', '10.0.0.3', 'new'));
  expect(ingress()).toEqual([agent.endpointOfPod('new')!.identity]);
  expect(agent.endpointOfPod('web')!.policy.ingressEnforced).toBe(false);
  await cluster!.apply(node('a', '192.168.1.1', 'role: inner'));
  expect(ingress()).toEqual([0]);
});

test('the host firewall refuses by name what rules about nodes ask of it and it cannot do', async () => {
  const dns = 'toPorts: [{ ports: [{ port: "53", protocol: UDP }], rules: { dns: [{ matchPattern: "*" }] } }]';
  const rule = nodePolicy(`nodeSelector: {}\n  egress: [{ toEntities: [world], ${dns} }]`);
  await expect(Cluster.start(PODS + rule, { enableHostFirewall: true })).rejects.toThrow(
    /the DNS proxy for the node itself cannot be emulated/,
  );
  await expect(start(PODS + rule)).resolves.toBeDefined();
});
