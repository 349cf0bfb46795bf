/** How many bytes does an entry cost, by structure and size? Baselines say what they take outside the shared memory. */
import { QUESTION } from '@ciliate/bpf';
import { Memory } from '@ciliate/maps';
import { Workshop } from './external.ts';
import { BASELINES, Field, isWanted } from './field.ts';
import { printTable } from './print.ts';
import { type BenchOptions, MAX_QUESTIONS, type QuestionResult } from './types.ts';
import { defaultSpec, generateEntries } from './workload.ts';

const SIZES = [16, 128, 1024, 16_384, 65_536];
const QUICK_SIZES = [128, 16_384];

export async function run(options: BenchOptions): Promise<QuestionResult> {
  using workshop = new Workshop();
  const result: QuestionResult = { results: [], ratios: [], skipped: [] };
  for (const size of options.entries ?? (options.quick ? QUICK_SIZES : SIZES)) {
    const memory = Memory.create();
    const field = new Field(memory, generateEntries(defaultSpec(size, options.seed)), options.engines);
    const ground = { memory, questions: memory.alloc(MAX_QUESTIONS * QUESTION.size), answers: memory.alloc(2048) };
    await field.subjects(ground, workshop, options.engines);
    const engines = field.engines.map(({ definition }) => definition.name);
    for (const engine of [...engines, ...BASELINES.filter((name) => isWanted(options.engines, name))]) {
      const bytesPerEntry = field.bytesPerEntry(engine);
      if (bytesPerEntry === null) continue;
      result.results.push({ question: 'memory', engine, entries: size, mode: 'built', bytesPerEntry });
    }
    result.skipped = field.skipped;
    await field.destroy();
  }
  printTable(options.say, 'memory: bytes of one entry', ['engine', 'entries', 'bytesPerEntry'], result.results);
  for (const { engine, reason } of result.skipped) options.say(`  ${engine} skipped: ${reason}`);
  return result;
}
