import type { Insn } from '../insn/insn.ts';
import { ATOMIC, CLASS, classOf, MODE, modeOf, SIZE, sizeOf } from '../insn/opcodes.ts';
import type { FunctionEmitter } from './function_emitter.ts';
import { ATOMIC_OP, ATOMIC_PREFIX, OP } from './wasm.ts';

const LOADS: Readonly<Record<number, number>> = {
  [SIZE.B]: OP.i64Load8U,
  [SIZE.H]: OP.i64Load16U,
  [SIZE.W]: OP.i64Load32U,
  [SIZE.DW]: OP.i64Load,
};
const SIGNED_LOADS: Readonly<Record<number, number>> = {
  [SIZE.B]: OP.i64Load8S,
  [SIZE.H]: OP.i64Load16S,
  [SIZE.W]: OP.i64Load32S,
};
const STORES: Readonly<Record<number, number>> = {
  [SIZE.B]: OP.i64Store8,
  [SIZE.H]: OP.i64Store16,
  [SIZE.W]: OP.i64Store32,
  [SIZE.DW]: OP.i64Store,
};
const ATOMICS: Readonly<Record<number, number>> = {
  [ATOMIC.ADD]: ATOMIC_OP.add,
  [ATOMIC.OR]: ATOMIC_OP.or,
  [ATOMIC.AND]: ATOMIC_OP.and,
  [ATOMIC.XOR]: ATOMIC_OP.xor,
  [ATOMIC.XCHG & ~ATOMIC.FETCH]: ATOMIC_OP.xchg,
};

/** @param check index of the function that checks an access (see `emitCheck`); undefined: nothing is checked */
export function emitLoad(e: FunctionEmitter, insn: Insn, check: number | undefined): void {
  emitCheck(e, insn.src, insn, false, check);
  const offset = e.address(insn.src, insn.off);
  const loads = modeOf(insn.op) === MODE.MEMSX ? SIGNED_LOADS : LOADS;
  e.w.memory(loads[insn.op & 0x18]!, offset);
  e.setRegister(insn.dst);
}

export function emitStore(e: FunctionEmitter, insn: Insn, check: number | undefined): void {
  emitCheck(e, insn.dst, insn, true, check);
  if (modeOf(insn.op) === MODE.ATOMIC) {
    emitAtomic(e, insn);
    return;
  }
  const offset = e.address(insn.dst, insn.off);
  if (classOf(insn.op) === CLASS.ST) e.w.i64(insn.imm);
  else e.getRegister(insn.src);
  e.w.memory(STORES[insn.op & 0x18]!, offset);
}

/** check(low half, high half, offset, bytes, 1 for a write). */
function emitCheck(e: FunctionEmitter, base: number, insn: Insn, isWrite: boolean, check: number | undefined): void {
  if (check === undefined) return;
  e.getLow(base);
  e.getHigh(base);
  e.w
    .i32(insn.off)
    .i32(sizeOf(insn.op))
    .i32(isWrite ? 1 : 0)
    .call(check);
}

function emitAtomic(e: FunctionEmitter, insn: Insn): void {
  const { w } = e;
  const is64 = sizeOf(insn.op) === 8;
  const align = is64 ? 3 : 2;
  const value = (n: number): unknown => (is64 ? e.getRegister(n) : e.getLow(n));
  const offset = e.address(insn.dst, insn.off);
  const isCompare = insn.imm === ATOMIC.CMPXCHG;
  if (isCompare) value(0);
  value(insn.src);
  const op = isCompare ? ATOMIC_OP.cmpxchg : ATOMICS[insn.imm & ~ATOMIC.FETCH]!;
  w.u8(ATOMIC_PREFIX).memory(is64 ? op + 1 : op, offset, align);
  if ((insn.imm & ATOMIC.FETCH) === 0) {
    w.u8(OP.drop);
    return;
  }
  if (!is64) w.u8(OP.i64ExtendI32U);
  e.setRegister(isCompare ? 0 : insn.src);
}
