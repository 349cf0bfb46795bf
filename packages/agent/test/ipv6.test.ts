import { IpcacheMap, LxcMap } from '@ciliate/maps';
import { formatIp, formatIpPort, type IpAddress, parseIp } from '@ciliate/packet';
import { afterEach, expect, test } from 'vitest';
import { addressEnd, ClusterPolicy, partiesOf } from '../src/index.ts';
import { Cluster, policy } from './cluster.ts';

let cluster: Cluster;
afterEach(() => cluster.agent.stop());
const start = async (yaml: string, options = {}): Promise<void> => {
  cluster = await Cluster.start(yaml, options);
};

/** @param addresses with blanks between them; those of the node behind a slash */
function pod(name: string, addresses: string, app = name): string {
  const [own, node = ''] = addresses.split('/').map((part) => part.trim().split(' ').filter(Boolean));
  const list = (ips: readonly string[]): string => `[${ips.map((ip) => `{ ip: "${ip}" }`).join(', ')}]`;
  const host = node === '' || node.length === 0 ? '' : `, hostIP: "${node[0]}", hostIPs: ${list(node)}`;
  return `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, labels: { app: ${app} } }
spec: { containers: [{ name: main }] }
status: { podIP: "${own![0]}", podIPs: ${list(own!)}${host} }
---`;
}

const identityOf = (address: string): number | undefined =>
  IpcacheMap.open(cluster.agent.memory).lookup(parseIp(address)!)?.identity;
const endpointOf = (name: string) => cluster.agent.endpointOfPod(name)!;
const lxcAt = (address: string) => LxcMap.open(cluster.agent.memory).get(parseIp(address)!);

const NODE = '/ 192.168.1.1 fd00:1::1';
const DUAL = pod('a', `10.0.0.1 fd00::1 ${NODE}`) + pod('b', 'fd00::2 10.0.0.2') + pod('c', 'fd00::3');

test('a pod has one identity and one endpoint under all of its addresses', async () => {
  await start(DUAL);
  for (const [name, addresses] of [
    ['a', ['10.0.0.1', 'fd00::1']],
    ['b', ['fd00::2', '10.0.0.2']],
    ['c', ['fd00::3']],
  ] as const) {
    const { id, identity, address } = endpointOf(name);
    expect(formatIp(address)).toBe(addresses[0]);
    for (const one of addresses) {
      expect(identityOf(one)).toBe(identity);
      expect(lxcAt(one)).toMatchObject({ lxcId: id, secId: identity });
      expect(cluster.agent.endpointOfAddress(parseIp(one)!)?.name).toBe(name);
    }
  }
});

const families: [sentence: string, yaml: string, options: object, ipv4: boolean, ipv6: boolean, node: string[]][] = [
  ['IPv4 alone', pod('a', '10.0.0.1 / 192.168.1.1'), {}, true, false, ['192.168.1.1']],
  ['IPv6 alone', pod('a', 'fd00::1 / fd00:1::1'), {}, false, true, ['fd00:1::1']],
  ['both', DUAL, {}, true, true, ['192.168.1.1', 'fd00:1::1']],
  ['both, the node not told', pod('a', '10.0.0.1 fd00::1'), {}, true, true, ['192.0.2.1', '2001:db8::1']],
  ['nobody yet', '', {}, true, false, ['192.0.2.1']],
  ['asked for', pod('a', '10.0.0.1'), { enableIpv6: true }, true, true, ['192.0.2.1', '2001:db8::1']],
];

test.each(families)(
  'the programs are compiled for what the cluster has: %s',
  async (_sentence, yaml, options, ipv4, ipv6, node) => {
    await start(yaml, options);
    const { agent } = cluster;
    expect(agent.config).toMatchObject({ ipv4, ipv6 });
    expect(agent.nodeAddresses.map(formatIp)).toEqual(node);
    for (const address of node) {
      expect(identityOf(address)).toBe(1);
      expect(lxcAt(address)).toMatchObject({ lxcId: 0, flags: 1 });
    }
    // With both families each has a world of its own.
    const world = ipv4 && ipv6 ? [9, 10] : [ipv4 ? 2 : undefined, ipv6 ? 2 : undefined];
    expect([identityOf('203.0.113.9'), identityOf('2001:db8:9::9')]).toEqual(world);
  },
);

test("the router answers with the node's address", async () => {
  await start(DUAL);
  const words = [0x0100_00fd, 0, 0, 0x0100_0000]; // fd00:1::1 as a little-endian machine loads it
  expect(cluster.agent.config.node).toMatchObject({ routerIpv6: words, directRoutingIpv6: words });
});

const cidr = (...prefixes: string[]): string =>
  policy(`{ endpointSelector: {}, ingress: [{ fromCIDR: ${JSON.stringify(prefixes)} }] }`);
const labelsOf = (address: string): string[] => cluster.agent.identities.get(identityOf(address)!)!.toStrings();

