import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { etcdClient, valueText } from '../../src/index.ts';
import type { CrashPoint } from '../support/crash_disk.ts';
import type { History } from './history.ts';
import type { Victim } from './victim.ts';
import { LEASED } from './violations.ts';
import { Workload } from './workload.ts';

const WRITERS = 6;

/**
 * Clients use a server while it is killed and started again.
 * @param kills where it kills itself; undefined: it is killed from outside, whatever it does
 */
export async function runHistory(
  victim: Victim,
  kills: readonly (CrashPoint | undefined)[],
  random: () => number,
): Promise<History> {
  const clients = Array.from({ length: 3 }, () => etcdClient({ endpoints: [victim.address], timeoutMs: 15_000 }));
  const workload = new Workload(random, { now: () => performance.now(), sleep });
  const start = (index: number): Promise<ChildProcess> => {
    const point = kills[index];
    const often = point?.startsWith('snapshot') || point?.startsWith('new') ? 3 : 40;
    return victim.start(point, 1 + Math.floor(random() * often));
  };
  let child = await start(0);
  const watching = [0, 1].map((i) => workload.watch(clients[i]!, i === 1));
  const working = [
    ...Array.from({ length: WRITERS }, (_, i) => workload.write(clients[i % clients.length]!)),
    ...clients.slice(0, 2).map((client) => workload.lease(client)),
    workload.compact(clients[0]!),
  ];
  const failed = Promise.all([...working, ...watching]).then(() => undefined as never);
  failed.catch(() => {});
  for (const [index, point] of kills.entries()) {
    const target = workload.acknowledged + 30 + Math.floor(random() * 60);
    if (point === undefined) {
      while (workload.acknowledged < target) await Promise.race([sleep(5), failed]);
      child.kill('SIGKILL');
    }
    while (isAlive(child)) await Promise.race([sleep(5), failed]);
    child = await start(index + 1);
  }
  workload.stop();
  await Promise.all(working);
  const store = clients[2]!;
  for (let tries = 0; tries < 400; tries++) {
    if ((await store.getPrefix(LEASED, { countOnly: true })).count === 0) break;
    await sleep(25);
  }
  await workload.end(store);
  const { revision, entries } = await store.getPrefix('');
  await Promise.all(watching);
  await Promise.all(clients.map((client) => client.close()));
  const dead = once(child, 'exit');
  child.kill('SIGKILL');
  await dead;
  const { recorder, watches, leases } = workload;
  const pairs = new Map(entries.map((entry) => [entry.key, valueText(entry)]));
  return { calls: recorder.calls, surprises: recorder.surprises, watches, leases, last: { revision, pairs } };
}

const isAlive = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode === null && signalCode === null;
