import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeObjects } from '@ciliate/k8s';
import type { LiveCluster } from '@ciliate/live';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Asked, clusterYaml, type Law, lawOf, policyOf, scenario, tellProxy } from './law.ts';
import { Counts, checkLog } from './law_log.ts';
import { ROOT, startLive } from './live.ts';
import { PodSocket, toldOf } from './socks.ts';

/** The same law with real sockets: a client through SOCKS, a real server, and what Hubble tells of it. */
const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

const GOT = join(mkdtempSync(join(tmpdir(), 'ciliate-')), 'got');
const COMMAND = `GOT=${GOT} exec ${process.execPath} ${ROOT}test/fixtures/counting_server.ts`;

const clusters = new Map<boolean, LiveCluster>();
beforeAll(async () => {
  writeFileSync(GOT, '');
  for (const policyAuditMode of [false, true])
    clusters.set(
      policyAuditMode,
      await startLive([], clusterYaml(`ciliate.io/server: command, ciliate.io/command: ${COMMAND}`), {
        seed,
        policyAuditMode,
      }),
    );
});
afterAll(() => Promise.all([...clusters.values()].map((cluster) => cluster.stop())));

test('each denial happens exactly when the rules say, is seen as it must be, and stands in the flow log', async () => {
  const counts = new Counts();
  await fc.assert(
    fc.asyncProperty(scenario, async (given) => {
      const cluster = clusters.get(given.audit)!;
      await cluster.delete([{ kind: 'CiliumNetworkPolicy', namespace: 'default', name: 'law' }]);
      if (given.rules.length > 0) await cluster.apply(decodeObjects(policyOf(given.rules), 'policy.yaml'));
      await tellProxy(cluster.agent, cluster.proxy, given.unheard);
      for (const asked of given.asked) {
        const law = lawOf(given, asked);
        counts.add(law, given.audit);
        await checkOne(cluster, given.audit, asked, law);
      }
    }),
    { seed, numRuns: 60 },
  );
  console.log(`${counts}`);
}, 600_000);

/** The last word that the log has of a request. */
const LAST = { 'time-out': / DROPPED \(TCP Flags: SYN\)/, 403: /http-response FORWARDED/, reset: /l7-request DROPPED/ };
const ENDS = { 'time-out': 'open', 403: 'closed', answer: 'closed', reset: 'reset' } as const;
let requests = 0;

async function checkOne(cluster: LiveCluster, audit: boolean, asked: Asked, law: Law): Promise<void> {
  const before = cluster.flows.count;
  const number = ++requests;
  const { client, method, target } = asked;
  const head = `host: a\r\nx-law: ${number}.\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`;
  const socket = new PodSocket(cluster, client.name, '10.0.0.100', 80).send(`${method} ${target} HTTP/1.1\r\n${head}`);
  if (law.sees === 'time-out') await Promise.race([socket.over(), toldOf(cluster, before, LAST['time-out'])]);
  else await socket.over();
  if (law.sees === '403' || law.sees === 'reset') await toldOf(cluster, before, LAST[law.sees]);
  if (law.sees === 'answer' && law.redirected) await toldOf(cluster, before, /http-response FORWARDED/);
  socket.close();
  const statuses = { 'time-out': [], 403: ['HTTP/1.1 403'], answer: ['HTTP/1.1 200'], reset: [] };
  expect(socket.received.match(/HTTP\/1\.1 \d+/g) ?? []).toEqual(statuses[law.sees]);
  if (law.sees !== 'time-out') expect(socket.ended).toBe(ENDS[law.sees]);
  else expect(socket.connected).toBe(false);
  expect(served(number)).toBe(law.sees === 'answer' ? 1 : 0);
  checkLog(cluster.flows.since(before), law, audit);
}

/** How often the server got this request, whole or not. */
const served = (number: number): number => readFileSync(GOT, 'latin1').split(`x-law: ${number}.`).length - 1;
