import { STATE } from '../machine/machine.ts';
import { BPF_FUNCTION } from './function_emitter.ts';
import { ModuleBuilder } from './module.ts';
import { CodeWriter, OP, TYPE } from './wasm.ts';

/** Indices of the globals that all modules of a machine share. */
export interface Globals {
  /** Address of `STATE`. */
  state: number;
  /** How many turns of loops the run may still take. */
  budget: number;
  /** The frame of callbacks. */
  callbackFrame: number;
}

/** The first three globals of every module. */
export function importGlobals(module: ModuleBuilder): Globals {
  const state = module.importGlobal('state');
  return {
    state,
    budget: module.importGlobal('budget', { isMutable: true }),
    callbackFrame: module.importGlobal('callbackFrame', { isMutable: true }),
  };
}

/**
 * The module by which an object is entered. It exports
 *
 *     run(index, stack, context, budget, times): i32   r0's low half, of the last of the runs; `budget`: turns of loops of each
 *     callback(index, a, b, c, d): i32                 for helpers that take a function
 *
 * and puts a stub for each function into the table at its index. Who calls it first (run, callback or another program's tail
 * call) makes it call the import `compile(index)`, which puts the function itself there, and goes on to that: of an object's
 * many programs most packets need few. It imports memory, table and globals as `translate` says.
 * @param indices of the object's functions
 */
export function entryModule(indices: readonly number[]): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder({ hasTable: true });
  const globals = importGlobals(module);
  const exhausted = module.importFunction('exhausted', { params: [], results: [] });
  const compile = module.importFunction('compile', { params: [TYPE.i32], results: [] });
  const bpfType = module.type(BPF_FUNCTION);
  for (const index of indices) {
    const stub = module.addFunction({
      signature: BPF_FUNCTION,
      i32Locals: 0,
      i64Locals: 0,
      code: stubCode(index, compile, bpfType),
    });
    module.addElements(index, [stub]);
  }
  addRun(module, bpfType, globals);
  addCallback(module, bpfType, globals, exhausted);
  return module.bytes();
}

function stubCode(index: number, compile: number, bpfType: number): CodeWriter {
  const w = new CodeWriter().i32(index).call(compile);
  for (let n = 0; n < BPF_FUNCTION.params.length; n++) w.get(n);
  return w.i32(index).u8(OP.returnCallIndirect).unsigned(bpfType).unsigned(0);
}

/** Stops the run when its budget is used up. @param temp an i32 local */
export function countTurn(w: CodeWriter, budget: number, exhausted: number, temp: number): void {
  w.u8(OP.globalGet).unsigned(budget).i32(1).u8(OP.i32Sub).tee(temp).u8(OP.globalSet).unsigned(budget);
  w.get(temp).u8(OP.i32Eqz, OP.if, TYPE.none).call(exhausted).u8(OP.end);
}

function addRun(module: ModuleBuilder, bpfType: number, { state, budget }: Globals): void {
  const [index, stack, context, turns, times, answer] = [0, 1, 2, 3, 4, 5];
  const w = new CodeWriter().u8(OP.loop, TYPE.none);
  w.get(turns).u8(OP.globalSet).unsigned(budget).u8(OP.globalGet).unsigned(state).i32(0);
  w.memory(OP.i32Store, STATE.tailCalls, 2).get(stack).get(context).u8(OP.i64ExtendI32U);
  for (let n = 2; n <= 5; n++) w.i64(0);
  w.get(index).u8(OP.callIndirect).unsigned(bpfType).unsigned(0).u8(OP.i32WrapI64).set(answer);
  w.get(times).i32(1).u8(OP.i32Sub).tee(times).u8(OP.brIf).unsigned(0).u8(OP.end).get(answer);
  const signature = { params: Array.from({ length: 5 }, () => TYPE.i32), results: [TYPE.i32] };
  module.addFunction({ signature, i32Locals: 1, i64Locals: 0, code: w, exportedAs: 'run' });
}

/** The frame of the callbacks is the one behind their caller's; a callback may call a helper that has callbacks. */
function addCallback(
  module: ModuleBuilder,
  bpfType: number,
  { budget, callbackFrame }: Globals,
  exhausted: number,
): void {
  const saved = 5;
  const w = new CodeWriter();
  countTurn(w, budget, exhausted, saved);
  w.u8(OP.globalGet).unsigned(callbackFrame).tee(saved);
  for (let n = 1; n <= 4; n++) w.get(n).u8(OP.i64ExtendI32U);
  w.i64(0).get(0).u8(OP.callIndirect).unsigned(bpfType).unsigned(0).u8(OP.i32WrapI64);
  w.get(saved).u8(OP.globalSet).unsigned(callbackFrame);
  const signature = { params: Array.from({ length: 5 }, () => TYPE.i32), results: [TYPE.i32] };
  module.addFunction({ signature, i32Locals: 1, i64Locals: 0, code: w, exportedAs: 'callback' });
}
