import { fileURLToPath } from 'node:url';
import type { LiveCluster } from '@ciliate/live';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { curl, isInstalled, startLive } from './live.ts';

const SERVER = fileURLToPath(new URL('./fixtures/http2_server.ts', import.meta.url));
const YAML = `
apiVersion: v1
kind: Pod
metadata: { name: client, namespace: default, labels: { app: client } }
spec: { containers: [{ name: c }] }
status: { podIP: 10.0.0.1 }
---
apiVersion: v1
kind: Pod
metadata: { name: other, namespace: default, labels: { app: other } }
spec: { containers: [{ name: c }] }
status: { podIP: 10.0.0.3 }
---
apiVersion: v1
kind: Pod
metadata:
  name: server
  namespace: default
  labels: { app: server }
  annotations: { ciliate.io/server: 'command:80', ciliate.io/command: 'exec "${process.execPath}" "${SERVER}"' }
spec: { containers: [{ name: c, ports: [{ containerPort: 80 }] }] }
status: { podIP: 10.0.0.2 }
---
apiVersion: v1
kind: Pod
metadata:
  name: echo
  namespace: default
  labels: { app: server }
  annotations: { ciliate.io/server: 'http-echo:80' }
spec: { containers: [{ name: c }] }
status: { podIP: 10.0.0.4 }
---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: l7, namespace: default }
spec:
  endpointSelector: { matchLabels: { app: server } }
  ingress:
    - fromEndpoints: [{ matchLabels: { app: client } }]
      toPorts: [{ ports: [{ port: "80", protocol: TCP }], rules: { http: [{ method: GET, path: /public }] } }]
`;

/** HTTP/2 from end to end: curl, SOCKS, the datapath, the proxy, a server of a pod's own. */
describe.skipIf(!isInstalled('curl'))('HTTP/2 between live pods, with curl', () => {
  let cluster: LiveCluster;
  beforeAll(async () => {
    cluster = await startLive([], YAML);
  });
  afterAll(() => cluster.stop());
  const asks = (pod: string, path: string, ...more: string[]) =>
    curl(cluster, pod, '--http2-prior-knowledge', '-w', '%{http_code}', ...more, `http://10.0.0.2${path}`);

  test('allowed, denied and dropped are the same as in HTTP/1', async () => {
    // The server is a program that takes its time to start: until then the proxy says 503.
    await expect
      .poll(() => asks('client', '/public'), { timeout: 30_000 })
      .toMatchObject({ stdout: 'GET /public\n200' });
    expect(await asks('client', '/secret')).toMatchObject({ code: 0, stdout: 'Access denied\r\n403' });
    expect(await asks('other', '/public', '--connect-timeout', '1')).toMatchObject({ code: 28 });
    await expect
      .poll(() => cluster.flows.since(0).filter((line) => line.includes('/secret')), { timeout: 30_000 })
      .toEqual([
        expect.stringContaining('http-request DROPPED (HTTP/2 GET http://10.0.0.2/secret)'),
        expect.stringContaining('http-response FORWARDED (HTTP/2 403'),
      ]);
  });
});

describe.skipIf(!isInstalled('curl'))('an upgrade to WebSocket between live pods, with curl', () => {
  test.each([
    ['is refused', false, '403'],
    ['reaches the server with --envoy-websocket', true, 'default/echo: GET /public'],
  ])('%s', async (_name, envoyWebsocket, answer) => {
    const cluster = await startLive([], YAML, { envoyWebsocket });
    try {
      const upgrade = ['-H', 'Connection: Upgrade', '-H', 'Upgrade: websocket'];
      const { stdout } = await curl(cluster, 'client', ...upgrade, '-w', '%{http_code}', 'http://10.0.0.4/public');
      expect(stdout.split('\n')[0]).toBe(answer);
      expect(stdout.includes('upgrade: websocket')).toBe(envoyWebsocket);
    } finally {
      await cluster.stop();
    }
  });
});
