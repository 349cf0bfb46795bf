import { execFile } from 'node:child_process';
import { decodeObjects } from '@ciliate/k8s';
import type { LiveCluster } from '@ciliate/live';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { askDns, askDnsOverTcp } from './dns.ts';
import { isInstalled, startLive } from './live.ts';
import { PodSocket, toldOf } from './socks.ts';

/** DNS of live pods: over UDP and TCP, by dig, of both families, through the DNS proxy and past it. */
const PODS = `
apiVersion: v1
kind: Pod
metadata: { name: client, labels: { app: client } }
spec: { containers: [{ name: main }] }
status: { podIP: 10.0.0.1, podIPs: [{ ip: 10.0.0.1 }, { ip: "fd00::1" }], hostIP: 192.168.1.1, hostIPs: [{ ip: 192.168.1.1 }, { ip: "fd01::1" }] }
---
apiVersion: v1
kind: Pod
metadata: { name: coredns, namespace: kube-system, labels: { k8s-app: kube-dns } }
spec: { containers: [{ name: main, ports: [{ containerPort: 53, protocol: UDP }, { containerPort: 53, protocol: TCP }] }] }
status: { podIP: 10.0.0.53, podIPs: [{ ip: 10.0.0.53 }, { ip: "fd00::53" }], hostIP: 192.168.1.1, hostIPs: [{ ip: 192.168.1.1 }, { ip: "fd01::1" }] }
---
apiVersion: v1
kind: Service
metadata: { name: kube-dns, namespace: kube-system }
spec: { clusterIP: 10.96.0.10, selector: { k8s-app: kube-dns }, ports: [{ name: dns, port: 53, protocol: UDP }, { name: tcp, port: 53 }] }
`;
const NAMES = `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: names }
spec:
  endpointSelector: { matchLabels: { app: client } }
  egress:
    - toEndpoints: [{ matchLabels: { k8s-app: kube-dns, io.kubernetes.pod.namespace: kube-system } }]
      toPorts: [{ ports: [{ port: "53", protocol: ANY }], rules: { dns: [{ matchPattern: "*.example" }] } }]
    - toFQDNs: [{ matchPattern: "good*.example" }]
`;
const WORLD = [
  { name: 'good.example', address: '203.0.113.1' },
  { name: 'good6.example', address: '2001:db8::1' },
  { name: 'other.test', address: '203.0.113.3' },
];

let cluster: LiveCluster;
beforeAll(async () => {
  cluster = await startLive([], PODS, { world: WORLD });
});
afterAll(() => cluster.stop());
const apply = (): Promise<unknown> => cluster.apply(decodeObjects(NAMES, 'names.yaml'));
afterEach(() => cluster.delete([{ kind: 'CiliumNetworkPolicy', namespace: 'default', name: 'names' }]));

const A = (data: string) => ({ rcode: 'NOERROR', answers: [{ type: 'A', data }] });

test('over TCP: several questions on a connection, each answered', async () => {
  expect(await askDnsOverTcp(cluster, 'client', ['good.example', 'other.test', 'nosuch.test'])).toMatchObject([
    A('203.0.113.1'),
    A('203.0.113.3'),
    { rcode: 'NXDOMAIN', answers: [] },
  ]);
});

test('over TCP through the DNS proxy: what no rule allows is refused, what it allows is learnt', async () => {
  await apply();
  const before = cluster.flows.count;
  const answers = await askDnsOverTcp(cluster, 'client', ['other.test', 'good.example']);
  expect(answers.map((answer) => (answer as { rcode?: string }).rcode).sort()).toEqual(['NOERROR', 'REFUSED']);
  await toldOf(cluster, before, 'dns-request proxy DROPPED (DNS Query other.test. A)');
  await toldOf(
    cluster,
    before,
    'dns-response proxy FORWARDED (DNS Answer "203.0.113.1" TTL: 30 (Proxy good.example. A))',
  );
  const client = new PodSocket(cluster, 'client', '203.0.113.1', 80);
  await client.until('connected');
  client.close();
});

test('AAAA is learnt, too: the IPv6 address may be reached from then on, and no other', async () => {
  await apply();
  const before = cluster.flows.count;
  const early = new PodSocket(cluster, 'client', '2001:db8::1', 80);
  await toldOf(cluster, before, /client.*2001:db8::1.*Policy denied DROPPED \(TCP Flags: SYN\)/);
  early.close();
  expect(await askDns(cluster, 'client', 'good6.example', 'AAAA')).toMatchObject({
    rcode: 'NOERROR',
    answers: [{ type: 'AAAA', data: '2001:db8::1' }],
  });
  expect(await askDns(cluster, 'client', 'good6.example', 'A')).toMatchObject({ rcode: 'NOERROR', answers: [] });
  const client = new PodSocket(cluster, 'client', '2001:db8::1', 80).send('GET /6 HTTP/1.0\r\n\r\n');
  expect(await client.until(/GET \/6/)).toContain('good6.example: GET /6');
  client.close();
});

test.skipIf(!isInstalled('dig'))('dig asks over UDP and TCP, and sees REFUSED as in a cluster', async () => {
  await apply();
  const dig = (...args: string[]): Promise<string> =>
    new Promise((resolve) => {
      const { dnsPort } = cluster.pod('client')!;
      execFile('dig', ['@127.0.0.1', '-p', `${dnsPort}`, '+tries=1', ...args], (_error, stdout) => resolve(stdout));
    });
  expect(await dig('+short', 'good.example')).toBe('203.0.113.1\n');
  expect(await dig('+short', '+tcp', 'good.example')).toBe('203.0.113.1\n');
  expect(await dig('+short', 'good6.example', 'AAAA')).toBe('2001:db8::1\n');
  for (const how of ['+notcp', '+tcp']) expect(await dig(how, 'other.test')).toContain('status: REFUSED');
});
