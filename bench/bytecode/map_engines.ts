import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { ENGINES, underProgram } from '@ciliate/bpf';
import { findTests, loadObject, onlyPackets, type TestRun, testRun, Vm } from '@ciliate/vm';
import { printTable } from '../print.ts';
import { round } from '../stats.ts';
import type { BenchOptions, QuestionResult, ResultRow, Skipped } from '../types.ts';
import { ENTRIES, inTurns, loadFilled, runVm, sliceOf } from './program.ts';

const PROGRAMS = ['policy_drop', 'established'];
const POLICY_MAP = 'cilium_policy_v2';
/** Where packets enter Cilium's datapath. */
const ENTRY = /^cil_(?:from|to)_/;

interface Subject {
  engine: string;
  run: (repeat: number) => TestRun;
}

/** The same programs with the map's own lookup and with each engine under it; with an object, also Cilium's. */
export function mapEngineRows({ durationMs, engines, object, say, seed }: BenchOptions): QuestionResult {
  const names = ENGINES.map(({ name }) => name).filter((name) => engines === undefined || engines.includes(name));
  const results: ResultRow[] = [];
  for (const program of PROGRAMS) {
    const subjects = ['map', ...names].map((engine): Subject => {
      const vm = new Vm({ seed, lookupEngines: under('policies', engine) });
      const image = loadFilled(vm);
      return { engine, run: (repeat) => runVm(vm, image, program, repeat) };
    });
    results.push(...rows(program, subjects, durationMs));
  }
  const skipped: Skipped[] = [];
  if (object !== undefined) {
    const found = testsOf(object, names, seed);
    for (const { test, subjects } of found) results.push(...rows(test, subjects, durationMs));
    if (found.length === 0)
      skipped.push({ engine: basename(object), reason: `no test with ${POLICY_MAP} that leaves its packet as it was` });
  }
  printTable(
    say,
    'bytecode: ns of one run, by what finds the entries of the policy map',
    ['mode', 'engine', 'vm', 'ratio', 'agrees'],
    results,
  );
  return { results, ratios: [], skipped };
}

const under = (map: string, engine: string) => new Map(engine === 'map' ? [] : [[map, underProgram(engine)] as const]);

function rows(mode: string, subjects: readonly Subject[], durationMs: number): ResultRow[] {
  const slices = subjects.map(({ run }) => sliceOf(run));
  const times = inTurns(
    subjects.map(
      ({ run }, i) =>
        () =>
          run(slices[i]!.slice).durationNs / slices[i]!.slice,
    ),
    durationMs,
  );
  return subjects.map(({ engine }, i) => ({
    ...{ question: 'bytecode', engine, entries: ENTRIES, mode, vm: times[i]! },
    ...{ ratio: round(times[i]! / times[0]!, 2), agrees: slices[i]!.status === slices[0]!.status },
  }));
}

/**
 * Programs of a test object, on what each test's setup leaves in the maps: those that do what the setup did and can run again and again
 * on one packet, as drops can. The setup itself writes the policy map, which a program of the datapath never does.
 */
function testsOf(path: string, names: readonly string[], seed: number): { test: string; subjects: Subject[] }[] {
  const object = onlyPackets(loadObject(readFileSync(path), basename(path)));
  if (!object.maps.has(POLICY_MAP)) return [];
  const found = new Map<string, Subject[]>();
  for (const engine of ['map', ...names]) {
    const vm = new Vm({ seed, lookupEngines: under(POLICY_MAP, engine) });
    vm.machine.memory.nowNs = process.hrtime.bigint();
    const image = vm.load(object);
    const programs = [...image.functions.values()].filter(({ def }) => ENTRY.test(def.name));
    for (const { name, pktgen, setup } of findTests(image)) {
      if (pktgen === undefined || setup === undefined) continue;
      const { data, context } = testRun(vm, pktgen, 'tc', new Uint8Array(2048));
      const { status } = testRun(vm, setup, 'tc', data, { context });
      for (const program of programs) {
        const run = (repeat: number): TestRun => testRun(vm, program, 'tc', data, { context, repeat });
        const again = run(2);
        if (again.status !== status || Buffer.compare(again.data, data) !== 0) continue;
        const mode = `${name}: ${program.def.name}`;
        found.set(mode, [...(found.get(mode) ?? []), { engine, run }]);
      }
    }
  }
  return [...found].map(([test, subjects]) => ({ test, subjects }));
}
