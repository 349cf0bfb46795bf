import { decodeObjects } from '@ciliate/k8s';
import type { LiveCluster } from '@ciliate/live';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { curl, isInstalled, startLive } from './live.ts';
import { PodSocket, toldOf } from './socks.ts';

/** Live pods of an IPv6 cluster: names, services, drops and 403 as with IPv4. */
const pod = (name: string, ip: string, rest = ''): string => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, labels: { app: ${name} }${rest} }
spec: { containers: [{ name: main, ports: [{ containerPort: 80 }] }] }
status: { podIP: "${ip}", hostIP: "fd01::1" }
---`;
const PODS = `${pod('client', 'fd00::1')}${pod('other', 'fd00::2')}
${pod('server', 'fd00::9', ', annotations: { ciliate.io/server: http-echo }')}
apiVersion: v1
kind: Pod
metadata: { name: coredns, namespace: kube-system, labels: { k8s-app: kube-dns } }
spec: { containers: [{ name: main, ports: [{ containerPort: 53, protocol: UDP }] }] }
status: { podIP: "fd00::53", hostIP: "fd01::1" }
---
apiVersion: v1
kind: Service
metadata: { name: kube-dns, namespace: kube-system }
spec: { clusterIP: "fd02::10", selector: { k8s-app: kube-dns }, ports: [{ port: 53, protocol: UDP }] }
---
apiVersion: v1
kind: Service
metadata: { name: server }
spec: { clusterIP: "fd02::80", selector: { app: server }, ports: [{ port: 80 }] }
`;
const POLICY = `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: http }
spec:
  endpointSelector: { matchLabels: { app: server } }
  ingress:
    - fromEndpoints: [{ matchLabels: { app: client } }]
      toPorts: [{ ports: [{ port: "80", protocol: TCP }], rules: { http: [{ path: /public }] } }]
`;

let cluster: LiveCluster;
beforeAll(async () => {
  cluster = await startLive([], PODS);
});
afterAll(() => cluster.stop());

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: server\r\nconnection: close\r\n\r\n`;

test('a service is found by name and answers; policy drops the one and 403s the other', async () => {
  const before = new PodSocket(cluster, 'other', 'server', 80).send(get('/x'));
  expect(await before.until('closed')).toContain('default/server: GET /x');
  await cluster.apply(decodeObjects(POLICY, 'policy.yaml'));
  const count = cluster.flows.count;
  const other = new PodSocket(cluster, 'other', 'server', 80);
  await toldOf(cluster, count, /default\/other.*default\/server.*Policy denied DROPPED \(TCP Flags: SYN\)/);
  expect(other.connected).toBe(false);
  other.close();
  const allowed = new PodSocket(cluster, 'client', 'fd02::80', 80).send(get('/public'));
  expect(await allowed.until('closed')).toContain('default/server: GET /public');
  const denied = new PodSocket(cluster, 'client', 'fd00::9', 80).send(get('/private'));
  expect(await denied.until('closed')).toMatch(/^HTTP\/1\.1 403 /);
  await toldOf(cluster, count, 'http-request DROPPED (HTTP/1.1 GET http://server/private)');
});

test.skipIf(!isInstalled('curl'))('curl, to a name and to an address in brackets', async () => {
  const path = 'public';
  expect((await curl(cluster, 'client', `http://server/${path}`)).stdout).toContain('GET /public');
  expect((await curl(cluster, 'client', `http://[fd02::80]/${path}`)).stdout).toContain('GET /public');
});
