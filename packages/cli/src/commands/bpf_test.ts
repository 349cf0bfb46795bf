import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { InputError } from '@ciliate/k8s';
import {
  compareWithRecording,
  type Engine,
  type LookupEngineMaker,
  type ObjectRecord,
  type Recording,
  runSuite,
  type TestOutcome,
} from '@ciliate/vm';
import { Command } from 'commander';
import { engineOption, mapEngineOption, objectFiles } from '../bpf_objects.ts';
import { type RunOptions, toJson, withRunOptions } from '../options.ts';

interface TestOptions extends RunOptions {
  engine: Engine;
  mapEngine?: ReadonlyMap<string, LookupEngineMaker>;
  compare?: string;
}

const ABOUT = `run BPF test objects built as in a checkout of Cilium (bpf/tests), as its own runner does`;

/** As a test runner: exit 0 only if everything passed. */
export function bpfTestCommand(): Command {
  return withRunOptions(
    new Command('test').description(ABOUT).argument('<path...>', 'object files, or folders of them'),
  )
    .addOption(engineOption())
    .addOption(mapEngineOption())
    .option('--compare <file>', 'a recording of what a kernel did: say what differs where it is deterministic')
    .action(runTests);
}

function runTests(
  paths: string[],
  { engine, seed, json, compare, mapEngine: lookupEngines = new Map() }: TestOptions,
): void {
  const recording = compare === undefined ? undefined : readRecording(compare);
  const objects: Record<string, ObjectRecord> = {};
  const counts = { pass: 0, fail: 0, skip: 0 };
  let differences = 0;
  for (const path of objectFiles(paths)) {
    const name = basename(path);
    const { outcomes, record, hashesFlows } = runSuite(readFileSync(path), name, { engine, seed, lookupEngines });
    objects[name] = record;
    for (const { verdict } of outcomes) counts[verdict]++;
    const lines = recording === undefined ? [] : compareWithRecording(name, record, recording, hashesFlows);
    differences += lines.length;
    if (!json)
      process.stdout.write(
        `${[name, ...outcomes.map(outcomeText), ...lines.map((line) => `    DIFFERS ${line}`)].join('\n')}\n`,
      );
  }
  const compared = recording === undefined ? '' : `${differences} differences from the recording\n`;
  const skipped = counts.skip === 0 ? '' : `, ${counts.skip} skipped`;
  if (json)
    process.stdout.write(`${toJson({ objects, passed: counts.pass, failed: counts.fail, skipped: counts.skip })}\n`);
  else process.stdout.write(`\n${compared}${counts.pass} passed, ${counts.fail} failed${skipped}\n`);
  if (counts.fail + differences > 0) process.exitCode = 1;
}

function outcomeText({ name, verdict, results, messages }: TestOutcome): string {
  const parts = results.length === 0 ? '' : ` (${results.map((r) => `${r.name} ${r.status}`).join(', ')})`;
  const lines = verdict === 'pass' ? [] : messages.map((message) => `        ${message}`);
  return [`    ${verdict.toUpperCase()} ${name}${parts}`, ...lines].join('\n');
}

function readRecording(path: string): Recording {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new InputError(`${path}: ${(error as Error).message}`, {});
  }
  if (typeof parsed !== 'object' || parsed === null || !('objects' in parsed)) {
    throw new InputError(`${path}: no recording: it has no "objects"`, {});
  }
  return parsed as Recording;
}
