/**
 * How many writes and reads does the store answer, durable, beside real etcd? Both are processes of their own on the same
 * disk, driven by the same client (this project's, over gRPC) in turns of a fraction of a second, so that what else the
 * machine does hits both; what counts is the median of the turns. And the store in this process, without gRPC.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { percentile, round } from '../stats.ts';
import type { BenchOptions, QuestionResult, Ratio, ResultRow } from '../types.ts';
import { takeIdentities } from './identities.ts';
import { type Subject, startSubjects } from './subjects.ts';
import { fanOut, gets, leases, mirror, puts, type Task } from './tasks.ts';

const CLIENTS = [1, 16, 64];
const TURNS = 15;
/** Shorter turns would hold a few calls only. */
const LEAST_TURN_MS = 150;
/** Before anything counts: until the compilers have seen enough. etcd is compiled already. */
const WARM_UP_MS = 2000;
const WATCHERS = 100;
const AGENTS = [1, 4];
/** What is asked of the ratio to etcd over gRPC, by mode and count. */
const REACH: Record<string, number> = {
  ...{ 'put 1': 1, 'put 16': 1, 'put 64': 0.7, 'get 1': 0.5, 'get 16': 0.5, 'get 64': 0.5 },
  ...{ [`watch events ${WATCHERS}`]: 1, 'put by etcdctl 1': 1 },
};
const IN_PROCESS_REACH = 5;
const MOST_BYTES = 2 ** 30;

export async function run(options: BenchOptions): Promise<QuestionResult> {
  const result: QuestionResult = { results: [], ratios: [], skipped: [] };
  const hasEtcd = spawnSync('etcd', ['--version']).status === 0;
  if (!hasEtcd) result.skipped.push({ engine: 'etcd', reason: 'etcd is not installed' });
  const subjects = await startSubjects(hasEtcd);
  try {
    const tasks = CLIENTS.flatMap((clients) => [puts(clients), gets(clients)]);
    tasks.push(fanOut(WATCHERS), leases(options.quick ? 1000 : 10_000));
    const source = subjects.find(({ engine }) => engine === 'over gRPC')!.endpoint!;
    if (spawnSync('etcdctl', ['version']).status === 0) tasks.push(mirror(source));
    else result.skipped.push({ engine: 'etcdctl', reason: 'etcdctl is not installed' });
    const note = (rows: readonly ResultRow[]): void => {
      result.results.push(...rows);
      for (const row of rows) options.say(shown(row));
      result.ratios.push(...ratiosOf(rows));
    };
    for (const task of [puts(1), puts(16), gets(16)])
      for (const subject of subjects) await task.slice(subject, WARM_UP_MS);
    for (const task of tasks) note(await measure(task, subjects, options));
    for (const agents of AGENTS) note(await takeIdentities(agents, subjects, options));
  } finally {
    for (const subject of subjects) await subject.stop();
  }
  const { row, ratio } = filled(options.quick ? 100_000 : 1_000_000);
  result.results.push(row);
  result.ratios.push(ratio);
  return result;
}

async function measure(task: Task, all: readonly Subject[], { durationMs }: BenchOptions): Promise<ResultRow[]> {
  const subjects = all.filter(({ endpoint }) => endpoint !== undefined || !task.isRemote);
  const turns = new Map(subjects.map(({ engine }) => [engine, { perSecond: [] as number[], cpuUs: 0, done: 0 }]));
  const times = new Map(subjects.map(({ engine }) => [engine, [] as number[]]));
  for (const subject of subjects) await task.begin?.(subject);
  for (let turn = -1; turn < TURNS; turn++) {
    // Each begins in turn; the first turn warms up.
    for (let i = 0; i < subjects.length; i++) {
      const subject = subjects[(i + turn + 1) % subjects.length]!;
      const before = subject.cpuUs();
      const slice = await task.slice(subject, Math.max(LEAST_TURN_MS, durationMs / TURNS));
      if (turn < 0) continue;
      const sums = turns.get(subject.engine)!;
      sums.perSecond.push((slice.done * 1000) / slice.tookMs);
      sums.cpuUs += subject.cpuUs() - before;
      sums.done += slice.done;
      for (const time of slice.times) times.get(subject.engine)!.push(time);
    }
  }
  for (const subject of subjects) await task.end?.(subject);
  return subjects.map(({ engine }) => {
    const { perSecond, cpuUs, done } = turns.get(engine)!;
    const took = times.get(engine)!;
    return {
      ...{ question: 'kvstore', engine, entries: task.count, mode: task.mode },
      perSecond: Math.round(percentile(perSecond, 0.5)),
      // On a busy machine the fastest tenth is what the others leave alone.
      p10Ms: took.length === 0 ? null : round(percentile(took, 0.1), 3),
      p50Ms: took.length === 0 ? null : round(percentile(took, 0.5), 3),
      p99Ms: took.length === 0 ? null : round(percentile(took, 0.99), 3),
      // In this process the driver's own is in it.
      cpuUs: engine === 'in process' ? null : round(cpuUs / done, 1),
    };
  });
}

function shown({ engine, mode, entries, perSecond, p10Ms, p50Ms, p99Ms, cpuUs }: ResultRow): string {
  const latency = p50Ms === null ? '' : `  p10 ${p10Ms} ms  p50 ${p50Ms} ms  p99 ${p99Ms} ms`;
  const cpu = cpuUs === null ? '' : `  ${cpuUs} µs of processor time each`;
  const what = `${mode} x${entries}`.padEnd(20);
  return `kvstore: ${engine.padEnd(11)} ${what} ${String(perSecond).padStart(8)} /s${latency}${cpu}`;
}

function ratiosOf(rows: readonly ResultRow[]): Ratio[] {
  const baseline = rows.find((row) => row.engine === 'etcd');
  if (baseline === undefined) return [];
  return rows
    .filter((row) => row !== baseline)
    .map(({ engine, mode, entries, perSecond }) => {
      const ratio = Number(perSecond) / Number(baseline.perSecond);
      // Durable puts in the process wait for the same disk: the reach in the process is about reads.
      const inProcess = mode === 'get' ? IN_PROCESS_REACH : mode === 'put' ? 1 : undefined;
      const reach = engine === 'in process' ? inProcess : REACH[`${mode} ${entries}`];
      const asked =
        reach === undefined ? { reach: null, reached: null } : { reach: `>= ${reach}`, reached: ratio >= reach };
      return { name: `kvstore ${mode}, per second`, entries, engine, baseline: 'etcd', ratio, ...asked };
    });
}

/** The memory of a process that holds so many keys with values of 100 bytes. */
function filled(keys: number): { row: ResultRow; ratio: Ratio } {
  const program = new URL('fill.ts', import.meta.url).pathname;
  const bytes = Number(execFileSync(process.execPath, ['--expose-gc', program, String(keys)], { encoding: 'utf8' }));
  const row = { question: 'kvstore', engine: 'in process', entries: keys, mode: 'resident', bytes };
  const ratio = bytes / MOST_BYTES;
  const reach = { reach: '<= 1', reached: ratio <= 1 };
  return {
    row,
    ratio: {
      name: 'kvstore keys, resident bytes',
      entries: keys,
      engine: 'in process',
      baseline: '1 GiB',
      ratio,
      ...reach,
    },
  };
}
