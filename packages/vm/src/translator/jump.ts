import type { Insn } from '../insn/insn.ts';
import { CLASS, classOf, codeOf, JMP } from '../insn/opcodes.ts';
import type { FunctionEmitter } from './function_emitter.ts';
import { OP } from './wasm.ts';

const COMPARE64: Readonly<Record<number, number>> = {
  [JMP.JEQ]: OP.i64Eq,
  [JMP.JNE]: OP.i64Ne,
  [JMP.JGT]: OP.i64GtU,
  [JMP.JGE]: OP.i64GeU,
  [JMP.JLT]: OP.i64LtU,
  [JMP.JLE]: OP.i64LeU,
  [JMP.JSGT]: OP.i64GtS,
  [JMP.JSGE]: OP.i64GeS,
  [JMP.JSLT]: OP.i64LtS,
  [JMP.JSLE]: OP.i64LeS,
};
const COMPARE32: Readonly<Record<number, number>> = {
  [JMP.JEQ]: OP.i32Eq,
  [JMP.JNE]: OP.i32Ne,
  [JMP.JGT]: OP.i32GtU,
  [JMP.JGE]: OP.i32GeU,
  [JMP.JLT]: OP.i32LtU,
  [JMP.JLE]: OP.i32LeU,
  [JMP.JSGT]: OP.i32GtS,
  [JMP.JSGE]: OP.i32GeS,
  [JMP.JSLT]: OP.i32LtS,
  [JMP.JSLE]: OP.i32LeS,
};

/** Leaves an i32 on the stack: whether a conditional jump is taken. */
export function emitCondition(e: FunctionEmitter, insn: Insn): void {
  const code = codeOf(insn.op);
  if (classOf(insn.op) === CLASS.JMP) {
    e.getRegister(insn.dst);
    e.operand64(insn);
    if (code === JMP.JSET) e.w.u8(OP.i64And).i64(0).u8(OP.i64Ne);
    else e.w.u8(COMPARE64[code]!);
    return;
  }
  e.getLow(insn.dst);
  e.operand32(insn);
  e.w.u8(code === JMP.JSET ? OP.i32And : COMPARE32[code]!);
}
