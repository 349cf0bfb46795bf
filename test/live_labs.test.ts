import type { LiveCluster } from '@ciliate/live';
import { afterEach, describe, expect, test } from 'vitest';
import { askDns } from './dns.ts';
import { applyFile, curl, deleteFile, isInstalled, nc, startLive } from './live.ts';

/** Both labs with real clients. Those that are not installed are skipped by name. */
const running: LiveCluster[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((cluster) => cluster.stop()));
});
async function start(...args: Parameters<typeof startLive>): Promise<LiveCluster> {
  const cluster = await startLive(...args);
  running.push(cluster);
  return cluster;
}

describe.skipIf(!isInstalled('curl'))('the Death Star, with curl', () => {
  const API = 'deathstar.default.svc.cluster.local/v1';
  const land = ['--connect-timeout', '2', '-XPOST', `${API}/request-landing`];
  const exhaust = ['-XPUT', '-w', '%{http_code}', `${API}/exhaust-port`];

  test('without policy everybody lands, and the exhaust port is open', async () => {
    const cluster = await start(['examples/deathstar']);
    expect(await curl(cluster, 'tiefighter', ...land)).toMatchObject({ code: 0, stdout: 'Ship landed\n' });
    expect(await curl(cluster, 'xwing', ...land)).toMatchObject({ code: 0, stdout: 'Ship landed\n' });
    expect((await curl(cluster, 'tiefighter', ...exhaust)).stdout).toMatch(/^Panic: deathstar exploded[\s\S]*503$/);
  });

  test('under L3/L4 policy the xwing waits for its time-out: exit 28', async () => {
    const cluster = await start(['examples/deathstar', 'examples/deathstar/policies/l4.yaml']);
    expect(await curl(cluster, 'tiefighter', ...land)).toMatchObject({ code: 0, stdout: 'Ship landed\n' });
    expect(await curl(cluster, 'xwing', ...land)).toMatchObject({ code: 28, stdout: '' });
    expect(cluster.flows.since(0).filter((line) => /xwing.*Policy denied DROPPED/.test(line))).not.toEqual([]);
  });

  test('under L7 policy the TIE fighter lands, and gets 403 at the exhaust port', async () => {
    const cluster = await start(['examples/deathstar', 'examples/deathstar/policies/l7.yaml']);
    expect(await curl(cluster, 'tiefighter', ...land)).toMatchObject({ code: 0, stdout: 'Ship landed\n' });
    expect(await curl(cluster, 'tiefighter', ...exhaust)).toMatchObject({ code: 0, stdout: 'Access denied\r\n403' });
    expect(await curl(cluster, 'xwing', ...land)).toMatchObject({ code: 28 });
  });

  test('a policy counts from the moment it is applied, and no longer than until it is deleted', async () => {
    const cluster = await start(['examples/deathstar']);
    await applyFile(cluster, 'examples/deathstar/policies/l7.yaml');
    expect((await curl(cluster, 'tiefighter', ...exhaust)).stdout).toBe('Access denied\r\n403');
    await deleteFile(cluster, 'examples/deathstar/policies/l7.yaml');
    expect((await curl(cluster, 'xwing', ...land)).stdout).toBe('Ship landed\n');
  });

  test('a name that does not exist: exit 97, and a note what that stands for', async () => {
    const cluster = await start(['examples/deathstar']);
    expect((await curl(cluster, 'xwing', 'nosuch.default.svc.cluster.local')).code).toBe(97);
    expect(cluster.notes.since(0)).toEqual([
      { pod: 'default/xwing', text: expect.stringContaining("does not resolve (NXDOMAIN); natively curl's exit 6") },
    ]);
  });
});

describe.skipIf(!isInstalled('nc') || !isInstalled('timeout'))('three tiers, with nc', () => {
  const LAB = 'examples/three-tier';
  const OPEN = { code: 0, stderr: expect.stringContaining('succeeded') };
  const SILENT = { code: 124, stderr: '' };

  test('bb1 and bb2 find each other; a port where nobody listens refuses', async () => {
    const cluster = await start([LAB]);
    expect(await nc(cluster, 'bb1', 'bb2', 8080)).toMatchObject(OPEN);
    expect(await nc(cluster, 'bb2', 'bb1', 8080)).toMatchObject(OPEN);
    expect(await nc(cluster, 'bb1', 'bb2', 8081)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('refused'),
    });
  });

  test('a policy on mysqldb: bb2 times out, flaskback connects', async () => {
    const cluster = await start([LAB]);
    expect(await nc(cluster, 'bb2', 'mysqldb', 3306)).toMatchObject(OPEN);
    await applyFile(cluster, `${LAB}/policies/mysqldb.yaml`);
    expect(await nc(cluster, 'bb2', 'mysqldb', 3306)).toMatchObject(SILENT);
    expect(await nc(cluster, 'flaskback', 'mysqldb', 3306)).toMatchObject(OPEN);
  });

  test('default-deny egress: the name no longer resolves; with DNS excepted it does, and the connection times out', async () => {
    const cluster = await start([LAB, `${LAB}/policies/deny-egress.yaml`]);
    expect(await askDns(cluster, 'bb1', 'bb2.default.svc.cluster.local')).toBeUndefined();
    expect(await nc(cluster, 'bb1', 'bb2', 8080)).toMatchObject(SILENT);
    await applyFile(cluster, `${LAB}/policies/allow-dns.yaml`);
    const answer = await askDns(cluster, 'bb1', 'bb2.default.svc.cluster.local');
    expect(answer).toMatchObject({ rcode: 'NOERROR', answers: [{ type: 'A', data: '10.0.1.2' }] });
    expect(await nc(cluster, 'bb1', 'bb2', 8080)).toMatchObject(SILENT);
  });
});

const NAMED = `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: named }
spec:
  endpointSelector: { matchLabels: { app: bb1 } }
  egress:
    - toEndpoints: [{ matchLabels: { k8s-app: kube-dns, io.kubernetes.pod.namespace: kube-system } }]
      toPorts: [{ ports: [{ port: "53", protocol: ANY }], rules: { dns: [{ matchPattern: "*.example" }] } }]
    - toFQDNs: [{ matchName: good.example }]
`;

test.skipIf(!isInstalled('curl'))(
  'toFQDNs: one name is reached, another resolves and times out, a third is refused',
  async () => {
    const world = [
      { name: 'good.example', address: '203.0.113.1' },
      { name: 'bad.example', address: '203.0.113.2' },
      { name: 'other.test', address: '203.0.113.3' },
    ];
    const cluster = await start(['examples/three-tier'], NAMED, { world });
    const get = (name: string) => curl(cluster, 'bb1', '--connect-timeout', '1', `http://${name}./hello`);
    expect(await get('good.example')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('good.example: GET /hello'),
    });
    expect(await get('bad.example')).toMatchObject({ code: 28 });
    expect(await get('other.test')).toMatchObject({ code: 97 });
    expect(cluster.notes.since(0).at(-1)?.text).toContain('(REFUSED)');
    expect(await askDns(cluster, 'bb1', 'other.test')).toMatchObject({ rcode: 'REFUSED', answers: [] });
  },
);
