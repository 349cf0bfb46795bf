import type { LiveCluster } from '@ciliate/live';
import { afterEach, describe, expect, test } from 'vitest';
import { applyFile, curl, deleteFile, isInstalled, ROOT, startLive } from './live.ts';

/** The page docs/tls.md, step by step, with real curl. */
const running: LiveCluster[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((cluster) => cluster.stop()));
});
async function start(...paths: string[]): Promise<LiveCluster> {
  const cluster = await startLive(['examples/tls', ...paths]);
  running.push(cluster);
  return cluster;
}

const API = 'https://api.default.svc.cluster.local';
const NAMES = 'examples/tls/policies/names.yaml';
const INSIDE = 'examples/tls/policies/inside.yaml';
const ask = (cluster: LiveCluster, url: string, ca: 'server-ca' | 'proxy-ca') =>
  curl(
    cluster,
    'client',
    '--connect-timeout',
    '5',
    '-w',
    '%{http_code}',
    '--cacert',
    `${ROOT}examples/tls/${ca}.crt`,
    url,
  );
const CANNOT_TRUST = 60;
const RESET = [35, 56];

describe.skipIf(!isInstalled('curl'))('TLS, with curl', () => {
  test('without policy the client and the server speak TLS with each other', async () => {
    const cluster = await start();
    expect((await ask(cluster, `${API}/public/a`, 'server-ca')).stdout).toMatch(
      /^default\/api: GET \/public\/a[\s\S]*200$/,
    );
    expect((await ask(cluster, `${API}/`, 'proxy-ca')).code).toBe(CANNOT_TRUST);
  });

  test('by name: the one name goes through as it is, others are reset, and so is what is not TLS', async () => {
    const cluster = await start(NAMES);
    expect((await ask(cluster, `${API}/private`, 'server-ca')).stdout).toMatch(
      /^default\/api: GET \/private[\s\S]*200$/,
    );
    const other = await ask(cluster, 'https://other.default.svc.cluster.local/', 'server-ca');
    expect(RESET).toContain(other.code);
    const clear = await ask(cluster, 'http://api.default.svc.cluster.local:443/', 'server-ca');
    expect(RESET).toContain(clear.code);
    expect(cluster.flows.since(0).filter((line) => /client.*-> default\/api:443 .*http-request/.test(line))).toEqual(
      [],
    );
  });

  test('inside: allowed paths go on, others get 403 inside TLS, and the flow log has both', async () => {
    const cluster = await start(INSIDE);
    const allowed = await ask(cluster, `${API}/public/a`, 'proxy-ca');
    expect(allowed.stdout).toMatch(/^default\/api: GET \/public\/a[\s\S]*x-forwarded-proto: https[\s\S]*200$/);
    expect(await ask(cluster, `${API}/private`, 'proxy-ca')).toMatchObject({ code: 0, stdout: 'Access denied\r\n403' });
    expect((await ask(cluster, `${API}/public/a`, 'server-ca')).code).toBe(CANNOT_TRUST);
    const l7 = (): string[] => cluster.flows.since(0).filter((line) => /http-(request|response)/.test(line));
    await expect
      .poll(l7, { timeout: 10_000 })
      .toEqual([
        expect.stringMatching(
          /client.*-> default\/api:443 .*http-request FORWARDED \(HTTP\/1.1 GET https:.*\/public\/a\)/,
        ),
        expect.stringMatching(/http-response FORWARDED \(HTTP\/1.1 200 .*\/public\/a\)\)/),
        expect.stringMatching(/http-request DROPPED \(HTTP\/1.1 GET .*\/private\)/),
        expect.stringMatching(/http-response FORWARDED \(HTTP\/1.1 403 .*\/private\)\)/),
      ]);
  });

  test('a secret that goes takes the connections with it, until it comes back', async () => {
    const cluster = await start(INSIDE);
    await cluster.delete([{ kind: 'Secret', namespace: 'default', name: 'proxy-certificate' }]);
    expect(RESET).toContain((await ask(cluster, `${API}/public/a`, 'proxy-ca')).code);
    await applyFile(cluster, 'examples/tls/secrets.yaml');
    expect((await ask(cluster, `${API}/public/a`, 'proxy-ca')).code).toBe(0);
    await cluster.delete([{ kind: 'Secret', namespace: 'default', name: 'server-ca' }]);
    expect((await ask(cluster, `${API}/public/a`, 'proxy-ca')).stdout).toMatch(/Socket is not ready503$/);
    await deleteFile(cluster, INSIDE);
    expect((await ask(cluster, `${API}/public/a`, 'server-ca')).code).toBe(0);
  });
});
