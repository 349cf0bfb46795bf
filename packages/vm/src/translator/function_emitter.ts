import type { Insn } from '../insn/insn.ts';
import { X } from '../insn/opcodes.ts';
import { FRAME_BYTES } from '../machine/machine.ts';
import { CodeWriter, OP, TYPE } from './wasm.ts';

const FRAME_POINTER = 10;
/** About as much code as an instruction becomes; more is found when it is needed. */
const BYTES_PER_SLOT = 8;
/** Locals: the frame's address, then r1 to r5 as parameters, then r0 and r6 to r9. */
const FRAME = 0;
const LOCAL_OF = [8, 1, 2, 3, 4, 5, 9, 10, 11, 12] as const;

/** What every function of BPF is: the frame's address and r1 to r5 in, r0 out. */
export const BPF_FUNCTION = {
  params: [TYPE.i32, TYPE.i64, TYPE.i64, TYPE.i64, TYPE.i64, TYPE.i64],
  results: [TYPE.i64],
} as const;

/** Code of one function: registers are locals, and what many instructions do with them. */
export class FunctionEmitter {
  readonly w: CodeWriter;
  readonly temp32 = 6;
  /** Which block comes next, where that is not written as structure. */
  readonly selector = 7;
  readonly temp64 = 13;
  readonly i32Locals = 2;
  readonly i64Locals = 6;

  /** @param slots of the function */
  constructor(slots: number) {
    this.w = new CodeWriter(slots * BYTES_PER_SLOT);
  }

  getRegister(n: number): CodeWriter {
    if (n !== FRAME_POINTER) return this.w.get(LOCAL_OF[n]!);
    return this.w.get(FRAME).i32(FRAME_BYTES).u8(OP.i32Add, OP.i64ExtendI32U);
  }

  setRegister(n: number): void {
    this.w.set(LOCAL_OF[n]!);
  }

  /** A register's low half. */
  getLow(n: number): CodeWriter {
    if (n === FRAME_POINTER) return this.w.get(FRAME).i32(FRAME_BYTES).u8(OP.i32Add);
    return this.getRegister(n).u8(OP.i32WrapI64);
  }

  getHigh(n: number): CodeWriter {
    return this.getRegister(n).i64(32).u8(OP.i64ShrU, OP.i32WrapI64);
  }

  /** Register or number, whichever the instruction has. */
  operand64(insn: Insn): void {
    if ((insn.op & X) !== 0) this.getRegister(insn.src);
    else this.w.i64(insn.imm);
  }
  operand32(insn: Insn): void {
    if ((insn.op & X) !== 0) this.getLow(insn.src);
    else this.w.i32(insn.imm);
  }

  /** Leaves an address on the stack. @returns the offset that the access itself must add: it cannot be negative there */
  address(base: number, off: number): number {
    if (base === FRAME_POINTER && off + FRAME_BYTES >= 0) {
      this.w.get(FRAME);
      return off + FRAME_BYTES;
    }
    this.getLow(base);
    if (off >= 0) return off;
    this.w.i32(off).u8(OP.i32Add);
    return 0;
  }

  /** For a call: the frame behind this one. */
  nextFrame(): CodeWriter {
    return this.w.get(FRAME).i32(FRAME_BYTES).u8(OP.i32Add);
  }
  frame(): CodeWriter {
    return this.w.get(FRAME);
  }

  /** By the i32 on the stack. */
  either64(a: () => unknown, b: () => unknown): void {
    this.either(TYPE.i64, a, b);
  }
  either32(a: () => unknown, b: () => unknown): void {
    this.either(TYPE.i32, a, b);
  }
  private either(type: number, a: () => unknown, b: () => unknown): void {
    this.w.u8(OP.if, type);
    a();
    this.w.u8(OP.else);
    b();
    this.w.u8(OP.end);
  }
}
