import { compare } from './compare.ts';
import { Empty } from './empty.ts';
import { type External, Unavailable } from './external.ts';
import { isWanted } from './field.ts';
import { printTable } from './print.ts';
import { type Ground, localSubject, type Subject } from './subject.ts';
import { type BenchOptions, type LookupRow, MAX_QUESTIONS, type Skipped } from './types.ts';

export interface KernelSide {
  start: () => Promise<External>;
  /** Name of the baseline → program of bench/kernel/lookup.bpf.c. */
  variants: Record<string, string>;
  /** Name of the baseline → subject of ours that must give the same answers. */
  twins: Record<string, string>;
}

/** Times maps of ours and of the kernel that are asked one raw lookup a question, and compares all their answers. */
export async function rawRows(
  question: string,
  entries: number,
  ground: Ground,
  ours: readonly Subject[],
  kernel: KernelSide,
  options: BenchOptions,
): Promise<{ results: LookupRow[]; skipped: Skipped[] }> {
  const subjects = [await localSubject('empty', '', 'single', new Empty(ground.memory), ground), ...ours];
  const skipped: Skipped[] = [];
  const names = Object.keys(kernel.variants).filter((name) => isWanted(options.engines, name));
  let external: External | undefined;
  try {
    if (names.length > 0) external = await kernel.start();
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    for (const engine of names) skipped.push({ engine, reason: error.message });
  }
  if (external !== undefined) {
    subjects.push(external.subject('empty-kernel', 'empty', ''));
    for (const name of names) subjects.push(external.subject(name, kernel.variants[name]!, 'empty-kernel loop'));
  }
  const sums = new Map<string, number>();
  for (const subject of subjects) sums.set(subject.name, await subject.check(MAX_QUESTIONS));
  const timings = await compare(subjects, options.durationMs);
  await external?.stop();
  const results = timings.map(({ subject: { name, mode }, ...timing }) => {
    const twin = kernel.twins[name] ?? Object.entries(kernel.twins).find(([, one]) => one === name)?.[0];
    const other = twin === undefined ? undefined : sums.get(twin);
    const agrees = other === undefined ? null : other === sums.get(name)!;
    return { question, engine: name, entries, mode, ...timing, checksum: sums.get(name)!, agrees };
  });
  for (const { engine, reason } of skipped) options.say(`  ${engine} skipped: ${reason}`);
  const columns = ['engine', 'entries', 'mode', 'nsPerVerdict', 'mops', 'plusMinus', 'p50', 'p99', 'agrees'];
  printTable(options.say, `${question}: one lookup, ns (harness taken off; mops: M lookups/s)`, columns, results);
  return { results, skipped };
}
