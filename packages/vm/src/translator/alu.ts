import type { Insn } from '../insn/insn.ts';
import { ALU, CLASS, classOf, codeOf, X } from '../insn/opcodes.ts';
import type { FunctionEmitter } from './function_emitter.ts';
import { OP } from './wasm.ts';

const BINARY64: Readonly<Record<number, number>> = {
  [ALU.ADD]: OP.i64Add,
  [ALU.SUB]: OP.i64Sub,
  [ALU.MUL]: OP.i64Mul,
  [ALU.OR]: OP.i64Or,
  [ALU.AND]: OP.i64And,
  [ALU.XOR]: OP.i64Xor,
  [ALU.LSH]: OP.i64Shl,
  [ALU.RSH]: OP.i64ShrU,
  [ALU.ARSH]: OP.i64ShrS,
};
const BINARY32: Readonly<Record<number, number>> = {
  [ALU.ADD]: OP.i32Add,
  [ALU.SUB]: OP.i32Sub,
  [ALU.MUL]: OP.i32Mul,
  [ALU.OR]: OP.i32Or,
  [ALU.AND]: OP.i32And,
  [ALU.XOR]: OP.i32Xor,
  [ALU.LSH]: OP.i32Shl,
  [ALU.RSH]: OP.i32ShrU,
  [ALU.ARSH]: OP.i32ShrS,
};
const EXTEND64: Readonly<Record<number, number>> = { 8: OP.i64Extend8S, 16: OP.i64Extend16S, 32: OP.i64Extend32S };
const EXTEND32: Readonly<Record<number, number>> = { 8: OP.i32Extend8S, 16: OP.i32Extend16S };

/** What `alu64` and `alu32` of the interpreter say, as code. */
export function emitAlu(e: FunctionEmitter, insn: Insn): void {
  const is64 = classOf(insn.op) === CLASS.ALU64;
  const code = codeOf(insn.op);
  if (code === ALU.END) {
    emitSwap(e, insn, is64 || (insn.op & X) !== 0);
    return;
  }
  if (is64) emit64(e, insn, code);
  else emit32(e, insn, code);
  e.setRegister(insn.dst);
}

function emit64(e: FunctionEmitter, insn: Insn, code: number): void {
  const { w } = e;
  if (code === ALU.NEG) {
    w.i64(0);
    e.getRegister(insn.dst);
    w.u8(OP.i64Sub);
  } else if (code === ALU.MOV) {
    e.operand64(insn);
    if (insn.off !== 0) w.u8(EXTEND64[insn.off]!);
  } else if (code === ALU.DIV || code === ALU.MOD) emitDivision64(e, insn, code === ALU.DIV);
  else {
    e.getRegister(insn.dst);
    e.operand64(insn);
    w.u8(BINARY64[code]!);
  }
}

function emit32(e: FunctionEmitter, insn: Insn, code: number): void {
  const { w } = e;
  if (code === ALU.NEG) {
    w.i32(0);
    e.getLow(insn.dst);
    w.u8(OP.i32Sub);
  } else if (code === ALU.MOV) {
    e.operand32(insn);
    if (insn.off !== 0) w.u8(EXTEND32[insn.off]!);
  } else if (code === ALU.DIV || code === ALU.MOD) emitDivision32(e, insn, code === ALU.DIV);
  else {
    e.getLow(insn.dst);
    e.operand32(insn);
    w.u8(BINARY32[code]!);
  }
  w.u8(OP.i64ExtendI32U);
}

/** By 0 and -1, WebAssembly traps where BPF has an answer: a / 0 = 0, a % 0 = a, a / -1 = -a. */
function emitDivision64(e: FunctionEmitter, insn: Insn, isDivision: boolean): void {
  const { w, temp64 } = e;
  const isSigned = insn.off === 1;
  const divide = isDivision ? (isSigned ? OP.i64DivS : OP.i64DivU) : isSigned ? OP.i64RemS : OP.i64RemU;
  e.operand64(insn);
  w.tee(temp64).u8(OP.i64Eqz);
  e.either64(
    () => (isDivision ? w.i64(0) : e.getRegister(insn.dst)),
    () => {
      const quotient = (): void => {
        e.getRegister(insn.dst);
        w.get(temp64).u8(divide);
      };
      if (!isSigned || !isDivision) return quotient();
      w.get(temp64).i64(-1).u8(OP.i64Eq);
      e.either64(() => {
        w.i64(0);
        e.getRegister(insn.dst);
        w.u8(OP.i64Sub);
      }, quotient);
    },
  );
}

function emitDivision32(e: FunctionEmitter, insn: Insn, isDivision: boolean): void {
  const { w, temp32 } = e;
  const isSigned = insn.off === 1;
  const divide = isDivision ? (isSigned ? OP.i32DivS : OP.i32DivU) : isSigned ? OP.i32RemS : OP.i32RemU;
  e.operand32(insn);
  w.tee(temp32).u8(OP.i32Eqz);
  e.either32(
    () => (isDivision ? w.i32(0) : e.getLow(insn.dst)),
    () => {
      const quotient = (): void => {
        e.getLow(insn.dst);
        w.get(temp32).u8(divide);
      };
      if (!isSigned || !isDivision) return quotient();
      w.get(temp32).i32(-1).u8(OP.i32Eq);
      e.either32(() => {
        w.i32(0);
        e.getLow(insn.dst);
        w.u8(OP.i32Sub);
      }, quotient);
    },
  );
}

function emitSwap(e: FunctionEmitter, insn: Insn, reverses: boolean): void {
  const { w } = e;
  if (insn.imm === 64) {
    if (!reverses) return;
    e.getRegister(insn.dst);
    swapPairs(e, 8, 0x00ff_00ff_00ff_00ffn);
    swapPairs(e, 16, 0x0000_ffff_0000_ffffn);
    w.i64(32).u8(OP.i64Rotl);
  } else if (!reverses) {
    e.getRegister(insn.dst);
    w.i64(insn.imm === 16 ? 0xffffn : 0xffff_ffffn).u8(OP.i64And);
  } else {
    e.getLow(insn.dst);
    // The four bytes, reversed: rotations put two of them each where they belong.
    w.tee(e.temp32).i32(8).u8(OP.i32Rotl).i32(0x00ff_00ff).u8(OP.i32And);
    w.get(e.temp32).i32(24).u8(OP.i32Rotl).i32(0xff00_ff00).u8(OP.i32And, OP.i32Or);
    if (insn.imm === 16) w.i32(16).u8(OP.i32ShrU);
    w.u8(OP.i64ExtendI32U);
  }
  e.setRegister(insn.dst);
}

/** Of the i64 on the stack: neighbours of `bits` bits change places. */
function swapPairs(e: FunctionEmitter, bits: number, mask: bigint): void {
  const { w, temp64 } = e;
  w.tee(temp64).i64(mask).u8(OP.i64And).i64(bits).u8(OP.i64Shl);
  w.get(temp64).i64(bits).u8(OP.i64ShrU).i64(mask).u8(OP.i64And, OP.i64Or);
}
