/**
 * How many HTTP requests a second can the proxy's filter decide, over numbers of rules? Beside it what most would write:
 * a list of JavaScript regular expressions, tried one by one.
 */
import { availableParallelism } from 'node:os';
import { RequestHeaderMap } from '@ciliate/envoy';
import type { WorkerJob } from './http_rules_worker.ts';
import { type Decide, filterOf, REQUESTS, type Rule, requestsFor, rulesFor } from './http_rules_workload.ts';
import { printTable } from './print.ts';
import { timesOne } from './scaling.ts';
import { median, round } from './stats.ts';
import type { BenchOptions, QuestionResult, Ratio, ResultRow } from './types.ts';

const SIZES = [1, 10, 100, 1000];
const MIN_SLICES = 5;
/** A thousand times the rules may cost so many times the time of one; one by one it would be a thousand. */
const REACH = 30;
const WORKERS = 2;
const TIMES_ONE = 1.8;

export async function run(options: BenchOptions): Promise<QuestionResult> {
  const results = (options.entries ?? SIZES).flatMap((size) => compared(size, options));
  printTable(
    options.say,
    `http-rules: requests decided, by number of rules; ${REQUESTS} different ones, about half of them pass`,
    ['engine', 'entries', 'nsPerVerdict', 'mops', 'grossNs', 'harnessNs', 'hits', 'agrees'],
    results,
  );
  const ns = (entries: number): number =>
    Number(results.find((row) => row.engine === 'ciliate' && row.entries === entries)?.nsPerVerdict);
  const [few, many] = [Math.min(...SIZES), Math.max(...SIZES)];
  const ratio = round(ns(many) / ns(few), 2);
  const grows: Ratio = {
    ...{
      name: `${many} HTTP rules take times as long as ${few}`,
      entries: many,
      engine: 'ciliate',
      baseline: 'ciliate',
    },
    ...{ ratio, reach: `<= ${REACH}`, reached: ratio <= REACH },
  };
  const ratios = Number.isNaN(ratio) ? [] : [grows];
  if (availableParallelism() < WORKERS)
    return { results, ratios, skipped: [{ engine: 'ciliate, two workers', reason: 'needs two processors' }] };
  return { results, ratios: [...ratios, await twoWorkers(many, options)], skipped: [] };
}

/** Two threads decide, each with rules of its own: how many times as much as one? */
async function twoWorkers(size: number, { seed, durationMs, say }: BenchOptions): Promise<Ratio> {
  const jobs = Array.from({ length: WORKERS }, (_, n): WorkerJob => ({ size, seed: seed + n }));
  const script = new URL('./http_rules_worker.ts', import.meta.url);
  const { one, all, ratio, busy } = await timesOne(script, jobs, durationMs);
  say(
    `  ${size} rules: ${one} million requests a second by one worker, ${all} by two; others had ${busy} % of the processors`,
  );
  return {
    ...{ name: 'two workers give times one', entries: size, engine: 'ciliate', baseline: 'ciliate', ratio },
    ...{ reach: `>= ${TIMES_ONE}`, reached: ratio >= TIMES_ONE },
  };
}

function compared(size: number, { seed, durationMs }: BenchOptions): ResultRow[] {
  const rules = rulesFor(size);
  const subjects: [name: string, decide: Decide][] = [
    ['empty', readOnly],
    ['ciliate', filterOf(rules)],
    ['regexp-list', listOf(rules)],
  ];
  const requests = requestsFor(size, seed);
  const warmUp = requests.slice(0, REQUESTS / 4);
  const slices = new Map<string, number[]>(subjects.map(([name]) => [name, []]));
  const passed = new Map<string, number>();
  for (let began = performance.now(), n = 0; n < MIN_SLICES || performance.now() - began < 3 * durationMs; n++) {
    for (let i = 0; i < subjects.length; i++) {
      const [name, decide] = subjects[(i + n) % subjects.length]!;
      decide(warmUp);
      const start = performance.now();
      passed.set(name, decide(requests));
      slices.get(name)!.push(((performance.now() - start) * 1e6) / REQUESTS);
    }
  }
  const harnessNs = round(Math.min(...slices.get('empty')!), 1);
  return subjects.slice(1).map(([name]) => {
    const grossNs = median(slices.get(name)!);
    const nsPerVerdict = round(Math.max(0.1, grossNs - harnessNs), 1);
    return {
      ...{ question: 'http-rules', engine: name, entries: size, mode: 'single', nsPerVerdict },
      ...{ mops: round(1e3 / nsPerVerdict, 3), grossNs: round(grossNs, 1), harnessNs },
      ...{ hits: round(passed.get(name)! / REQUESTS, 2), agrees: passed.get(name) === passed.get('regexp-list') },
    };
  });
}

const readOnly: Decide = (requests) => {
  let count = 0;
  for (const request of requests) if (new RequestHeaderMap(request).get(':path')!.length > 0) count++;
  return count;
};

function listOf(rules: readonly Rule[]): Decide {
  const list = rules.map(({ method, path }) => [new RegExp(`^(?:${method})$`), new RegExp(`^(?:${path})$`)] as const);
  return (requests) => {
    let count = 0;
    for (const { method, path } of requests)
      if (list.some(([methods, paths]) => methods.test(method) && paths.test(path))) count++;
    return count;
  };
}
