import { IpcacheMap, LxcMap, PolicyMap, pinnedEntries, serviceKeyText, serviceValueText } from '@ciliate/maps';
import { parseIpv4 } from '@ciliate/packet';
import { pino } from 'pino';
import { afterEach, expect, test, vi } from 'vitest';
import { PROXY_PORT_HTTP } from '../src/index.ts';
import { networkPolicyOf } from '../src/npds.ts';
import { Cluster, pod, policy } from './cluster.ts';
import { asInMaps, onWrite } from './maps.ts';

const TWO = pod('web', '10.0.0.1', 'web') + pod('client', '10.0.0.2', 'client');
const FROM_CLIENT = policy(`endpointSelector: { matchLabels: { app: web } }
  ingress: [{ fromEndpoints: [{ matchLabels: { app: client } }] }]`);

const running: Cluster[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  await Promise.all(running.splice(0).map(({ agent }) => agent.stop()));
});
async function start(yaml: string, options: Parameters<typeof Cluster.start>[1] = {}): Promise<Cluster> {
  const cluster = await Cluster.start(yaml, options);
  running.push(cluster);
  return cluster;
}
const identityAt = ({ agent }: Cluster, address: string): number | undefined =>
  IpcacheMap.open(agent.memory).lookup(parseIpv4(address)!)?.identity;
const labelsAt = (cluster: Cluster, address: string): string[] =>
  cluster.agent.identities.get(identityAt(cluster, address)!)!.toStrings();
/** Who is let in by name, host aside. */
const peersOf = ({ agent }: Cluster, name: string, egress = false): number[] =>
  agent
    .endpointOfPod(name)!
    .policyMap.entries()
    .filter((entry) => entry.egress === egress && entry.identity > 1)
    .map(({ identity }) => identity);

test('a pod that comes is let in by one write to the map of whom it may reach', async () => {
  const cluster = await start(TWO + FROM_CLIENT);
  const write = vi.spyOn(PolicyMap.prototype, 'update');
  await cluster.apply(pod('other', '10.0.0.3', 'client').replace('app: client', 'app: client, tier: back'));
  const { identity, id } = cluster.agent.endpointOfPod('other')!;
  const web = cluster.agent.endpointOfPod('web')!;
  expect(peersOf(cluster, 'web')).toContain(identity);
  expect(write.mock.contexts.filter((map) => map === web.policyMap)).toHaveLength(1);
  expect(LxcMap.open(cluster.agent.memory).get(0x0a000003)).toMatchObject({ lxcId: id, secId: identity });
  expect(identityAt(cluster, '10.0.0.3')).toBe(identity);
});

test('the last pod of an identity takes its entries and its policy map with it', async () => {
  const cluster = await start(TWO + FROM_CLIENT);
  const { identity, id } = cluster.agent.endpointOfPod('client')!;
  await cluster.delete('Pod', 'client');
  expect(peersOf(cluster, 'web')).toEqual([]);
  expect(cluster.agent.identities.get(identity)).toBeUndefined();
  expect(() => PolicyMap.open(cluster.agent.memory, id)).toThrow('ENOENT');
  expect(LxcMap.open(cluster.agent.memory).get(0x0a000002)).toBeUndefined();
  expect(identityAt(cluster, '10.0.0.2')).toBe(2);
});

test('a pod that is relabelled has another identity, and its own rules', async () => {
  const cluster = await start(TWO + FROM_CLIENT);
  const before = cluster.agent.endpointOfPod('client')!.identity;
  await cluster.apply(pod('client', '10.0.0.2', 'web'));
  const { identity, policy: own } = cluster.agent.endpointOfPod('client')!;
  expect(identity).toBe(cluster.agent.endpointOfPod('web')!.identity);
  expect(own.ingressEnforced).toBe(true);
  expect(peersOf(cluster, 'web')).toEqual([]);
  expect(cluster.agent.identities.get(before)).toBeUndefined();
});

test('a label of a namespace counts as soon as it is there', async () => {
  const cluster = await start(
    TWO +
      policy(`endpointSelector: { matchLabels: { app: web } }
  ingress: [{ fromEndpoints: [{ matchLabels: { "k8s:io.cilium.k8s.namespace.labels.team": red } }] }]`),
  );
  expect(peersOf(cluster, 'web')).toEqual([]);
  await cluster.apply('{ apiVersion: v1, kind: Namespace, metadata: { name: default, labels: { team: red } } }');
  expect(peersOf(cluster, 'web')).toContain(cluster.agent.endpointOfPod('client')!.identity);
});

