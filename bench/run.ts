/**
 * `npm run bench -- [question ...] [--quick] [--json] [--seed N]`: runs the benchmarks named, or all. One file a
 * question; each exports `run(options)`. Results depend on the machine: compare only within one run.
 */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { run as policyLookup } from './policy_lookup.ts';

export interface BenchOptions {
  quick: boolean;
  seed: number;
}

/** One row of a result; the numbers of a benchmark are in the order it prints them. */
export type BenchRow = Record<string, string | number>;

const QUESTIONS: Record<string, (options: BenchOptions) => Promise<BenchRow[]>> = { 'policy-lookup': policyLookup };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    seed: { type: 'string', default: '1' },
  },
});
const unknown = positionals.filter((name) => !(name in QUESTIONS));
if (unknown.length > 0 || !/^\d+$/.test(values.seed)) {
  const why = unknown.length > 0 ? `no benchmark ${unknown.join(', ')}` : `--seed ${values.seed}: want a number`;
  console.error(`${why}; there are: ${Object.keys(QUESTIONS).join(', ')}`);
  process.exit(2);
}
const options: BenchOptions = { quick: values.quick, seed: Number(values.seed) };
const machine = { node: process.version, cpu: cpus()[0]?.model ?? 'unknown', seed: options.seed };
const results: Record<string, BenchRow[]> = {};
for (const name of positionals.length > 0 ? positionals : Object.keys(QUESTIONS)) {
  results[name] = await QUESTIONS[name]!(options);
  if (values.json) continue;
  console.log(`\n${name}`);
  console.table(results[name]);
}
if (values.json) console.log(JSON.stringify({ ...machine, results }));
else console.log(`Node ${machine.node}, ${machine.cpu}, seed ${machine.seed}`);
