import { type Address, CLOCK_WORD, MAP_HEADER, type Memory } from '@ciliate/maps';
import { type Helper, type HelperTable, widthOf } from '../helpers/helper.ts';
import { blankInsn } from '../insn/code.ts';
import type { Insn } from '../insn/insn.ts';
import { ATOMIC, CALL, CLASS, classOf, EXIT, LDDW, MODE, modeOf } from '../insn/opcodes.ts';
import { MAX_TAIL_CALLS, STATE } from '../machine/machine.ts';
import type { LinkedFunction } from '../object/linked.ts';
import { emitAlu } from './alu.ts';
import { type CallTargets, emitCall, TAIL_CALL } from './calls.ts';
import { countTurn, importGlobals } from './entry.ts';
import { BPF_FUNCTION, FunctionEmitter } from './function_emitter.ts';
import { controlFlow } from './graph.ts';
import { emitCondition } from './jump.ts';
import { mapLookup } from './map_lookup.ts';
import { emitLoad, emitStore } from './memory.ts';
import { ModuleBuilder, type ModuleFunction } from './module.ts';
import { emitStructured } from './structure.ts';
import { CodeWriter, OP, TYPE } from './wasm.ts';

export interface TranslateOptions {
  /** Every access to memory and every argument of a helper is checked, as in the interpreter. */
  isChecked?: boolean;
  /** Where the maps are: what they hold now of addresses and sizes goes into the code that looks into them. */
  memory?: Memory;
  /** Addresses of maps whose lookups are calls of the import `lookup_ADDRESS`, where nothing is checked. */
  engines?: ReadonlySet<Address>;
}

/**
 * A program and what it calls as one WebAssembly module, which puts them into the table at their indices. It imports `env`:
 * memory, table, `state` (address of `STATE`), the globals `budget` and `callbackFrame` (see entry.ts), `exhausted()` for a
 * loop that does not end, `missing(id)`, `check` (see memory.ts) if checked, `helper_N` for each helper that the functions
 * call, and `lookup_ADDRESS`.
 */
export function translate(
  functions: readonly LinkedFunction[],
  helpers: HelperTable,
  { isChecked = false, memory, engines = new Set() }: TranslateOptions = {},
): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder({ hasTable: true });
  const globals = importGlobals(module);
  const imports = new Map<number, number>();
  for (const helper of usedHelpers(functions, helpers)) {
    const params = Array.from({ length: widthOf(helper) }, () => TYPE.i32);
    imports.set(helper.id, module.importFunction(`helper_${helper.id}`, { params, results: [TYPE.i32] }));
  }
  const exhausted = module.importFunction('exhausted', { params: [], results: [] });
  const missing = module.importFunction('missing', { params: [TYPE.i32], results: [] });
  const check = isChecked
    ? module.importFunction('check', { params: Array.from({ length: 5 }, () => TYPE.i32), results: [] })
    : undefined;
  const maps = memory === undefined || isChecked ? new Set<Address>() : namedMaps(functions);
  const lookupType = { params: [TYPE.i32], results: [TYPE.i32] };
  const imported = [...maps]
    .filter((map) => engines.has(map))
    .map((map): [Address, number] => [map, module.importFunction(lookupImport(map), lookupType)]);
  const places = new Map(functions.map(({ index }, nth) => [index, nth]));
  const tail = functions.length;
  const targets: CallTargets = {
    helpers,
    functionOf: (index) => module.indexOf(places.get(index)!),
    missing,
    importOf: (helper) => imports.get(helper.id)!,
    tailTarget: module.indexOf(tail),
    bpfType: module.type(BPF_FUNCTION),
    callbackFrame: globals.callbackFrame,
    clock: CLOCK_WORD,
    lookups: new Map(imported),
  };
  const lookups = memory === undefined ? [] : mapLookups(maps, targets.lookups, memory, globals.state);
  for (const [i, { map }] of lookups.entries()) targets.lookups.set(map, module.indexOf(tail + 1 + i));
  const loopHead = (e: FunctionEmitter): void => countTurn(e.w, globals.budget, exhausted, e.temp32);
  for (const fn of functions) {
    const e = emitFunction(fn, targets, loopHead, check);
    module.addFunction({ signature: BPF_FUNCTION, i32Locals: e.i32Locals, i64Locals: e.i64Locals, code: e.w });
  }
  addTailTarget(module, globals.state);
  for (const { fn } of lookups) module.addFunction(fn);
  for (const { index } of functions) module.addElements(index, [targets.functionOf(index)]);
  return module.bytes();
}

/** A program and the functions that it calls, directly or not. @param all of its object, by their indices */
export function withCallees(fn: LinkedFunction, all: ReadonlyMap<number, LinkedFunction>): LinkedFunction[] {
  const found = new Set([fn]);
  for (const { def, code } of found) {
    for (const [slot, { kind }] of def.references) {
      if (kind === 'function' && code.op(slot) === CALL) found.add(all.get(code.at(slot).imm)!);
    }
  }
  return [...found];
}

