/**
 * How long does a policy verdict take, by the number of entries in the policy map? Every engine, beside the kernel's own
 * maps, the same structure in C, and a plain JS Map, on the same entries and questions.
 */
import { type EngineEntry, QUESTION } from '@ciliate/bpf';
import { Memory } from '@ciliate/maps';
import { Agreements } from './agreement.ts';
import { readClassBench, saveClassBench } from './classbench_workload.ts';
import { compare, type Timing } from './compare.ts';
import { Workshop } from './external.ts';
import { Field } from './field.ts';
import { printRows } from './print.ts';
import { lookupRatios } from './ratios.ts';
import { Reference } from './reference.ts';
import { workerRatio } from './scaling.ts';
import { median, round } from './stats.ts';
import { type BenchOptions, type LookupRow, MAX_QUESTIONS, type QuestionResult, type Skipped } from './types.ts';
import { defaultSpec, generateEntries, generateQuestions, type WorkloadSpec } from './workload.ts';

const SIZES = [16, 128, 1024, 16_384, 65_536];

export async function run(options: BenchOptions): Promise<QuestionResult> {
  const rows: LookupRow[] = [];
  const skipped = new Map<string, Skipped>();
  using workshop = new Workshop();
  for (const entries of options.filters !== undefined ? [0] : (options.entries ?? SIZES)) {
    const one = await measure('lookup', defaultSpec(entries, options.seed), options, workshop);
    rows.push(...one.results);
    for (const baseline of one.skipped) skipped.set(baseline.engine, baseline);
  }
  const workers = await workerRatio(rows, options);
  const ratios = [...lookupRatios(rows), ...(workers === undefined ? [] : [workers])];
  return { results: rows, ratios, skipped: [...skipped.values()] };
}

/** One workload: builds the field, makes the questions, checks all answers, then times. */
export async function measure(
  question: string,
  spec: WorkloadSpec,
  options: BenchOptions,
  workshop: Workshop,
): Promise<{ results: LookupRow[]; skipped: Skipped[] }> {
  const memory = Memory.create();
  const fromFiles = options.filters === undefined ? undefined : readClassBench(options.filters, options.trace);
  const entries = fromFiles?.entries ?? generateEntries(spec);
  const field = new Field(memory, entries, options.engines);
  const reference = new Reference(entries);
  const questions = memory.alloc(MAX_QUESTIONS * QUESTION.size);
  const answers = memory.alloc(MAX_QUESTIONS * 8);
  const counts = fromFiles?.ask?.(memory, questions) ?? generateQuestions(memory, questions, spec, entries, reference);
  if (options.save !== undefined)
    saveClassBench(options.save, `${question}-${entries.length}`, memory, questions, entries);
  const subjects = await field.subjects({ memory, questions, answers }, workshop, options.engines);
  const agreements = new Agreements(memory, questions, entries, reference);
  const memoising = new Set(field.engines.flatMap(({ definition: { name, memoises } }) => (memoises ? [name] : [])));
  const check = (memoises: boolean) =>
    inTurn(
      subjects.filter(({ name }) => memoising.has(name) === memoises),
      async (subject) => [subject, await agreements.check(subject, options.quick ? 80 : 400)] as const,
    );
  const agreed = new Map(await check(false));
  const timings = await compare(subjects, options.durationMs);
  // Asked earlier, they would know all answers when they are timed.
  for (const [subject, agreement] of await check(true)) agreed.set(subject, agreement);
  const shape = {
    mix: fromFiles === undefined ? spec.mix : 'classbench',
    skew: fromFiles === undefined ? spec.skew : 'trace',
    identities: new Set(entries.map(({ identity }) => identity)).size,
    distinctKeys: counts.distinctKeys,
    hits: round(counts.hits, 3),
  };
  const updates = updateCosts(field, entries);
  const results = timings.map((timing) =>
    row(question, timing, entries.length, {
      ...shape,
      ...agreed.get(timing.subject)!,
      bytesPerEntry: field.bytesPerEntry(timing.subject.name),
      memoises: memoising.has(timing.subject.name),
      hitRatio: timing.subject.hitRatio(),
      updateNs: updates.get(timing.subject.name) ?? null,
    }),
  );
  agreements.destroy();
  await field.destroy();
  printRows(options.say, results, field.skipped);
  return { results, skipped: field.skipped };
}

function row(
  question: string,
  { subject, ...timing }: Timing,
  entries: number,
  rest: Record<string, string | number | boolean | null>,
): LookupRow {
  const { name: engine, mode, profile } = subject;
  return { question, engine, profile, entries, mode, ...timing, ...rest };
}

/** What one update of a read-only form costs: it is built again. */
function updateCosts(field: Field, entries: readonly EngineEntry[]): Map<string, number> {
  const costs = new Map<string, number>();
  for (const { definition, engine } of field.engines.filter((e) => e.definition.readOnly)) {
    const times = entries.slice(0, 3).map((entry) => {
      const begin = performance.now();
      engine.update(entry);
      return (performance.now() - begin) * 1e6;
    });
    costs.set(definition.name, Math.round(median(times)));
  }
  return costs;
}

async function inTurn<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const item of items) results.push(await work(item));
  return results;
}
