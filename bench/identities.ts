/**
 * How many identities do agents take, each in a process of its own, in a durable store that they share? Every label set is new: lock,
 * master and slave key, unlock. The embedded store over gRPC beside real etcd, on the same disk with the same client.
 */
import { type ChildProcess, fork, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { etcdClient } from '@ciliate/kvstore';
import type { Taken } from './identities_agent.ts';
import { percentile, round } from './stats.ts';
import type { BenchOptions, QuestionResult, ResultRow } from './types.ts';

const AGENTS = [1, 4];
/** Calls at once in each agent. */
const CALLERS = 8;
const TURNS = 5;

interface Subject {
  engine: 'over gRPC' | 'etcd';
  endpoint: string;
  child: ChildProcess;
  directory: string;
}

export async function run(options: BenchOptions): Promise<QuestionResult> {
  const result: QuestionResult = { results: [], ratios: [], skipped: [] };
  const hasEtcd = spawnSync('etcd', ['--version']).status === 0;
  if (!hasEtcd) result.skipped.push({ engine: 'etcd', reason: 'etcd is not installed' });
  for (const agents of AGENTS) {
    const subjects = [await served(), ...(hasEtcd ? [await etcd()] : [])];
    try {
      const rows = await measure(agents, subjects, options);
      result.results.push(...rows);
      const [ours, baseline] = rows.map(({ perSecond }) => Number(perSecond));
      if (baseline !== undefined) {
        const names = { name: 'identities per second', entries: agents, engine: 'over gRPC', baseline: 'etcd' };
        result.ratios.push({ ...names, ratio: ours! / baseline, reach: null, reached: null });
      }
    } finally {
      for (const { child, directory } of subjects) {
        const gone = once(child, 'exit');
        child.kill();
        await gone;
        rmSync(directory, { recursive: true });
      }
    }
  }
  return result;
}

/** In turns, so that what else the machine does hits both; what counts is the median. The first turn warms up. */
async function measure(
  agents: number,
  subjects: readonly Subject[],
  { durationMs, say }: BenchOptions,
): Promise<ResultRow[]> {
  const measured = await Promise.all(
    subjects.map(async (subject) => ({
      ...{ engine: subject.engine, perSecond: [] as number[], times: [] as number[] },
      processes: await Promise.all(Array.from({ length: agents }, (_, i) => startAgent(subject, `10.0.0.${i + 1}`))),
    })),
  );
  for (let turn = -1; turn < TURNS; turn++) {
    for (const { perSecond, times, processes } of measured) {
      const taken = await Promise.all(processes.map((one) => take(one, durationMs / TURNS)));
      if (turn < 0) continue;
      perSecond.push(taken.reduce((sum, { count, tookMs }) => sum + (count * 1000) / tookMs, 0));
      for (const one of taken) times.push(...one.times);
    }
  }
  for (const { processes } of measured) for (const one of processes) one.disconnect();
  return measured.map(({ engine, perSecond, times }) => {
    const median = Math.round(percentile(perSecond, 0.5));
    const [p50Ms, p99Ms] = [0.5, 0.99].map((share) => round(percentile(times, share), 2)) as [number, number];
    say(
      `identities: ${engine.padEnd(10)} ${agents} agent${agents === 1 ? ' ' : 's'} ${String(median).padStart(6)} /s  ` +
        `p50 ${p50Ms} ms  p99 ${p99Ms} ms`,
    );
    return { question: 'identities', engine, entries: agents, mode: 'new', perSecond: median, p50Ms, p99Ms };
  });
}

async function startAgent({ endpoint }: Subject, node: string): Promise<ChildProcess> {
  const child = fork(join(import.meta.dirname, 'identities_agent.ts'), [endpoint, node, `${CALLERS}`]);
  await once(child, 'message');
  return child;
}

async function take(agent: ChildProcess, lastsMs: number): Promise<Taken> {
  const answered = once(agent, 'message');
  agent.send(lastsMs);
  return (await answered)[0] as Taken;
}

async function served(): Promise<Subject> {
  const directory = mkdtempSync(join(tmpdir(), 'ciliate-bench-'));
  const program = join(import.meta.dirname, '../packages/cli/src/main.ts');
  const endpoint = '127.0.0.1:23785';
  const args = [program, 'kvstore', 'serve', '--listen', endpoint, '--data-dir', directory];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return { engine: 'over gRPC', endpoint, child, directory };
}

async function etcd(): Promise<Subject> {
  const directory = mkdtempSync(join(tmpdir(), 'ciliate-bench-'));
  const [endpoint, peer] = ['http://127.0.0.1:23786', 'http://127.0.0.1:23787'];
  const flags = ['--name', 'bench', '--data-dir', directory, '--initial-cluster', `bench=${peer}`];
  const peers = ['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer];
  const clients = ['--listen-client-urls', endpoint, '--advertise-client-urls', endpoint];
  const child = spawn('etcd', [...flags, ...peers, ...clients], { stdio: 'ignore' });
  const probe = etcdClient({ endpoints: [endpoint], timeoutMs: 20_000 });
  await probe.put('ready', '');
  await probe.close();
  return { engine: 'etcd', endpoint, child, directory };
}