/** The helpers that some function calls; tail calls and the clock are written as code. */
function usedHelpers(functions: readonly LinkedFunction[], helpers: HelperTable): Helper[] {
  const used = new Set(functions.flatMap(({ code }) => [...code.helpers()]));
  return [...helpers.values()].filter(({ id, returns }) => used.has(id) && id !== TAIL_CALL && returns !== 'clock');
}

/** Name of the import that looks up in this map. */
export const lookupImport = (map: Address): string => `lookup_${map}`;

function namedMaps(functions: readonly LinkedFunction[]): Set<Address> {
  const maps = new Set<Address>();
  for (const { def, code } of functions) {
    for (const [slot, { kind }] of def.references) if (kind === 'map') maps.add(Number(code.at(slot).imm64));
  }
  return maps;
}

/** Code for maps, but for those that are looked up otherwise. */
function mapLookups(
  maps: ReadonlySet<Address>,
  others: ReadonlyMap<Address, number>,
  memory: Memory,
  state: number,
): { map: Address; fn: ModuleFunction }[] {
  return [...maps].flatMap((map) => {
    const fn = others.has(map) ? undefined : mapLookup(memory, map, state);
    return fn === undefined ? [] : [{ map, fn }];
  });
}

function emitFunction(
  fn: LinkedFunction,
  targets: CallTargets,
  loopHead: (e: FunctionEmitter) => void,
  check: number | undefined,
): FunctionEmitter {
  const e = new FunctionEmitter(fn.code.length);
  const { code } = fn;
  const insn = blankInsn();
  const graph = controlFlow(code);
  emitStructured(
    graph,
    e.w,
    {
      block(id) {
        const { from, to } = graph.blocks[id]!;
        let map: Address | undefined; // in r1, if it is known
        for (let slot = from; slot < to; slot++) {
          code.read(slot, insn);
          if (insn.op === CALL) emitCall(e, insn, targets, map);
          if (insn.op === LDDW && fn.def.references.get(slot)?.kind === 'map' && insn.dst === 1)
            map = Number(insn.imm64);
          else if (insn.op === CALL || writesRegister(insn, 1)) map = undefined;
          switch (insn.op & 7) {
            case CLASS.ALU:
            case CLASS.ALU64:
              emitAlu(e, insn);
              break;
            case CLASS.LDX:
              emitLoad(e, insn, check);
              break;
            case CLASS.ST:
            case CLASS.STX:
              emitStore(e, insn, check);
              break;
            case CLASS.LD:
              e.w.i64(insn.imm64);
              e.setRegister(insn.dst);
              slot += insn.op === LDDW ? 1 : 0;
              break;
            default:
              if (insn.op === EXIT) e.getRegister(0).u8(OP.return);
          }
        }
      },
      condition(id) {
        emitCondition(e, code.read(graph.blocks[id]!.to - 1, insn));
      },
      loopHead: () => loopHead(e),
    },
    e.selector,
  );
  return e;
}

/** Whether an instruction that is no call changes the register. */
function writesRegister({ op, dst, src, imm }: Insn, register: number): boolean {
  switch (classOf(op)) {
    case CLASS.ALU:
    case CLASS.ALU64:
    case CLASS.LD:
    case CLASS.LDX:
      return dst === register;
    case CLASS.STX:
      return modeOf(op) === MODE.ATOMIC && (imm & ATOMIC.FETCH) !== 0 && src === register;
    default:
      return false;
  }
}

/** tail(map, index): what the prog array holds there, 0 behind its end or after too many tail calls; counts. */
function addTailTarget(module: ModuleBuilder, state: number): void {
  const [map, index, target] = [0, 1, 2];
  const w = new CodeWriter();
  w.get(index)
    .get(map)
    .memory(OP.i32Load, MAP_HEADER.maxEntries, 2)
    .u8(OP.i32GeU, OP.if, TYPE.none)
    .i32(0)
    .u8(OP.return, OP.end);
  w.get(map).memory(OP.i32Load, MAP_HEADER.data, 2).get(index).i32(2).u8(OP.i32Shl, OP.i32Add);
  w.memory(OP.i32Load, 0, 2).tee(target).u8(OP.i32Eqz, OP.if, TYPE.none).i32(0).u8(OP.return, OP.end);
  w.u8(OP.globalGet).unsigned(state).memory(OP.i32Load, STATE.tailCalls, 2).i32(MAX_TAIL_CALLS);
  w.u8(OP.i32GeS, OP.if, TYPE.none).i32(0).u8(OP.return, OP.end);
  w.u8(OP.globalGet).unsigned(state).u8(OP.globalGet).unsigned(state).memory(OP.i32Load, STATE.tailCalls, 2);
  w.i32(1).u8(OP.i32Add).memory(OP.i32Store, STATE.tailCalls, 2).get(target);
  module.addFunction({
    signature: { params: [TYPE.i32, TYPE.i32], results: [TYPE.i32] },
    i32Locals: 1,
    i64Locals: 0,
    code: w,
  });
}
