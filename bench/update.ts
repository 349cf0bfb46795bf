/**
 * What does it cost to change a policy? Replacing, adding and deleting an entry, by engine. A read-only form is built
 * again for each change; its rows stand beside the others.
 */
import { ENGINES, type EngineEntry } from '@ciliate/bpf';
import { Memory } from '@ciliate/maps';
import { Bench } from 'tinybench';
import { isWanted } from './field.ts';
import { JsMap } from './js_map.ts';
import { printTable } from './print.ts';
import { round } from './stats.ts';
import type { BenchOptions, QuestionResult, ResultRow } from './types.ts';
import { defaultSpec, generateEntries } from './workload.ts';

const SIZES = [128, 1024, 16_384];
const QUICK_SIZES = [1024];
/** Changes in one timed call; one for forms that are built again. */
const BATCH = 64;

interface Changed {
  update(entry: EngineEntry): void;
  delete(key: EngineEntry): void;
}

export async function run(options: BenchOptions): Promise<QuestionResult> {
  const results: ResultRow[] = [];
  for (const size of options.entries ?? (options.quick ? QUICK_SIZES : SIZES)) {
    const memory = Memory.create();
    const all = generateEntries(defaultSpec(size + BATCH, options.seed));
    const [entries, fresh] = [all.slice(0, size), all.slice(size)];
    for (const definition of ENGINES.filter(({ name }) => isWanted(options.engines, name))) {
      const engine = definition.create(memory, entries, size + BATCH);
      const batch = definition.readOnly ? 1 : BATCH;
      const about = { engine: definition.name, profile: definition.profile, readOnly: definition.readOnly };
      results.push(...(await measure(about, engine, entries, fresh.slice(0, batch), options)));
      engine.destroy();
    }
    if (!isWanted(options.engines, 'js-map')) continue;
    const about = { engine: 'js-map', profile: '1.18', readOnly: false };
    results.push(...(await measure(about, new JsMap(memory, entries), entries, fresh, options)));
  }
  const columns = ['engine', 'profile', 'entries', 'mode', 'nsPerChange', 'p99', 'readOnly'];
  printTable(options.say, 'update: ns of one change (replace, add, delete)', columns, results);
  return { results, ratios: [], skipped: [] };
}

async function measure(
  about: { engine: string; profile: string; readOnly: boolean },
  changed: Changed,
  entries: readonly EngineEntry[],
  fresh: readonly EngineEntry[],
  options: BenchOptions,
): Promise<ResultRow[]> {
  let next = 0;
  const bench = new Bench({
    time: options.durationMs / 3,
    warmupTime: options.durationMs / 10,
    iterations: 5,
    warmupIterations: 2,
  });
  const add = (): void => {
    for (const entry of fresh) changed.update(entry);
  };
  const remove = (): void => {
    for (const entry of fresh) changed.delete(entry);
  };
  bench.add('replace', () => {
    for (let n = 0; n < fresh.length; n++) {
      next = (next + 1) % entries.length;
      changed.update(entries[next]!);
    }
  });
  bench.add('add', add, { afterEach: remove });
  bench.add('delete', remove, { beforeEach: add });
  await bench.run();
  return bench.tasks.map(({ name: mode, result }) => {
    if (result.state !== 'completed') throw new Error(`update: ${about.engine} ${mode} did not complete`);
    const ns = (ms: number): number => round((ms * 1e6) / fresh.length);
    const { p50, p99 } = result.latency;
    return { question: 'update', ...about, entries: entries.length, mode, nsPerChange: ns(p50), p99: ns(p99) };
  });
}
