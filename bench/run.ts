/**
 * `npm run bench -- [question ...] [options]`: runs the questions named, or all. One file a question; each exports
 * `run(options)`. Results depend on the machine: compare only within one run. See bench/README.md.
 */
import { existsSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { run as bytecode } from './bytecode.ts';
import { run as datapath } from './datapath.ts';
import { checkNames } from './field.ts';
import { run as httpRules } from './http_rules.ts';
import { run as ipcache } from './ipcache.ts';
import { run as kvstore } from './kvstore/run.ts';
import { run as lookup } from './lookup.ts';
import { run as mapLookup } from './map_lookup.ts';
import { run as memory } from './memory.ts';
import { run as policy } from './policy.ts';
import { printRatios } from './print.ts';
import { run as proxy } from './proxy.ts';
import { writeReport } from './report.ts';
import { run as scaling } from './scaling.ts';
import { run as shapes } from './shapes.ts';
import type { BenchOptions, QuestionResult } from './types.ts';
import { run as update } from './update.ts';

const QUESTIONS: Record<string, (options: BenchOptions) => Promise<QuestionResult>> = {
  lookup,
  shapes,
  'map-lookup': mapLookup,
  update,
  memory,
  scaling,
  ipcache,
  datapath,
  policy,
  'http-rules': httpRules,
  kvstore,
  proxy,
  bytecode,
};
const DURATION_MS = 1000;
const QUICK_DURATION_MS = 100;

class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly code = 'BAD_INPUT';
}

function parse(args: string[]): { options: BenchOptions; questions: string[]; json: boolean } {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      engine: { type: 'string' },
      entries: { type: 'string' },
      seed: { type: 'string', default: '1' },
      duration: { type: 'string' },
      filters: { type: 'string' },
      trace: { type: 'string' },
      save: { type: 'string' },
      object: { type: 'string' },
      objects: { type: 'string' },
    },
  });
  const unknown = positionals.filter((name) => !(name in QUESTIONS));
  if (unknown.length > 0)
    throw new UsageError(`no question ${unknown.join(', ')}; there are: ${Object.keys(QUESTIONS).join(', ')}`);
  const { json, quick, filters, trace, save, object, objects } = values;
  if (object !== undefined && !existsSync(object)) throw new UsageError(`--object ${object}: no such file`);
  if (objects !== undefined && !existsSync(objects)) throw new UsageError(`--objects ${objects}: no such folder`);
  if (trace !== undefined && filters === undefined) throw new UsageError('--trace needs --filters');
  const engines = values.engine?.split(',');
  const fixed = quick ? QUICK_DURATION_MS : DURATION_MS;
  return {
    questions: positionals.length > 0 ? positionals : Object.keys(QUESTIONS),
    json,
    options: {
      quick,
      seed: whole('--seed', values.seed, 0),
      durationMs: values.duration === undefined ? fixed : whole('--duration', values.duration, 1),
      engines,
      entries: values.entries?.split(',').map((text) => whole('--entries', text, 1)),
      filters,
      trace,
      save,
      object,
      objects,
      say: json ? () => {} : (line) => console.log(line),
    },
  };
}

function whole(option: string, text: string, least: number): number {
  if (!/^\d+$/.test(text) || Number(text) < least || Number(text) > 0xffff_ffff)
    throw new UsageError(`${option} ${text}: want a whole number from ${least} on`);
  return Number(text);
}

async function main(): Promise<void> {
  const { options, questions, json } = parse(process.argv.slice(2));
  checkNames(options.engines);
  const machine = { node: process.version, cpu: cpus()[0]?.model ?? 'unknown', seed: options.seed };
  options.say(`Node ${machine.node}, ${machine.cpu}, seed ${machine.seed}`);
  const all: QuestionResult = { results: [], ratios: [], skipped: [] };
  for (const name of questions) {
    const { results, ratios, skipped } = await QUESTIONS[name]!(options);
    all.results.push(...results);
    all.ratios.push(...ratios);
    for (const one of skipped) if (!all.skipped.some(({ engine }) => engine === one.engine)) all.skipped.push(one);
  }
  if (questions.length === Object.keys(QUESTIONS).length)
    for (const file of writeReport({ ...machine, ...all })) options.say(`wrote ${file}`);
  printRatios(options.say, all.ratios);
  if (json) console.log(JSON.stringify({ ...machine, ...all }));
  if (all.results.some(({ agrees }) => agrees === false)) process.exitCode = 1;
}

try {
  await main();
} catch (error) {
  const { code, message } = error as Error & { code?: string };
  if (code !== 'BAD_INPUT' && !code?.startsWith('ERR_PARSE_ARGS')) throw error;
  console.error(message);
  process.exitCode = 2;
}
