import { decodeObjects } from '@ciliate/k8s';
import type { LiveCluster } from '@ciliate/live';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { askDns } from './dns.ts';
import { Counts } from './law_log.ts';
import { type Asked, lawOf, logOf, type NameLaw, NamesOf, namesYaml, scenario, wantedLog } from './law_names.ts';
import { startLive } from './live.ts';
import { PodSocket, toldOf } from './socks.ts';

/** The law of names with real sockets: native questions, connections through SOCKS. */
const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

const RUNS = 60;
const SCENARIOS = Array.from({ length: RUNS }, (_, number) => new NamesOf(number));
const clusters = new Map<boolean, LiveCluster>();
beforeAll(async () => {
  const world = SCENARIOS.flatMap((names) => names.world);
  for (const policyAuditMode of [false, true])
    clusters.set(policyAuditMode, await startLive([], namesYaml(), { seed, policyAuditMode, world }));
});
afterAll(() => Promise.all([...clusters.values()].map((cluster) => cluster.stop())));

let scenarios = 0;

test('questions and connections to names go as the rules say, and the log tells why', async () => {
  const counts = new Counts();
  await fc.assert(
    fc.asyncProperty(scenario, async (given) => {
      const cluster = clusters.get(given.audit)!;
      const names = SCENARIOS[scenarios++]!;
      await cluster.apply(decodeObjects(names.policy(given), 'policy.yaml'));
      const learnt = new Set<Asked['kind']>();
      for (const asked of given.asked) {
        const law = lawOf(given, asked, learnt);
        counts.add({ ...law, sees: `${asked.what}: ${law.sees}` }, given.audit);
        await checkOne(cluster, given.audit, names, asked, law);
      }
    }),
    { seed, numRuns: RUNS, endOnFailure: true }, // names are used once
  );
  console.log(`${counts}`);
}, 600_000);

async function checkOne(
  cluster: LiveCluster,
  audit: boolean,
  names: NamesOf,
  { client, kind, what }: Asked,
  law: NameLaw,
): Promise<void> {
  const before = cluster.flows.count;
  const dropped = toldOf(cluster, before, new RegExp(`${client.name}:.* DROPPED \\((UDP|TCP Flags: SYN)\\)`));
  if (what === 'question') {
    const answer = await Promise.race([askDns(cluster, client.name, names.name(kind)), dropped]);
    if (law.sees === 'time-out') expect(answer).toContain('DROPPED');
    else if (law.sees === 'REFUSED') expect(answer).toMatchObject({ rcode: 'REFUSED', answers: [] });
    else expect(answer).toMatchObject({ rcode: 'NOERROR', answers: [{ data: names.address(kind) }] });
  } else {
    const socket = new PodSocket(cluster, client.name, names.address(kind), 80);
    await Promise.race([socket.until('connected'), dropped]);
    expect(socket.connected).toBe(law.sees === 'answer');
    socket.close();
  }
  expect(logOf(cluster.flows.since(before), law, audit)).toEqual(wantedLog(law, audit));
}
