import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { percentile, round } from '../stats.ts';
import type { BenchOptions, ResultRow } from '../types.ts';
import type { Taken } from './identities_agent.ts';
import type { Subject } from './subjects.ts';

/** Calls at once in each agent. */
const CALLERS = 8;
const TURNS = 5;

/**
 * Identities taken per second by agents, each a process of its own, on each of the stores. Every label set is new: lock, master and
 * slave key, unlock. In turns, so that what else the machine does hits all; what counts is the median. The first turn warms up.
 */
export async function takeIdentities(
  agents: number,
  all: readonly Subject[],
  { durationMs }: BenchOptions,
): Promise<ResultRow[]> {
  const measured = await Promise.all(
    all.flatMap(({ engine, endpoint }) =>
      endpoint === undefined ? [] : [startAgents(endpoint, agents).then((processes) => ({ engine, processes }))],
    ),
  );
  const sums = measured.map(() => ({ perSecond: [] as number[], times: [] as number[] }));
  for (let turn = -1; turn < TURNS; turn++) {
    for (const [i, { processes }] of measured.entries()) {
      const taken = await Promise.all(processes.map((one) => take(one, durationMs / TURNS)));
      if (turn < 0) continue;
      sums[i]!.perSecond.push(taken.reduce((sum, { count, tookMs }) => sum + (count * 1000) / tookMs, 0));
      for (const one of taken) sums[i]!.times.push(...one.times);
    }
  }
  for (const { processes } of measured) for (const one of processes) one.disconnect();
  return measured.map(({ engine }, i) => ({
    ...{ question: 'kvstore', engine, entries: agents, mode: 'identities by agents' },
    perSecond: Math.round(percentile(sums[i]!.perSecond, 0.5)),
    p10Ms: round(percentile(sums[i]!.times, 0.1), 3),
    p50Ms: round(percentile(sums[i]!.times, 0.5), 3),
    p99Ms: round(percentile(sums[i]!.times, 0.99), 3),
    // Of the store alone it would say little: most of the work is the agents'.
    cpuUs: null,
  }));
}

function startAgents(endpoint: string, count: number): Promise<ChildProcess[]> {
  const program = new URL('identities_agent.ts', import.meta.url).pathname;
  return Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const child = fork(program, [endpoint, `10.0.${count}.${i + 1}`, `${CALLERS}`]);
      await once(child, 'message');
      return child;
    }),
  );
}

async function take(agent: ChildProcess, lastsMs: number): Promise<Taken> {
  const answered = once(agent, 'message');
  agent.send(lastsMs);
  return (await answered)[0] as Taken;
}
