import type { Address } from '@ciliate/maps';
import type { Helper, HelperTable } from '../helpers/helper.ts';
import type { Insn } from '../insn/insn.ts';
import { PSEUDO_CALL } from '../insn/opcodes.ts';
import type { FunctionEmitter } from './function_emitter.ts';
import { OP } from './wasm.ts';

export const TAIL_CALL = 12;
const MAP_LOOKUP = 1;
const ENOENT = -2;

/** Where in the module a call finds what it needs. */
export interface CallTargets {
  helpers: HelperTable;
  /** Index of the function of the module for a BPF function, by its number in the table. */
  functionOf: (index: number) => number;
  /** Index of an import, by the helper's number. */
  importOf: (helper: Helper) => number;
  /** missing(helper): the program asks for a helper that is not modelled. */
  missing: number;
  /** tail(map, index): the function's number in the table, or 0. */
  tailTarget: number;
  /** Type of a BPF function. */
  bpfType: number;
  /** Global: the frame of callbacks. */
  callbackFrame: number;
  /** Address of the clock word. */
  clock: number;
  /** lookup(key) of single maps, by the map's address. */
  lookups: Map<Address, number>;
}

/** @param map in r1, if that is known */
export function emitCall(e: FunctionEmitter, insn: Insn, to: CallTargets, map?: Address): void {
  const { w } = e;
  if (insn.src === PSEUDO_CALL.LOCAL) {
    e.nextFrame();
    for (let n = 1; n <= 5; n++) e.getRegister(n);
    w.call(to.functionOf(insn.imm));
    e.setRegister(0);
    return;
  }
  if (insn.imm === TAIL_CALL) {
    emitTailCall(e, to);
    return;
  }
  const lookup = insn.imm === MAP_LOOKUP && map !== undefined ? to.lookups.get(map) : undefined;
  if (lookup !== undefined) {
    e.getLow(2);
    w.call(lookup).u8(OP.i64ExtendI32U);
    e.setRegister(0);
    return;
  }
  const helper = to.helpers.get(insn.imm);
  if (helper === undefined) {
    w.i32(insn.imm).call(to.missing).u8(OP.unreachable);
    return;
  }
  if (helper.returns === 'clock') w.i32(to.clock).memory(OP.i64Load, 0, 3);
  else {
    if (helper.args.includes('function')) e.nextFrame().u8(OP.globalSet).unsigned(to.callbackFrame);
    for (const [i, kind] of helper.args.entries()) {
      e.getLow(i + 1);
      if (kind === 'u64') e.getHigh(i + 1);
    }
    w.call(to.importOf(helper)).u8(helper.returns === 'int' ? OP.i64ExtendI32S : OP.i64ExtendI32U);
  }
  e.setRegister(0);
}

/** r1 = context, r2 = prog array, r3 = index. The program that is jumped to takes over this frame. */
function emitTailCall(e: FunctionEmitter, to: CallTargets): void {
  const { w } = e;
  e.getLow(2);
  e.getLow(3);
  w.call(to.tailTarget).tee(e.temp32).u8(OP.if, 0x40);
  e.frame();
  for (let n = 1; n <= 5; n++) e.getRegister(n);
  w.get(e.temp32).u8(OP.returnCallIndirect).unsigned(to.bpfType).unsigned(0);
  w.u8(OP.end).i64(ENOENT);
  e.setRegister(0);
}