test('a prefix has an identity as long as a policy names it', async () => {
  const cluster = await start(TWO);
  await cluster.apply(
    policy('endpointSelector: {}\n  egress: [{ toCIDRSet: [{ cidr: 1.0.0.0/8, except: [1.2.0.0/16] }] }]'),
  );
  expect(labelsAt(cluster, '1.9.9.9')).toEqual(['cidr:1.0.0.0/8', 'reserved:world']);
  expect(labelsAt(cluster, '1.2.9.9')).toEqual(['cidr:1.2.0.0/16', 'reserved:world']);
  expect(peersOf(cluster, 'web', true)).toEqual([identityAt(cluster, '1.9.9.9')]);
  await cluster.delete('CiliumNetworkPolicy', 'p');
  expect([identityAt(cluster, '1.9.9.9'), identityAt(cluster, '8.8.8.8')]).toEqual([2, 2]);
});

test("a pod's address is the pod's, whatever prefix holds it, and the prefix's when the pod is gone", async () => {
  const cluster = await start(TWO + policy('endpointSelector: {}\n  egress: [{ toCIDR: [10.0.0.2/32, 10.0.0.1/32] }]'));
  expect(identityAt(cluster, '10.0.0.2')).toBe(cluster.agent.endpointOfPod('client')!.identity);
  await cluster.delete('Pod', 'client');
  expect(labelsAt(cluster, '10.0.0.2')).toEqual(['cidr:10.0.0.2/32', 'reserved:world']);
  await cluster.apply(pod('client', '10.0.0.2', 'client'));
  expect(identityAt(cluster, '10.0.0.2')).toBe(cluster.agent.endpointOfPod('client')!.identity);
});

test('a CIDR group counts for what it holds now', async () => {
  const group = (...cidrs: string[]): string =>
    `\n{ apiVersion: cilium.io/v2, kind: CiliumCIDRGroup, metadata: { name: g }, spec: { externalCIDRs: [${cidrs}] } }\n---`;
  const cluster = await start(
    TWO + group('1.0.0.0/8') + policy('endpointSelector: {}\n  egress: [{ toCIDRSet: [{ cidrGroupRef: g }] }]'),
  );
  expect(peersOf(cluster, 'web', true)).toEqual([identityAt(cluster, '1.1.1.1')]);
  await cluster.apply(group('2.0.0.0/8'));
  expect(identityAt(cluster, '1.1.1.1')).toBe(2);
  expect(peersOf(cluster, 'web', true)).toEqual([identityAt(cluster, '2.2.2.2')]);
  await expect(cluster.apply(group('2.0.0.0/8', '3.0.0.0/80'))).rejects.toThrow(
    'objects.yaml:2:109: spec.externalCIDRs[1]: "3.0.0.0/80" is not a prefix like 10.0.0.0/8',
  );
  expect(peersOf(cluster, 'web', true)).toEqual([identityAt(cluster, '2.2.2.2')]);
  await cluster.delete('CiliumCIDRGroup', 'g', '');
  expect(peersOf(cluster, 'web', true)).toEqual([]);
});

test('toServices follows the slices of a service without a selector', async () => {
  const slice = (address: string): string => `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: ext-1, labels: { kubernetes.io/service-name: ext } }
addressType: IPv4
endpoints: [{ addresses: [${address}] }]`;
  const cluster = await start(
    `${TWO}${policy('endpointSelector: {}\n  egress: [{ toServices: [{ k8sService: { serviceName: ext, namespace: default } }] }]')}
apiVersion: v1
kind: Service
metadata: { name: ext }
spec: { clusterIP: 10.96.0.9, ports: [{ port: 80 }] }`,
  );
  for (const address of ['7.7.7.7', '8.8.8.8']) {
    await cluster.apply(slice(address));
    expect(peersOf(cluster, 'web', true)).toEqual([identityAt(cluster, address)]);
  }
  expect(identityAt(cluster, '7.7.7.7')).toBe(2);
});

test('a service keeps its id when another comes before it, and loses the backend that is gone', async () => {
  const service = (name: string, ip: string): string =>
    `\n{ apiVersion: v1, kind: Service, metadata: { name: ${name} }, spec: { clusterIP: ${ip}, selector: { app: web }, ports: [{ port: 80 }] } }`;
  const cluster = await start(TWO + service('b', '10.96.0.2'));
  const inMaps = () =>
    pinnedEntries(cluster.agent.memory, 'cilium_lb4_services_v2')
      .map(({ key, value }) => `${serviceKeyText(key)} ${serviceValueText(value)}`)
      .filter((line) => line.includes('(0)'))
      .sort();
  await cluster.apply(service('a', '10.96.0.1'));
  expect(inMaps()).toEqual(['10.96.0.1:80/TCP (0) 0 1[0] (2) [0x0 0x0]', '10.96.0.2:80/TCP (0) 0 1[0] (1) [0x0 0x0]']);
  await cluster.delete('Service', 'b');
  await cluster.delete('Pod', 'web');
  expect(inMaps()).toEqual(['10.96.0.1:80/TCP (0) 0 0[0] (2) [0x0 0x0]']);
});

