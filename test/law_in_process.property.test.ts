import { Agent } from '@ciliate/agent';
import { decodeObjects, ObjectStore } from '@ciliate/k8s';
import fc from 'fast-check';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Cluster, setPolicies, watchConnection } from './cluster.ts';
import { type Asked, clusterYaml, type Law, lawOf, policyOf, SERVER, scenario, tellProxy } from './law.ts';
import { Counts, checkLog } from './law_log.ts';

/** Denials in process: drops by each code, 403, reset, and audit mode, each exactly when the policy says, and never mixed. */
const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

const clusters = new Map<boolean, Cluster>();
beforeAll(async () => {
  for (const policyAuditMode of [false, true]) {
    const store = new ObjectStore();
    for (const object of decodeObjects(clusterYaml(), 'cluster.yaml')) store.apply(object);
    const agent = await Agent.start({ store, seed, log: pino({ level: 'silent' }), policyAuditMode });
    clusters.set(policyAuditMode, { store, agent });
  }
});
afterAll(() => Promise.all([...clusters.values()].map(({ agent }) => agent.stop())));

const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nlanded';
const text = new TextEncoder();
const RUNS = 400;

test('each denial happens exactly when the rules say, the client sees what it must, and the log tells why', async () => {
  const counts = new Counts();
  await fc.assert(
    fc.asyncProperty(scenario, async (given) => {
      const cluster = clusters.get(given.audit)!;
      await setPolicies(cluster, policyOf(given.rules));
      await tellProxy(cluster.agent, cluster.agent.proxy, given.unheard);
      for (const asked of given.asked) {
        const law = lawOf(given, asked);
        counts.add(law, given.audit);
        await checkOne(cluster, given.audit, asked, law);
      }
    }),
    { seed, numRuns: RUNS },
  );
  console.log(`${counts}`);
  expect([...new Set([...counts.names, ...RARE])].sort()).toEqual(OUTCOMES);
}, 600_000);

/** Some hundreds of scenarios may lack these: a rule that asks for authentication, audit mode, and what L7 rules then say. */
const RARE = ['189 audited, 403', '189 audited, reset'];
/** All that can be. */
const OUTCOMES = [
  ...['0 audited, 403', '0 audited, answer', '0 audited, reset', '0, 403', '0, answer', '0, reset'],
  ...['133 audited, answer', '133, time-out', '181 audited, answer', '181, time-out'],
  ...['189 audited, 403', '189 audited, answer', '189 audited, reset', '189, time-out'],
];

async function checkOne(cluster: Cluster, audit: boolean, asked: Asked, law: Law): Promise<void> {
  const { agent } = cluster;
  const server = agent.endpointOfPod(SERVER)!;
  const { player, log } = await watchConnection(cluster, {
    client: agent.endpointOfPod(asked.client.name)!,
    server: { address: server.address, port: 80 },
    answering: { pod: server, port: 80 },
    transport: 'TCP',
    request: text.encode(`${asked.method} ${asked.target} HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n`),
    response: text.encode(ANSWER),
  });
  const statuses = { 'time-out': [], 403: ['HTTP/1.1 403'], answer: ['HTTP/1.1 200'], reset: [] };
  const seen = new TextDecoder().decode(player.atClient.bytes);
  expect(seen.match(/HTTP\/1\.1 \d+/g) ?? []).toEqual(statuses[law.sees]);
  expect(player.wasReset).toBe(law.sees === 'reset');
  expect(player.reached.server > 0).toBe(law.sees === 'answer');
  expect(player.drop?.code).toBe(audit || law.code === 0 ? undefined : law.code);
  if (law.sees === 'time-out') expect(player.atClient.isn).toBeUndefined(); // not even a SYN-ACK
  checkLog(log, law, audit);
}
