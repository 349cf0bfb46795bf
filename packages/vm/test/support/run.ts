import { Memory } from '@ciliate/maps';
import {
  Compiled,
  type HelperTable,
  type Insn,
  Interpreter,
  type LinkedFunction,
  link,
  loadObject,
  Machine,
  VmError,
} from '../../src/index.ts';
import { writeElf } from './elf_writer.ts';

export const BACK_ENDS = ['interpreter', 'compiled', 'compiled, checked'] as const;
export type BackEnd = (typeof BACK_ENDS)[number];

export interface Outcome {
  /** The program's answer, or what it was stopped for. */
  result: number | string;
  /** The first stack frame. */
  stack: string;
}

const BUDGET = 1_000_000;
const FRAME = 512;
const MEMORY_BYTES = 4 * 1024 * 1024;
const memories = new Map<BackEnd, Memory>();

/** Runs a program on a stack of zeros; r1 is the context, which is zeros as well. */
export function runInsns(insns: readonly Insn[], backEnd: BackEnd, helpers: HelperTable = new Map()): Outcome {
  const memory = memories.get(backEnd) ?? Memory.create(MEMORY_BYTES);
  memories.set(backEnd, memory);
  const image = link(loadObject(writeElf('tc', 'main', insns), 'test.o'), memory, { firstIndex: 1 });
  const machine = new Machine(memory);
  machine.reset();
  const main = image.functions.get('main')!;
  const run = runner(machine, [main], helpers, backEnd);
  let result: number | string;
  try {
    result = run(main);
  } catch (error) {
    if (!(error instanceof VmError)) throw error;
    result = error.message;
  }
  const stack = Buffer.from(memory.u8.slice(machine.stack, machine.stack + FRAME)).toString('hex');
  machine.destroy();
  return { result, stack };
}

export function runner(
  machine: Machine,
  functions: readonly LinkedFunction[],
  helpers: HelperTable,
  backEnd: BackEnd,
): (fn: LinkedFunction) => number {
  if (backEnd === 'interpreter') {
    const table: (LinkedFunction | undefined)[] = [];
    for (const fn of functions) table[fn.index] = fn;
    const interpreter = new Interpreter(machine, table, helpers);
    return (fn) => interpreter.run(fn, BUDGET);
  }
  const compiled = new Compiled(machine, helpers, { isChecked: backEnd === 'compiled, checked' });
  compiled.add(functions);
  return (fn) => compiled.run(fn, BUDGET);
}