test('of two pods with one address the second waits until the first is gone', async () => {
  const cluster = await start(TWO);
  await expect(cluster.apply(pod('twin', '10.0.0.2', 'client'))).rejects.toThrow(
    'objects.yaml:6:18: status.podIP: default/twin and default/client both have the address 10.0.0.2',
  );
  expect(cluster.agent.endpointOfPod('twin')).toBeUndefined();
  await cluster.delete('Pod', 'client');
  expect(cluster.agent.endpointOfAddress(0x0a000002)?.name).toBe('twin');
});

test('what is wrong with one policy does not keep another one of the same moment out of force', async () => {
  const cluster = await start(TWO);
  cluster.note(policy('endpointSelector: {}\n  ingress: [{ fromEntities: [clustr] }]', 'bad'));
  await expect(cluster.apply(FROM_CLIENT)).rejects.toThrow('objects.yaml:7:30: spec.ingress[0].fromEntities[0]');
  expect(cluster.agent.endpointOfPod('web')!.policy.ingressEnforced).toBe(true);
});

test('HTTP rules for a named port are for the port that the pod gives the name', async () => {
  const named = `endpointSelector: { matchLabels: { app: web } }
  ingress: [{ toPorts: [{ ports: [{ port: http, protocol: TCP }], rules: { http: [{ method: GET }] } }] }]`;
  const cluster = await start(
    pod('web', '10.0.0.1', 'web', ', ports: [{ name: http, containerPort: 8080 }]') +
      pod('nameless', '10.0.0.2', 'web') +
      policy(named),
  );
  const [web, nameless] = [cluster.agent.endpointOfPod('web')!, cluster.agent.endpointOfPod('nameless')!];
  expect(web.policyMap.entries()).toContainEqual(expect.objectContaining({ dport: 8080, proxyPort: PROXY_PORT_HTTP }));
  expect(networkPolicyOf(web, web.policy)?.ingressPerPortPolicies).toMatchObject([{ port: 8080, protocol: 'TCP' }]);
  expect(networkPolicyOf(nameless, nameless.policy)?.ingressPerPortPolicies).toEqual([]);
});

test('while a rule about prefixes takes the place of another, none of their addresses counts as the rest of the world', async () => {
  const closed = 'endpointSelector: {}\n  ingress: [{ fromEndpoints: [{ matchLabels: { app: nobody } }] }]';
  const allBut =
    'endpointSelector: {}\n  ingress: [{ fromEntities: [world] }]\n  ingressDeny: [{ fromCIDR: [1.2.3.4/32] }]';
  const cluster = await start(TWO + policy(closed));
  const flow = { pod: 'default/web', egress: false, protocol: 6, dport: 80 };
  let most = 0;
  onWrite(() => {
    most = Math.max(most, asInMaps(cluster.agent)({ ...flow, peer: 0x01020304 }));
  });
  await cluster.apply(policy(allBut));
  expect(asInMaps(cluster.agent)({ ...flow, peer: 0x01020305 })).toBe(2);
  await cluster.apply(policy(closed));
  expect(most).toBe(0);
});

const modes: [mode: 'default' | 'always' | 'never', objects: string, enforced: boolean][] = [
  ['default', TWO, false],
  ['default', TWO + FROM_CLIENT, true],
  ['always', TWO, true],
  ['never', TWO + FROM_CLIENT, false],
];
test.each(modes)('--enable-policy %s: enforcement follows', async (enablePolicy, objects, enforced) => {
  const { agent } = await start(objects, { enablePolicy });
  expect(agent.endpointOfPod('web')!.policy.ingressEnforced).toBe(enforced);
});

const refusals: [what: string, spec: string, message: string][] = [
  [
    'a filter of proxylib',
    'ingress: [{ toPorts: [{ ports: [{ port: "80", protocol: TCP }], rules: { l7proto: r2d2, l7: [{ a: b }] } }] }]',
    `19:85: spec.ingress[0].toPorts[0].rules.l7proto: the proxy's filter "r2d2"`,
  ],
];
test.each(refusals)('%s cannot be emulated, and the message says where', async (_what, spec, message) => {
  await expect(start(TWO + policy(`endpointSelector: {}\n  ${spec}`))).rejects.toMatchObject({
    code: 'BAD_INPUT',
    message: `objects.yaml:${message} cannot be emulated yet`,
  });
});

test('a policy about nodes is kept, and the log says that it is not enforced', async () => {
  const lines: string[] = [];
  const log = pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) });
  const clusterwide = policy('nodeSelector: {}\n  ingress: [{ fromEntities: [cluster] }]').replace(
    'CiliumNetworkPolicy',
    'CiliumClusterwideNetworkPolicy',
  );
  const { agent } = await start(TWO + clusterwide, { log });
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { policy: 'CiliumClusterwideNetworkPolicy p', msg: expect.stringContaining('the host firewall is off') },
  ]);
  expect(agent.endpointOfPod('web')!.policy.ingressEnforced).toBe(false);
});