test('prefixes that policies name have identities in both families, and go with the policy', async () => {
  await start(DUAL + cidr('2001:db8::/32', '2001:db8:1::/48', '203.0.113.0/24'));
  expect(labelsOf('2001:db8:1::7')).toEqual(['cidr:2001-db8-1--0/48', 'reserved:world-ipv6']);
  expect(labelsOf('2001:db8:2::7')).toEqual(['cidr:2001-db8--0/32', 'reserved:world-ipv6']);
  expect(labelsOf('203.0.113.7')).toEqual(['cidr:203.0.113.0/24', 'reserved:world-ipv4']);
  expect(
    endpointOf('a')
      .policyMap.entries()
      .map(({ identity }) => identity),
  ).toContain(identityOf('2001:db8:1::7'));
  await cluster.delete('CiliumNetworkPolicy', 'p');
  expect(['2001:db8:1::7', '203.0.113.7'].map(identityOf)).toEqual([10, 9]);
});

test("a pod's address is the pod's, also when a policy names it as a prefix", async () => {
  await start(DUAL + cidr('fd00::2/128'));
  expect(identityOf('fd00::2')).toBe(endpointOf('b').identity);
  await cluster.delete('Pod', 'b');
  expect(labelsOf('fd00::2')).toEqual(['cidr:fd00--2/128', 'reserved:world-ipv6']);
  expect(lxcAt('fd00::2')).toBeUndefined();
  expect(lxcAt('10.0.0.2')).toBeUndefined();
  expect(identityOf('10.0.0.2')).toBe(9);
});

test('a pod that gets another IPv6 address is another endpoint', async () => {
  await start(DUAL);
  const { identity } = endpointOf('a');
  await cluster.apply(pod('a', `10.0.0.1 fd00::9 ${NODE}`));
  expect([identityOf('fd00::1'), identityOf('fd00::9'), identityOf('10.0.0.1')]).toEqual([10, identity, identity]);
  expect([lxcAt('fd00::1'), lxcAt('fd00::9')?.lxcId]).toEqual([undefined, endpointOf('a').id]);
});

const service = (more: string): string => `
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [{ port: 80, targetPort: 8080 }], ${more} }
---`;
const BOTH =
  'clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1, "fd00:96::1"], ipFamilies: [IPv4, IPv6], ipFamilyPolicy: RequireDualStack';

const services: [sentence: string, yaml: string, entries: string[]][] = [
  [
    'each address of a service has the pods that have one of its family',
    pod('a', '10.0.0.1 fd00::1', 'web') + pod('b', 'fd00::2', 'web') + service(BOTH),
    ['10.96.0.1:80 -> 10.0.0.1:8080', '[fd00:96::1]:80 -> [fd00::1]:8080 [fd00::2]:8080'],
  ],
  [
    'of IPv6 alone',
    pod('a', 'fd00::1', 'web') + service('clusterIP: "fd00:96::1", ipFamilies: [IPv6]'),
    ['[fd00:96::1]:80 -> [fd00::1]:8080'],
  ],
  [
    'an address of a family that is off is not there',
    pod('a', '10.0.0.1', 'web') + service(BOTH),
    ['10.96.0.1:80 -> 10.0.0.1:8080'],
  ],
];

test.each(services)('services: %s', async (_sentence, yaml, entries) => {
  await start(yaml);
  const text = ({ address, port }: { address: IpAddress; port: number }): string => formatIpPort(address, port);
  expect(
    cluster.agent.services.map(({ frontend, backends }) => `${text(frontend)} -> ${backends.map(text).join(' ')}`),
  ).toEqual(entries);
});

const refused: [sentence: string, before: string, yaml: string, message: RegExp][] = [
  [
    'an address of another pod',
    DUAL,
    pod('d', '10.0.0.9 fd00:0::1'),
    /default\/d and default\/a both have the address fd00::1/,
  ],
  [
    'an IPv6 address where the agent was started without',
    pod('a', '10.0.0.1'),
    pod('d', '10.0.0.9 fd00::9'),
    /default\/d has the address fd00::9, but the agent was started without IPv6/,
  ],
  [
    'an IPv4 address where the agent was started without',
    pod('a', 'fd00::1'),
    pod('d', '10.0.0.9'),
    /default\/d has the address 10.0.0.9, but the agent was started without IPv4/,
  ],
];

test.each(refused)('a pod is refused for %s', async (_sentence, before, yaml, message) => {
  await start(before);
  await expect(cluster.apply(yaml)).rejects.toThrow(message);
  expect(cluster.agent.endpointOfPod('d')).toBeUndefined();
});

test('without packets too, each family has its world, and an address the identity of its longest prefix', async () => {
  await start(DUAL + cidr('2001:db8:1::/48'));
  const whatIf = await ClusterPolicy.of(cluster.store, 1);
  const { identity } = addressEnd(whatIf, '2001:db8:1::7');
  expect(identity).toBe(identityOf('2001:db8:1::7'));
  expect([addressEnd(whatIf, '2001:db8:9::7').identity, addressEnd(whatIf, '203.0.113.9').identity]).toEqual([10, 9]);
  const names = partiesOf([whatIf]).flatMap((party) => party.names);
  expect(names).toEqual(expect.arrayContaining(['2001:db8:1::/48', 'world-ipv4', 'world-ipv6']));
});
