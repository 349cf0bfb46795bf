import { replayConversations, synthesize } from '@ciliate/replay';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Cluster, playConnection, podYaml, setPolicies, startCluster } from './cluster.ts';
import { closed, egress, ingress } from './two_sides.ts';

/** HTTP rules at the client's side, alone and before those at the server's: the proxy may be passed twice. */
const PODS = podYaml('client', '10.0.0.1', { app: 'client' }) + podYaml('server', '10.0.0.2', { app: 'server' });

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster(PODS);
});
afterAll(() => cluster.agent.stop());

const ANSWER = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');

async function ask(path: string) {
  const { agent } = cluster;
  const pod = (name: string) => agent.endpoints.find((endpoint) => endpoint.name === name)!;
  const server = { address: pod('server').address, port: 80 };
  const answering = { pod: pod('server'), port: 80 };
  const request = Buffer.from(`GET ${path} HTTP/1.1\r\nHost: server\r\n\r\n`);
  const question = { client: pod('client'), server, answering, transport: 'TCP', request, response: ANSWER } as const;
  const player = await playConnection(cluster, question);
  agent.flushConntrack();
  const { rows } = await replayConversations(agent, synthesize(question));
  return { player, row: rows[0]!, log: player.proxied?.log.map(({ record }) => record) ?? [] };
}

const SCENARIOS: [name: string, policies: string, path: string, outcome: string, why: RegExp, servers: number][] = [
  ['allowed at the client: the server answers', egress('/a'), '/a', 'answered', /client/, 1],
  [
    'denied at the client: 403, and nothing of it leaves',
    egress('/a'),
    '/b',
    'http-403',
    /matches no HTTP rule of .*client/,
    0,
  ],
  ['allowed at both sides: the server answers', egress('/a') + ingress('/a'), '/a', 'answered', /server/, 1],
  [
    'denied at the client, allowed at the server: 403',
    egress('/a') + ingress('/b'),
    '/b',
    'http-403',
    /rule of .*client/,
    0,
  ],
  [
    'allowed at the client, denied at the server: 403',
    egress('/a') + ingress('/b'),
    '/a',
    'http-403',
    /rule of .*server/,
    0,
  ],
  [
    'allowed at the client, dropped at the server: the proxy cannot connect, 503',
    egress('/a') + closed,
    '/a',
    'http-503',
    /itself/,
    0,
  ],
];
test.each(SCENARIOS)('%s', async (_name, policies, path, outcome, why, served) => {
  await setPolicies(cluster, policies);
  const { player, row, log } = await ask(path);
  expect(row).toMatchObject({ verdict: 'REDIRECTED', outcome, why: expect.stringMatching(why) });
  expect(player.reached.server > 0).toBe(served > 0);
  expect(log[0]).toMatchObject({
    isIngress: false,
    entryType: outcome === 'http-403' && /client/.test(why.source) ? 'Denied' : 'Request',
  });
  expect(
    log.map(
      ({ destinationIdentity }) => cluster.agent.endpoints.find((one) => one.identity === destinationIdentity)?.name,
    ),
  ).toEqual(log.map(() => 'server'));
});
