/**
 * How many requests a second does the proxy pass, and deny, on real sockets? Beside it nginx with the same rule, a plain
 * proxy of `node:http`, and a byte pump that reads nothing: the most that Node can carry.
 */

import { printTable } from './print.ts';
import { has, type LoadResult, Machine } from './proxy/machine.ts';
import { median, round } from './stats.ts';
import type { BenchOptions, QuestionResult, Ratio, ResultRow, Skipped } from './types.ts';

const CONNECTIONS = 32;
const ROUNDS = 5;
const QUICK_ROUNDS = 3;
/** Before any counts: until the compiler has seen enough. */
const WARM_UP_ROUNDS = 3;
const SUBJECTS = ['byte-pump', 'nginx', 'node-http', 'ciliate', 'ciliate-no-log', 'ciliate-2-workers'] as const;
type SubjectName = (typeof SUBJECTS)[number];
/** With what a request before it was answered, and the processor time of the proxy's whole process, where that can be known. */
type Run = LoadResult & { readonly status: number; readonly cpuUs: number | undefined };

const CASES = [
  { mode: 'allowed', method: 'GET', status: 200 },
  { mode: 'denied', method: 'PUT', status: 403 },
] as const;

export async function run(options: BenchOptions): Promise<QuestionResult> {
  const missing = has('cc') ? !has('wrk') && 'no wrk to drive it' : 'no C compiler for its server';
  if (missing) return { results: [], ratios: [], skipped: [{ engine: 'proxy', reason: missing }] };
  const skipped: Skipped[] = has('nginx') ? [] : [{ engine: 'nginx', reason: 'not installed' }];
  const names = SUBJECTS.filter((name) => name !== 'nginx' || skipped.length === 0);
  await using machine = new Machine();
  const backend = await machine.backend();
  const ports = new Map<SubjectName, number>();
  for (const name of names) ports.set(name, await portOf(machine, name, backend));

  const taken = new Map<string, Run[]>();
  const rounds = options.quick ? QUICK_ROUNDS : ROUNDS;
  const seconds = Math.max(1, Math.round(options.durationMs / 1000));
  for (let n = 0; n < WARM_UP_ROUNDS + rounds; n++) {
    for (let i = 0; i < names.length; i++) {
      const name = names[(i + n) % names.length]!;
      for (const { mode, method } of CASES.slice(0, name === 'byte-pump' ? 1 : 2)) {
        const port = ports.get(name)!;
        const status = await machine.status(port, method, '/v1/x');
        const before = machine.cpuUs(port);
        const load = await machine.load(port, CONNECTIONS, seconds, method, '/v1/x');
        const cpuUs = before === undefined ? undefined : machine.cpuUs(port)! - before;
        const result = { ...load, status, cpuUs };
        if (n >= WARM_UP_ROUNDS) taken.set(`${name} ${mode}`, [...(taken.get(`${name} ${mode}`) ?? []), result]);
      }
    }
  }
  const results = names.flatMap((name) =>
    CASES.flatMap(({ mode, status }) => {
      const runs = taken.get(`${name} ${mode}`);
      return runs === undefined ? [] : [rowOf(name, mode, status, runs)];
    }),
  );
  const floor = Number(results[0]!.p50Us);
  for (const row of results) row.addedP50Us = row.mode === 'allowed' ? round(Number(row.p50Us) - floor, 0) : null;
  const columns = ['engine', 'mode', 'requestsPerSecond', 'p50Us', 'p99Us', 'addedP50Us', 'cpuUsPerRequest', 'agrees'];
  printTable(
    options.say,
    `proxy: requests a second, ${CONNECTIONS} connections, one request at a time on each`,
    columns,
    results,
  );
  for (const { engine, reason } of skipped) options.say(`  ${engine} skipped: ${reason}`);
  return { results, ratios: ratiosOf(results), skipped };
}

function portOf(machine: Machine, name: SubjectName, backend: number): Promise<number> {
  if (name === 'nginx') return machine.nginx(backend);
  if (name === 'ciliate-2-workers') return machine.proxy('ciliate', backend, 2);
  return machine.proxy(name, backend, 1);
}

function rowOf(engine: string, mode: string, status: number, runs: readonly Run[]): ResultRow {
  const rates = runs.map(({ requests, microseconds }) => (requests * 1e6) / microseconds);
  return {
    ...{ question: 'proxy', engine, entries: CONNECTIONS, mode, requestsPerSecond: round(median(rates), 0) },
    ...{ p50Us: median(runs.map(({ p50Us }) => p50Us)), p99Us: median(runs.map(({ p99Us }) => p99Us)) },
    cpuUsPerRequest: cpuOf(runs),
    agrees: runs.every(
      (one) => one.status === status && one.failed === (status < 400 ? 0 : one.requests) && one.errors === 0,
    ),
  };
}

/** All runs together: the system counts in steps of 10 ms. */
function cpuOf(runs: readonly Run[]): number | null {
  const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
  const times = runs.flatMap(({ cpuUs }) => cpuUs ?? []);
  return times.length === 0 ? null : round(sum(times) / sum(runs.map(({ requests }) => requests)), 1);
}

/** What is asked of the ratio, if anything. */
const ASKED: readonly (readonly [baseline: SubjectName, mode: string, reach: number | undefined])[] = [
  ['node-http', 'allowed', 2],
  ['byte-pump', 'allowed', 0.8],
  ['nginx', 'allowed', undefined],
  ['node-http', 'denied', undefined],
  ['nginx', 'denied', undefined],
];

/** With the access log, which none of the others writes, and without. */
const OURS: readonly SubjectName[] = ['ciliate', 'ciliate-no-log'];

function ratiosOf(results: readonly ResultRow[]): Ratio[] {
  const rate = (name: string, mode: string): number =>
    Number(results.find((row) => row.engine === name && row.mode === mode)?.requestsPerSecond);
  const pairs = ASKED.flatMap((asked) => OURS.map((engine) => [engine, ...asked] as const));
  return pairs.flatMap(([engine, baseline, mode, reach]) => {
    const ratio = round(rate(engine, mode) / rate(baseline, mode), 2);
    if (Number.isNaN(ratio)) return [];
    const asked =
      reach === undefined ? { reach: null, reached: null } : { reach: `>= ${reach}`, reached: ratio >= reach };
    const name = `${mode} requests a second over ${baseline}`;
    return [{ name, entries: CONNECTIONS, engine, baseline, ratio, ...asked }];
  });
}
