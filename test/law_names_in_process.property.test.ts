import { parseIp, udpDatagram } from '@ciliate/packet';
import { replayConversations, synthesize, type TracePacket } from '@ciliate/replay';
import { encode } from 'dns-packet';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { formatCompact } from '../packages/hubble/src/index.ts';
import { type Cluster, setPolicies, startCluster } from './cluster.ts';
import { Counts } from './law_log.ts';
import {
  type Asked,
  DNS_POD,
  lawOf,
  logOf,
  type NameLaw,
  NamesOf,
  namesYaml,
  scenario,
  wantedLog,
} from './law_names.ts';

/** The law of names in process: REFUSED, drops and what answers teach, each exactly when the policy says. */
const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

const clusters = new Map<boolean, Cluster>();
beforeAll(async () => {
  for (const policyAuditMode of [false, true])
    clusters.set(policyAuditMode, await startCluster(namesYaml(), seed, { policyAuditMode }));
});
afterAll(() => Promise.all([...clusters.values()].map(({ agent }) => agent.stop())));

let scenarios = 0;
const RUNS = 150;

test('questions and connections to names go as the rules say, and the log tells why', async () => {
  const counts = new Counts();
  await fc.assert(
    fc.asyncProperty(scenario, async (given) => {
      const cluster = clusters.get(given.audit)!;
      const names = new NamesOf(scenarios++);
      await setPolicies(cluster, names.policy(given));
      const learnt = new Set<Asked['kind']>();
      for (const asked of given.asked) {
        const law = lawOf(given, asked, learnt);
        counts.add({ ...law, sees: `${asked.what}: ${law.sees}` }, given.audit);
        await checkOne(cluster, given.audit, names, asked, law);
      }
    }),
    { seed, numRuns: RUNS },
  );
  console.log(`${counts}`);
  expect(counts.names).toEqual(OUTCOMES);
}, 600_000);

const outcomes = (kind: string): string[] => [
  ...[`0 audited, ${kind}: answer`, `0, ${kind}: answer`, `133 audited, ${kind}: answer`, `133, ${kind}: time-out`],
];
const OUTCOMES = [
  ...[...outcomes('question'), ...outcomes('connection'), '0 audited, question: REFUSED', '0, question: REFUSED'],
].sort();

async function checkOne({ agent }: Cluster, audit: boolean, names: NamesOf, asked: Asked, law: NameLaw): Promise<void> {
  agent.flushConntrack();
  const client = agent.endpointOfPod(asked.client.name)!;
  const server = { address: parseIp(names.address(asked.kind))!, port: 80 };
  const packets =
    asked.what === 'question'
      ? question(agent, names, asked)
      : synthesize({ client, server, answering: undefined, transport: 'TCP' });
  const { rows, flows } = await replayConversations(agent, packets);
  const answered = asked.what === 'question' ? 'answered' : 'forwarded';
  expect(rows.map(({ outcome, dropCode }) => [outcome, dropCode])).toEqual([
    law.sees === 'answer' ? [answered, undefined] : law.sees === 'REFUSED' ? ['refused', undefined] : ['dropped', 133],
  ]);
  expect(logOf(flows.map(formatCompact), law, audit)).toEqual(wantedLog(law, audit));
}

/** A question about the name, and the answer of the cluster's DNS to it. */
function question(agent: Cluster['agent'], names: NamesOf, { client, kind }: Asked): TracePacket[] {
  const [src, dst] = [agent.endpointOfPod(client.name)!.address, agent.endpointOfPod(DNS_POD)!.address];
  const name = names.name(kind);
  const questions = [{ type: 'A', name }] as const;
  const answers = [{ type: 'A', name, ttl: 3600, data: names.address(kind) }] as const;
  const asks = encode({ type: 'query', id: 7, questions: [...questions] });
  const tells = encode({ type: 'response', id: 7, questions: [...questions], answers: [...answers] });
  const frames = [
    { pod: client.name, data: udpDatagram({ src, srcPort: 40_000, dst, dstPort: 53, payload: asks }) },
    { pod: DNS_POD, data: udpDatagram({ src: dst, srcPort: 53, dst: src, dstPort: 40_000, payload: tells }) },
  ];
  return frames.map(({ pod, data }, index) => {
    const timestampNs = 1_000_000_000_000n + BigInt(index) * 1_000_000n;
    return { number: index + 1, timestampNs, data, interfaceName: `default/${pod}` };
  });
}
