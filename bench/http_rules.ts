/**
 * How many HTTP requests a second can the proxy's filter decide, over numbers of rules? Beside it what most would write:
 * a list of JavaScript regular expressions, tried one by one.
 */
import {
  allowed,
  CompiledPolicy,
  HeaderLog,
  httpRulesToNpds,
  type PolicyRequest,
  RequestHeaderMap,
} from '@ciliate/envoy';
import { printTable } from './print.ts';
import { Random } from './random.ts';
import { median, round } from './stats.ts';
import type { BenchOptions, QuestionResult, Ratio, ResultRow } from './types.ts';

const SIZES = [1, 10, 100, 1000];
const REQUESTS = 4096;
const MIN_SLICES = 5;
const ASKED = { remoteIdentity: 1001, port: 80 };
/** A thousand times the rules may cost so many times the time of one; one by one it would be a thousand. */
const REACH = 30;

interface Rule {
  readonly method: string;
  readonly path: string;
}
/** @returns how many of the requests pass */
type Decide = (requests: readonly PolicyRequest[]) => number;

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
  return { results, ratios: Number.isNaN(ratio) ? [] : [grows], skipped: [] };
}

function compared(size: number, { seed, durationMs }: BenchOptions): ResultRow[] {
  const rules = Array.from({ length: size }, (_, index) => ruleOf(index));
  const subjects: [name: string, decide: Decide][] = [
    ['empty', readOnly],
    ['ciliate', filterOf(rules)],
    ['regexp-list', listOf(rules)],
  ];
  const requests = requestsFor(size, seed);
  const slices = new Map<string, number[]>(subjects.map(([name]) => [name, []]));
  const passed = new Map<string, number>();
  for (let began = performance.now(), n = 0; n < MIN_SLICES || performance.now() - began < 3 * durationMs; n++) {
    for (let i = 0; i < subjects.length; i++) {
      const [name, decide] = subjects[(i + n) % subjects.length]!;
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

/** A third of the rules name one path, a third a number in it, a third a whole tree. */
function ruleOf(index: number): Rule {
  const base = `/api/v1/service${index}`;
  const path = [`${base}/items`, `${base}/items/[0-9]+`, `${base}(/.*)?`][index % 3]!;
  return { method: index % 2 === 0 ? 'GET' : 'GET|POST', path };
}

function requestsFor(size: number, seed: number): PolicyRequest[] {
  const random = new Random(seed);
  return Array.from({ length: REQUESTS }, () => {
    const index = random.below(size);
    const path = `/api/v1/service${index}/items${index % 3 === 0 ? '' : `/${random.below(1e6)}`}`;
    const hit = random.below(2) === 0;
    return { method: 'GET', path: hit ? path : `${path}x?y=${random.below(1e6)}`, authority: 'deathstar' };
  });
}

const readOnly: Decide = (requests) => {
  let count = 0;
  for (const request of requests) if (new RequestHeaderMap(request).get(':path')!.length > 0) count++;
  return count;
};

function filterOf(rules: readonly Rule[]): Decide {
  const httpRules = httpRulesToNpds(rules)!;
  const policy = new CompiledPolicy({
    ...{ endpointIps: ['10.0.0.1'], endpointId: 1 },
    ingressPerPortPolicies: [{ port: ASKED.port, rules: [{ httpRules }] }],
  });
  const log = new HeaderLog();
  return (requests) => {
    let count = 0;
    for (const request of requests) if (allowed(policy, new RequestHeaderMap(request), log, ASKED).allowed) count++;
    return count;
  };
}

function listOf(rules: readonly Rule[]): Decide {
  const list = rules.map(({ method, path }) => [new RegExp(`^(?:${method})$`), new RegExp(`^(?:${path})$`)] as const);
  return (requests) => {
    let count = 0;
    for (const { method, path } of requests)
      if (list.some(([methods, paths]) => methods.test(method) && paths.test(path))) count++;
    return count;
  };
}
