import type { Insn } from '../insn/insn.ts';
import { CLASS, classOf, codeOf, JMP, X } from '../insn/opcodes.ts';
import type { Registers } from '../machine/registers.ts';

/** Whether a conditional jump is taken. Source: RFC 9669, section 4.3. */
export function isTaken(r: Registers, insn: Insn): boolean {
  const isX = (insn.op & X) !== 0;
  if (classOf(insn.op) === CLASS.JMP32) {
    return compare32(codeOf(insn.op), r.i32[2 * insn.dst]!, isX ? r.i32[2 * insn.src]! : insn.imm);
  }
  const b = isX ? r.u64[insn.src]! : BigInt.asUintN(64, BigInt(insn.imm));
  return compare64(codeOf(insn.op), r.u64[insn.dst]!, b);
}

function compare64(code: number, a: bigint, b: bigint): boolean {
  switch (code) {
    case JMP.JEQ:
      return a === b;
    case JMP.JNE:
      return a !== b;
    case JMP.JGT:
      return a > b;
    case JMP.JGE:
      return a >= b;
    case JMP.JLT:
      return a < b;
    case JMP.JLE:
      return a <= b;
    case JMP.JSET:
      return (a & b) !== 0n;
    case JMP.JSGT:
      return BigInt.asIntN(64, a) > BigInt.asIntN(64, b);
    case JMP.JSGE:
      return BigInt.asIntN(64, a) >= BigInt.asIntN(64, b);
    case JMP.JSLT:
      return BigInt.asIntN(64, a) < BigInt.asIntN(64, b);
    default:
      return BigInt.asIntN(64, a) <= BigInt.asIntN(64, b);
  }
}

function compare32(code: number, a: number, b: number): boolean {
  switch (code) {
    case JMP.JEQ:
      return a === b;
    case JMP.JNE:
      return a !== b;
    case JMP.JGT:
      return a >>> 0 > b >>> 0;
    case JMP.JGE:
      return a >>> 0 >= b >>> 0;
    case JMP.JLT:
      return a >>> 0 < b >>> 0;
    case JMP.JLE:
      return a >>> 0 <= b >>> 0;
    case JMP.JSET:
      return (a & b) !== 0;
    case JMP.JSGT:
      return a > b;
    case JMP.JSGE:
      return a >= b;
    case JMP.JSLT:
      return a < b;
    default:
      return a <= b;
  }
}
