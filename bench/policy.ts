/**
 * How long does it take to compute a policy, and to bring it up to date when an identity comes or goes? On the input that
 * the real engine was timed with, beside its times; then over numbers of rules and identities.
 */
import { type MapStateKey, resolveSelectorPolicy } from '@ciliate/policy';
import { calibrate } from './calibrate.ts';
import { Workshop } from './external.ts';
import { generatedWorld, keyText, type PolicyWorld, type Recorded, recordedWorld, setUp } from './policy_world.ts';
import { printTable } from './print.ts';
import { median, percentile, round } from './stats.ts';
import type { BenchOptions, QuestionResult, Ratio, ResultRow } from './types.ts';

/** What is timed. */
const PARTS = [
  'first resolve',
  'resolve, selectors cached',
  'distill the map',
  'one identity more',
  'one identity more, map changes',
  'one identity less',
] as const;
type Part = (typeof PARTS)[number];
/** The same in the recording; it took no identity away. */
const RECORDED: Partial<Record<Part, keyof Recorded['times']>> = {
  'first resolve': 'firstResolve',
  'resolve, selectors cached': 'selectorPolicy',
  'distill the map': 'distill',
  'one identity more': 'incremental',
  'one identity more, map changes': 'incrementalChanging',
};

/** Rules and identities. */
const SIZES = [
  [100, 1000],
  [500, 5000],
  [1000, 10_000],
  [2500, 25_000],
  [5000, 50_000],
] as const;
const QUICK_SIZES = [SIZES[0], SIZES[2]] as const;
const ROUNDS = 21;
const QUICK_ROUNDS = 7;
const SCALED_ROUNDS = 3;
/** How often a round resolves again. */
const REPEATS = 5;

export async function run(options: BenchOptions): Promise<QuestionResult> {
  const { say, quick, seed } = options;
  using workshop = new Workshop();
  const { rows: calibration, skipped } = calibrate(workshop);
  printTable(say, 'calibration: a fixed loop of integer steps', ['engine', 'entries', 'ms'], calibration);
  const beside = besideRecorded(options);
  const scaled = (quick ? QUICK_SIZES : SIZES).map(([rules, count]) => scaledRow(rules, count, seed));
  printTable(
    say,
    'policy: ms over rules and identities; `changed`: entries that one identity more brings, on average',
    ['rules', 'identities', 'entries', 'first', 'cached', 'distill', 'more', 'less', 'changed'],
    scaled,
  );
  return { results: [...calibration, ...beside.rows, ...scaled], ratios: beside.ratios, skipped };
}

function besideRecorded({ say, quick }: BenchOptions): { rows: ResultRow[]; ratios: Ratio[] } {
  const { world, recorded } = recordedWorld();
  const { times, entries, agrees } = measure(world, quick ? QUICK_ROUNDS : ROUNDS, recorded);
  const harness = clockMs();
  const rows = PARTS.map((part) => {
    const key = RECORDED[part];
    const ms = inMs(times[part]);
    const theirs = key === undefined ? null : recorded.times[key];
    return {
      ...{ question: 'policy', engine: 'ciliate', entries, mode: part },
      ...{ ms, p99: round(percentile(times[part], 0.99), 4), samples: times[part].length, harness },
      ...{ recorded: theirs, ratio: theirs === null ? null : round(theirs / ms, 1), agrees },
    };
  });
  const size = `${world.policies.length} rules, ${world.identities.length} identities, ${entries} map entries`;
  printTable(
    say,
    `policy: ms for ${size}; recorded: the real engine, in another run`,
    ['mode', 'ms', 'p99', 'samples', 'harness', 'recorded', 'ratio', 'agrees'],
    rows,
  );
  const ratios = rows.flatMap(({ mode, ratio }) => {
    const name = `real engine's time / ours: ${mode}`;
    return ratio === null
      ? []
      : [{ name, entries, engine: 'ciliate', baseline: 'recorded', ratio, reach: '>= 1', reached: ratio >= 1 }];
  });
  return { rows, ratios };
}

/** Ours alone: what grows with what there is, and what only with what changes. */
function scaledRow(rules: number, identities: number, seed: number): ResultRow {
  const { times, entries, changed, agrees } = measure(generatedWorld(rules, identities, seed), SCALED_ROUNDS);
  return {
    ...{ question: 'policy-scale', engine: 'ciliate', entries, mode: 'generated', rules, identities },
    ...{ first: inMs(times['first resolve']), cached: inMs(times['resolve, selectors cached']) },
    ...{ distill: inMs(times['distill the map']), more: inMs(times['one identity more']) },
    ...{ less: inMs(times['one identity less']), changed: round(changed, 2), agrees },
  };
}

interface Measured {
  /** In ms. */
  readonly times: Record<Part, number[]>;
  readonly entries: number;
  /** By one identity more, on average. */
  readonly changed: number;
  readonly agrees: boolean;
}

/** @param recorded what the answers are held against, where they are known */
function measure(world: PolicyWorld, rounds: number, recorded?: Recorded): Measured {
  const times = Object.fromEntries(PARTS.map((part) => [part, []])) as unknown as Record<Part, number[]>;
  let [entries, changed, agrees] = [0, 0, true];
  for (let round = 0; round < rounds; round++) {
    const { repository, cache } = setUp(world);
    let start = performance.now();
    let rules = resolveSelectorPolicy(repository, world.subject, cache);
    times['first resolve'].push(performance.now() - start);
    let policy = rules.distill();
    for (let i = 0; i < REPEATS; i++) {
      repository.forget(world.subject.identity, cache); // `policy` still holds the selectors
      start = performance.now();
      rules = resolveSelectorPolicy(repository, world.subject, cache);
      times['resolve, selectors cached'].push(performance.now() - start);
      start = performance.now();
      const next = rules.distill();
      times['distill the map'].push(performance.now() - start);
      policy.release();
      policy = next;
    }
    entries = policy.mapState.size;
    if (recorded !== undefined)
      agrees &&= isSame(
        [...policy.mapState].map(({ key }) => key),
        recorded.mapState,
      );
    changed = 0;
    for (const [index, one] of world.added.entries()) {
      start = performance.now();
      const { adds } = policy.update(cache.updateIdentities([one], []));
      const ms = performance.now() - start;
      times['one identity more'].push(ms);
      if (adds.length > 0) times['one identity more, map changes'].push(ms);
      changed += adds.length / world.added.length;
      if (recorded !== undefined) agrees &&= isSame(adds, recorded.adds[index]!);
    }
    for (const [identity] of world.added) {
      start = performance.now();
      policy.update(cache.updateIdentities([], [identity]));
      times['one identity less'].push(performance.now() - start);
    }
    agrees &&= policy.mapState.size === entries;
  }
  return { times, entries, changed, agrees };
}

const isSame = (keys: readonly MapStateKey[], want: ReadonlySet<string>): boolean =>
  keys.length === want.size && keys.every((key) => want.has(keyText(key)));

const inMs = (times: readonly number[]): number => round(median(times), 4);

/** What reading the clock twice costs, in ms. */
function clockMs(): number {
  const count = 100_000;
  const start = performance.now();
  for (let i = 0; i < count; i++) performance.now();
  return round((performance.now() - start) / count, 6);
}
