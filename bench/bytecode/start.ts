import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { Memory } from '@ciliate/maps';
import { type BpfObject, loadObject, testRun, Vm } from '@ciliate/vm';
import { printTable } from '../print.ts';
import { median, round } from '../stats.ts';
import type { BenchOptions, QuestionResult, ResultRow } from '../types.ts';
import { PACKET } from './program.ts';

const LARGE = fileURLToPath(new URL('../../packages/vm/test/fixtures/large.bpf.o.gz', import.meta.url));
const MOST_MS = 100;
const TIMES = 9;

/** From the bytes of an object of 50,000 instructions to the end of the first run; with an object, also of that. */
export function startRows({ object, say }: BenchOptions): QuestionResult {
  const results = [row('large.bpf.o', gunzipSync(readFileSync(LARGE)), 'drop_00')];
  if (object !== undefined) results.push(row(basename(object), readFileSync(object)));
  const title =
    'bytecode: ms to read, link, compile and run once; the first time in a process, and the median of later ones';
  printTable(say, title, ['mode', 'entries', 'first', 'later'], results);
  // Who starts a program once waits for the first.
  const { entries, first } = results[0]!;
  const name = `first start of an object of ${entries} instructions, ms`;
  return {
    results,
    ratios: [
      {
        ...{ name, entries, engine: 'vm', baseline: 'ms', ratio: Number(first) },
        ...{ reach: `<= ${MOST_MS}`, reached: Number(first) <= MOST_MS },
      },
    ],
    skipped: [],
  };
}

const size = ({ functions }: BpfObject): number => [...functions.values()].reduce((sum, fn) => sum + fn.code.length, 0);

function row(mode: string, bytes: Uint8Array, program?: string): ResultRow {
  const times: number[] = [];
  let entries = 0;
  for (let i = 0; i < TIMES; i++) {
    const memory = Memory.create(256 * 1024 * 1024);
    const began = performance.now();
    const object = loadObject(bytes, mode);
    const vm = new Vm({ memory });
    const image = vm.load(object);
    if (program !== undefined) testRun(vm, image.functions.get(program)!, 'tc', PACKET);
    times.push(performance.now() - began);
    entries = size(object);
  }
  const later = round(median(times.slice(1)), 1);
  return { question: 'bytecode', engine: 'vm', entries, mode, first: round(times[0]!, 1), later };
}
