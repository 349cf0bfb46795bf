import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { styleText } from 'node:util';
import type { Agent } from '@ciliate/agent';
import { loadObjects, type ObjectStore } from '@ciliate/k8s';
import { measureThroughput, type Outcome, type Row, type TracePacket } from '@ciliate/replay';
import { Command } from 'commander';
import { loadStore, natural, type RunOptions, startAgent, toJson, withRunOptions } from '../options.ts';
import { Progress } from '../progress.ts';
import { heading, renderIdentities, renderPolicyMap, renderRows, renderThroughput } from '../render.ts';
import { readTrace, replayJson, replayWithProgress } from './replay.ts';

interface DemoOptions extends RunOptions {
  duration: number;
}

/** One round of the demo: a policy set, and what must become of each row under it. */
interface Round {
  name: string;
  title: string;
  policy: string | undefined;
  expected: (row: Row) => Outcome;
}

const DEATHSTAR = 'default/deathstar';
const isToDeathstar = ({ destination }: Row): boolean => destination.startsWith(DEATHSTAR);
const isXwing = ({ source }: Row): boolean => source === 'default/xwing';

const ROUNDS: readonly Round[] = [
  { name: 'none', title: 'Without policy: everybody is answered', policy: undefined, expected: () => 'answered' },
  {
    name: 'l4',
    title: 'L3/L4 policy: org=empire may reach port 80/TCP',
    policy: 'policies/l4.yaml',
    expected: (row) => (isToDeathstar(row) && isXwing(row) ? 'dropped' : 'answered'),
  },
  {
    name: 'l7',
    title: 'L7 policy: that, and only POST /v1/request-landing',
    policy: 'policies/l7.yaml',
    expected: (row) => {
      if (!isToDeathstar(row)) return 'answered';
      if (isXwing(row)) return 'dropped';
      return row.asked === 'POST /v1/request-landing' ? 'answered' : 'http-403';
    },
  },
];

/** As seen from the working directory, because it is shown. */
const FOLDER = relative('', fileURLToPath(new URL('../../../../examples/deathstar', import.meta.url))) || '.';
const CAPTURE = join(FOLDER, 'deathstar.pcapng');

export function demoCommand(): Command {
  return withRunOptions(new Command('demo'))
    .description('the Death Star: one recorded capture, replayed under three policies')
    .option('--duration <milliseconds>', 'of each throughput measurement', natural, 1000)
    .action(async (options: DemoOptions) => {
      const store = loadStore([FOLDER]);
      const agent = await startAgent(store, options);
      try {
        const unexpected = await demo(agent, store, options);
        if (unexpected > 0) process.exitCode = 1;
      } finally {
        await agent.stop();
      }
    });
}

/** @returns how many rows did not end as they must */
async function demo(agent: Agent, store: ObjectStore, { json, duration }: DemoOptions): Promise<number> {
  const print = (text: string): void => void (json || process.stdout.write(text));
  const packets = readTrace(CAPTURE);
  print(heading(`Identities of ${agent.endpoints.length} pods`));
  print(renderIdentities(agent));
  const sets: object[] = [];
  let unexpected = 0;
  for (const round of ROUNDS) {
    const { result, wrong } = await playRound(agent, store, packets, round);
    unexpected += wrong.length;
    const deathstar = agent.endpointOfPod('default/deathstar-1')!;
    print(heading(round.title));
    print(`\nPolicy map of default/deathstar-1 (endpoint ${deathstar.id}):\n${renderPolicyMap(agent, deathstar)}`);
    print(`\n${renderRows(result.rows)}`);
    for (const row of wrong)
      print(
        styleText('red', `NOT AS EXPECTED: ${row.source} ${row.asked}: ${row.outcome}, not ${round.expected(row)}\n`),
      );
    sets.push({ policy: round.name, policyMap: deathstar.policyMap.entries(), ...replayJson(agent, result) });
  }
  const progress = new Progress();
  progress.show('measuring policy lookups');
  const throughput = await measureThroughput(agent, packets, { durationMs: duration });
  progress.clear();
  print(heading('Policy lookups on the keys of this capture'));
  print(renderThroughput(throughput));
  const ok = unexpected === 0;
  print(`\n${ok ? 'Every verdict is the expected one.' : `${unexpected} verdicts are not the expected ones.`}\n`);
  if (json) process.stdout.write(`${toJson({ ok, identities: identitiesJson(agent), sets, throughput })}\n`);
  return unexpected;
}

/** Puts the policy of the round into force in place of the one before, and replays the capture. */
async function playRound(agent: Agent, store: ObjectStore, packets: TracePacket[], { policy, expected }: Round) {
  for (const { kind, metadata } of store.list('CiliumNetworkPolicy'))
    store.delete({ kind, namespace: metadata.namespace, name: metadata.name });
  if (policy !== undefined) for (const object of loadObjects([join(FOLDER, policy)])) store.apply(object);
  await agent.settled();
  agent.flushConntrack();
  const result = await replayWithProgress(agent, packets);
  return { result, wrong: result.rows.filter((row) => row.outcome !== expected(row)) };
}

const identitiesJson = (agent: Agent): object[] =>
  agent.endpoints.map(({ id, namespace, name, identity, labels }) => ({
    endpoint: id,
    pod: `${namespace}/${name}`,
    identity,
    labels: labels.toStrings(),
  }));
