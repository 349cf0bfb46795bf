import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { Memory } from '@ciliate/maps';
import { type BpfObject, loadObject, testRun, Vm } from '@ciliate/vm';
import { printTable } from '../print.ts';
import { median, round } from '../stats.ts';
import type { BenchOptions, QuestionResult, ResultRow } from '../types.ts';
import { OBJECT, PACKET } from './program.ts';

const INSTRUCTIONS = 50_000;
const MOST_MS = 100;
const TIMES = 9;

/** From the bytes of an object of 50,000 instructions to the end of the first run; with an object, also of that. */
export function startRows({ object, say }: BenchOptions): QuestionResult {
  const own = readFileSync(OBJECT);
  const copies = Math.ceil(INSTRUCTIONS / size(loadObject(own, 'bench')));
  const results = [row(`${copies} times bench.bpf.o`, () => repeated(own, copies), 'nothing')];
  if (object !== undefined) {
    const bytes = readFileSync(object);
    results.push(row(basename(object), () => loadObject(bytes, object)));
  }
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

/** As large an object, read as often: its functions under other names. */
function repeated(bytes: Uint8Array, copies: number): BpfObject {
  const all = Array.from({ length: copies }, () => loadObject(bytes, 'bench'));
  const functions = all.flatMap((object, n) =>
    [...object.functions.values()].map((fn) => {
      const references = new Map(
        [...fn.references].map(([slot, to]) => [
          slot,
          to.kind === 'function' ? { ...to, name: `${to.name}_${n}` } : to,
        ]),
      );
      return { ...fn, name: `${fn.name}_${n}`, references };
    }),
  );
  const maps = new Map([...all[0]!.maps].map(([name, map]) => [name, { ...map, values: [] }]));
  return { ...all[0]!, maps, functions: new Map(functions.map((fn) => [fn.name, fn])) };
}

function row(mode: string, read: () => BpfObject, program?: string): ResultRow {
  const times: number[] = [];
  let entries = 0;
  for (let i = 0; i < TIMES; i++) {
    const memory = Memory.create(256 * 1024 * 1024);
    const began = performance.now();
    const object = read();
    const vm = new Vm({ memory });
    const image = vm.load(object);
    if (program !== undefined) testRun(vm, image.functions.get(`${program}_0`)!, 'tc', PACKET);
    times.push(performance.now() - began);
    entries = size(object);
  }
  const later = round(median(times.slice(1)), 1);
  return { question: 'bytecode', engine: 'vm', entries, mode, first: round(times[0]!, 1), later };
}
