import { IpcacheMap } from '@ciliate/maps';
import { parseIpv4 } from '@ciliate/packet';
import { afterEach, expect, test } from 'vitest';
import { PROXY_PORT_DNS } from '../src/index.ts';
import { Cluster, pod, policy } from './cluster.ts';

const PODS = pod('client', '10.0.0.2', 'client') + pod('other', '10.0.0.3', 'other') + pod('dns', '10.0.0.53', 'dns');
/** What the client may ask, and that it may reach what it learns. */
const NAMED = (rule: string, port = '443'): string =>
  policy(`endpointSelector: { matchLabels: { app: client } }
  egress:
    - toEndpoints: [{ matchLabels: { app: dns } }]
      toPorts: [{ ports: [{ port: "53", protocol: UDP }], rules: { dns: [{ matchPattern: "*.example" }] } }]
    - toFQDNs: [{ ${rule} }]
      toPorts: [{ ports: [{ port: "${port}", protocol: TCP }] }]`);
const S = 1_000_000_000n;

const running: Cluster[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map(({ agent }) => agent.stop()));
});
async function start(yaml: string): Promise<Cluster> {
  const cluster = await Cluster.start(yaml);
  running.push(cluster);
  return cluster;
}
const identityAt = ({ agent }: Cluster, address: string): number =>
  IpcacheMap.open(agent.memory).lookup(parseIpv4(address)!)!.identity;
const mayReach = (cluster: Cluster, address: string, dport: number): boolean =>
  cluster.agent
    .endpointOfPod('client')!
    .policyMap.entries()
    .some((entry) => entry.egress && entry.identity === identityAt(cluster, address) && entry.dport === dport);
const learn = (cluster: Cluster, name: string, addresses: string[], ttlS: number, at: bigint): Promise<void> =>
  cluster.agent.learnName(cluster.agent.endpointOfPod('client')!, { name, addresses, ttlS }, at);

test('an address that a selected name answered with may be reached, before anybody is told', async () => {
  const cluster = await start(PODS + NAMED('matchName: a.example'));
  expect(mayReach(cluster, '192.0.2.7', 443)).toBe(false);
  await learn(cluster, 'a.example.', ['192.0.2.7'], 30, 100n * S);
  expect(mayReach(cluster, '192.0.2.7', 443)).toBe(true);
  expect(cluster.agent.identities.get(identityAt(cluster, '192.0.2.7'))!.toStrings()).toEqual([
    'fqdn:a.example',
    'reserved:world',
  ]);
});

test('an address of a name that nothing selects stays the rest of the world', async () => {
  const cluster = await start(PODS + NAMED('matchName: a.example'));
  await learn(cluster, 'b.example.', ['192.0.2.7'], 30, 100n * S);
  expect(identityAt(cluster, '192.0.2.7')).toBe(2);
});

test('a policy that comes later finds the names that were learnt before', async () => {
  const cluster = await start(PODS + NAMED('matchName: a.example'));
  await learn(cluster, 'b.example.', ['192.0.2.7'], 30, 100n * S);
  await cluster.apply(NAMED('matchPattern: "*.example"'));
  expect(mayReach(cluster, '192.0.2.7', 443)).toBe(true);
  await cluster.delete('CiliumNetworkPolicy', 'p');
  expect(identityAt(cluster, '192.0.2.7')).toBe(2);
});

test('a name whose time is over loses its address when two collections of conntrack found no connection', async () => {
  const cluster = await start(PODS + NAMED('matchName: a.example'));
  await learn(cluster, 'a.example.', ['192.0.2.7'], 30, 100n * S);
  const reachable: boolean[] = [];
  for (const at of [120n, 180n, 240n, 300n]) {
    await cluster.agent.collectNames(at * S);
    reachable.push(mayReach(cluster, '192.0.2.7', 443));
  }
  expect(reachable).toEqual([true, true, false, false]);
});

test('DNS rules redirect to the DNS proxy, which knows them; the proxy for HTTP is told nothing', async () => {
  const { agent } = await start(PODS + NAMED('matchName: a.example'));
  const client = agent.endpointOfPod('client')!;
  const dns = agent.endpointOfPod('dns')!;
  expect(client.policyMap.entries()).toContainEqual(
    expect.objectContaining({ identity: dns.identity, dport: 53, protocol: 17, proxyPort: PROXY_PORT_DNS }),
  );
  expect(client.policyMap.entries().filter(({ proxyPort }) => proxyPort > 0)).toHaveLength(1);
});
