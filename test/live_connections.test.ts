import { decodeObjects } from '@ciliate/k8s';
import type { LiveCluster } from '@ciliate/live';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { podYaml } from './law.ts';
import { startLive } from './live.ts';
import { PodSocket, toldOf } from './socks.ts';
import { closed, egress, ingress, policy } from './two_sides.ts';

/** What happens to connections of live pods: redirected twice, and while policies come and go. */
const PODS =
  podYaml('client', '10.0.0.1', { app: 'client' }) +
  podYaml('server', '10.0.0.2', { app: 'server' }, 'ciliate.io/server: "http-echo:80, tcp-echo:7"');
const ECHO_ONLY = policy('server', 'ingress: [{ toPorts: [{ ports: [{ port: "7", protocol: TCP }] }] }]');
const ECHO_BY_PROXY = policy(
  'server',
  'ingress: [{ toPorts: [{ ports: [{ port: "7", protocol: TCP }], rules: { http: [{ path: /a }] } }] }]',
);

let cluster: LiveCluster;
beforeAll(async () => {
  cluster = await startLive([], PODS);
});
afterAll(() => cluster.stop());

const apply = (yaml: string): Promise<unknown> => cluster.apply(decodeObjects(yaml, 'policy.yaml'));
const withdraw = (...names: string[]): Promise<unknown> =>
  cluster.delete(names.map((name) => ({ kind: 'CiliumNetworkPolicy', namespace: 'default', name })));
afterEach(() => withdraw('client', 'server'));

const open: PodSocket[] = [];
afterEach(() => {
  for (const socket of open.splice(0)) socket.close();
});
function dial(port: number): PodSocket {
  const socket = new PodSocket(cluster, 'client', '10.0.0.2', port);
  open.push(socket);
  return socket;
}
const get = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: server\r\n\r\n`;

describe('HTTP rules at both sides: the proxy is passed twice', () => {
  const SCENARIOS: [name: string, policies: string, path: string, status: number, log: string[]][] = [
    [
      'allowed at both: the server answers',
      egress('/a') + ingress('/a'),
      '/a',
      200,
      ['request FORWARDED', 'request FORWARDED', 'response FORWARDED', 'response FORWARDED'],
    ],
    ['denied at the client: 403', egress('/b') + ingress('/a'), '/a', 403, ['request DROPPED', 'response FORWARDED']],
    [
      'allowed at the client, denied at the server: 403',
      egress('/a') + ingress('/b'),
      '/a',
      403,
      ['request FORWARDED', 'request DROPPED', 'response FORWARDED', 'response FORWARDED'],
    ],
  ];
  test.each(SCENARIOS)('%s', async (_name, policies, path, status, want) => {
    await apply(policies);
    const before = cluster.flows.count;
    const seen = await dial(80)
      .send(get(path))
      .until(/\r\n\r\n./);
    expect(seen.slice(0, 12)).toBe(`HTTP/1.1 ${status}`);
    expect(seen.includes(`default/server: GET ${path}`)).toBe(status === 200);
    const logged = (): string[] =>
      cluster.flows.since(before).flatMap((line) => /http-(\w+ \w+)/.exec(line)?.[1] ?? []);
    await expect.poll(() => logged().length, { timeout: 10_000 }).toBe(want.length);
    expect(logged().sort()).toEqual([...want].sort());
  });

  test('allowed at the client, dropped at the server: the proxy cannot connect, 503', async () => {
    await apply(egress('/a') + closed);
    const before = cluster.flows.count;
    expect(
      await dial(80)
        .send(get('/a'))
        .until(/\r\n\r\n./),
    ).toMatch(/^HTTP\/1\.1 503/);
    await toldOf(cluster, before, /192\.168\.1\.1:.*Policy denied DROPPED \(TCP Flags: SYN\)/);
  });
});

test('a request that is answered before policy: the log has it as Cilium does, without ends', async () => {
  await apply(ingress('/a'));
  const before = cluster.flows.count;
  const client = dial(80).send('GET /a HTTP/1.1\r\n\r\n'); // no host
  expect(await client.until('closed')).toMatch(/^HTTP\/1\.1 400 /);
  await toldOf(cluster, before, ' (unknown) <-  (unknown) http-response FORWARDED (HTTP/1 400 0ms ( ))');
  expect(cluster.flows.since(before).filter((line) => line.includes('l7-request'))).toEqual([
    'Jan  1 00:00:00.000:  (unknown) ->  (unknown) l7-request FORWARDED ()',
  ]);
});

describe('policy that comes while a connection is open', () => {
  test('counts for its next packet: dropped until it goes away, then what was sent arrives', async () => {
    const echo = dial(7).send('one ');
    await echo.until(/one $/);
    const before = cluster.flows.count;
    await apply(closed);
    echo.send('two ');
    await toldOf(cluster, before, /client.*Policy denied DROPPED \(TCP Flags: ACK, PSH\)/);
    expect(echo.received).toBe('one ');
    await apply(ECHO_ONLY);
    expect(await echo.until(/two $/)).toBe('one two ');
    await withdraw('server');
    echo.send('three');
    expect(await echo.until(/three$/)).toBe('one two three');
  });

  test('that redirects it now: the proxy knows nothing of it, and resets it', async () => {
    const echo = dial(7).send('one');
    await echo.until(/one$/);
    await apply(ECHO_BY_PROXY);
    echo.send('two');
    expect(await echo.until('reset')).toBe('one');
  });

  test('about requests: the next one on a connection through the proxy is judged by it', async () => {
    await apply(ingress('/a'));
    const client = dial(80).send(get('/a'));
    await client.until(/GET \/a/);
    await apply(ingress('/b'));
    client.send(get('/a'));
    await client.until(/HTTP\/1\.1 403/);
    client.send(get('/b'));
    await client.until(/GET \/b/);
  });

  test('that redirects no more: its packets go to the server, which resets it, but the proxy is told: the client waits', async () => {
    await apply(ingress('/a'));
    const client = dial(80).send(get('/a'));
    await client.until(/GET \/a/);
    await withdraw('server');
    const before = cluster.flows.count;
    client.send(get('/a'));
    await toldOf(cluster, before, /client.* -> .*to-endpoint FORWARDED \(TCP Flags: ACK, PSH\)/);
    await toldOf(cluster, before, /client.* <- .*to-proxy FORWARDED \(TCP Flags: RST\)/);
    expect([client.ended, client.received.match(/HTTP\/1\.1 200/g)?.length]).toEqual(['open', 1]);
  });
});
