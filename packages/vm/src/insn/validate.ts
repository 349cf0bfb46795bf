import { badInput } from '../errors.ts';
import { blankInsn, type Code } from './code.ts';
import type { Insn } from './insn.ts';
import {
  ALU,
  ATOMIC,
  CALL,
  CLASS,
  classOf,
  codeOf,
  EXIT,
  JMP,
  LDDW,
  MODE,
  modeOf,
  PSEUDO_CALL,
  SIZE,
  X,
} from './opcodes.ts';

const FRAME_POINTER = 10;
const SWAPS: readonly number[] = [16, 32, 64];
const ATOMICS: readonly number[] = [ATOMIC.ADD, ATOMIC.OR, ATOMIC.AND, ATOMIC.XOR].flatMap((op) => [
  op,
  op | ATOMIC.FETCH,
]);

/** Whether the instruction may go on with another than the next one; where to, in slots from the start. */
export function jumpTarget(insn: Insn, slot: number): number | undefined {
  const cls = classOf(insn.op);
  if (cls !== CLASS.JMP && cls !== CLASS.JMP32) return undefined;
  if (insn.op === CALL || insn.op === EXIT) return undefined;
  // gotol: JA of the class JMP32 has its distance in imm.
  return slot + 1 + (insn.op === (CLASS.JMP32 | JMP.JA) ? insn.imm : insn.off);
}

export const isUnconditional = (insn: Insn): boolean =>
  insn.op === (CLASS.JMP | JMP.JA) || insn.op === (CLASS.JMP32 | JMP.JA);

/**
 * Refuses what is no program: unknown instructions, registers that do not exist, jumps to nowhere, an end that runs on.
 * What a verifier knows beyond that (types, bounds, loops) is checked while the program runs.
 * @throws VmError BAD_INPUT with the number of the instruction
 */
export function validate(code: Code, where: string): void {
  const { length } = code;
  const insn = blankInsn();
  const refuse = (slot: number, why: string): never => {
    throw badInput(`${where}: instruction ${slot}: ${why}`);
  };
  if (length === 0) throw badInput(`${where}: a function without instructions`);
  const isSecondHalf = (slot: number): boolean => slot > 0 && code.op(slot - 1) === LDDW;
  for (let slot = 0; slot < length; slot++) {
    code.read(slot, insn);
    const why = problem(insn);
    if (why !== undefined) refuse(slot, why);
    const target = jumpTarget(insn, slot);
    if (target !== undefined) {
      if (target < 0 || target >= length) refuse(slot, `jumps out of the function, to ${target}`);
      if (isSecondHalf(target)) refuse(slot, `jumps into a 64-bit constant, to ${target}`);
    }
    const next = slot + (insn.op === LDDW ? 2 : 1);
    if (next >= length && insn.op !== EXIT && !isUnconditional(insn)) refuse(slot, 'runs past the end of the function');
    if (insn.op === LDDW) slot++;
  }
}

function problem(insn: Insn): string | undefined {
  if (insn.dst > FRAME_POINTER || insn.src > FRAME_POINTER) return 'names a register that does not exist';
  switch (classOf(insn.op)) {
    case CLASS.ALU:
    case CLASS.ALU64:
      return aluProblem(insn);
    case CLASS.JMP:
    case CLASS.JMP32:
      return jumpProblem(insn);
    default:
      return memoryProblem(insn);
  }
}

function aluProblem(insn: Insn): string | undefined {
  if (insn.dst === FRAME_POINTER) return 'writes r10, the frame pointer';
  const is64 = classOf(insn.op) === CLASS.ALU64;
  const isX = (insn.op & X) !== 0;
  switch (codeOf(insn.op)) {
    case ALU.END:
      if (insn.src !== 0 || insn.off !== 0 || (is64 && isX)) return unknown(insn);
      return SWAPS.includes(insn.imm) ? undefined : `swaps ${insn.imm} bits, not 16, 32 or 64`;
    case ALU.NEG:
      return isX || insn.src !== 0 || insn.imm !== 0 || insn.off !== 0 ? unknown(insn) : undefined;
    case ALU.MOV: {
      const isWidth = insn.off === 0 || (isX && (insn.off === 8 || insn.off === 16 || (is64 && insn.off === 32)));
      return isWidth ? operand(insn) : unknown(insn);
    }
    case ALU.DIV:
    case ALU.MOD:
      if (insn.off !== 0 && insn.off !== 1) return unknown(insn);
      return !isX && insn.imm === 0 ? 'divides by 0' : operand(insn);
    case ALU.LSH:
    case ALU.RSH:
    case ALU.ARSH:
      if (insn.off !== 0) return unknown(insn);
      if (!isX && (insn.imm < 0 || insn.imm >= (is64 ? 64 : 32))) return `shifts by ${insn.imm}`;
      return operand(insn);
    default:
      return codeOf(insn.op) > ALU.END || insn.off !== 0 ? unknown(insn) : operand(insn);
  }
}

function jumpProblem(insn: Insn): string | undefined {
  const is32 = classOf(insn.op) === CLASS.JMP32;
  const isX = (insn.op & X) !== 0;
  const code = codeOf(insn.op);
  switch (code) {
    case JMP.JA:
      if (isX || insn.dst !== 0 || insn.src !== 0) return unknown(insn);
      return (is32 ? insn.off : insn.imm) !== 0 ? unknown(insn) : undefined;
    case JMP.CALL:
      if (is32 || isX) return isX ? 'calls by register, which is not modelled' : unknown(insn);
      if (insn.src === PSEUDO_CALL.KFUNC) return 'calls a kernel function, which is not modelled';
      return insn.src > PSEUDO_CALL.LOCAL || insn.dst !== 0 || insn.off !== 0 ? unknown(insn) : undefined;
    case JMP.EXIT:
      return is32 || isX || insn.dst !== 0 || insn.src !== 0 || insn.off !== 0 || insn.imm !== 0
        ? unknown(insn)
        : undefined;
    default:
      return code > JMP.JSLE ? unknown(insn) : operand(insn);
  }
}

function memoryProblem(insn: Insn): string | undefined {
  const mode = modeOf(insn.op);
  const cls = classOf(insn.op);
  if (mode === MODE.ABS || mode === MODE.IND)
    return cls === CLASS.LD
      ? 'accesses the packet in the legacy way (LD_ABS, LD_IND), which is not modelled'
      : unknown(insn);
  if (cls === CLASS.LD) {
    if (insn.op !== LDDW || insn.off !== 0) return unknown(insn);
    return insn.dst === FRAME_POINTER ? 'writes r10, the frame pointer' : undefined;
  }
  if (cls === CLASS.LDX) {
    const isSigned = mode === MODE.MEMSX && (insn.op & 0x18) !== SIZE.DW;
    if ((mode !== MODE.MEM && !isSigned) || insn.imm !== 0) return unknown(insn);
    return insn.dst === FRAME_POINTER ? 'writes r10, the frame pointer' : undefined;
  }
  if (mode === MODE.MEM) return (cls === CLASS.ST ? insn.src : insn.imm) === 0 ? undefined : unknown(insn);
  if (mode !== MODE.ATOMIC || cls !== CLASS.STX) return unknown(insn);
  const size = insn.op & 0x18;
  if (size !== SIZE.W && size !== SIZE.DW) return 'an atomic operation on less than 4 bytes';
  if (insn.imm === ATOMIC.XCHG || insn.imm === ATOMIC.CMPXCHG || ATOMICS.includes(insn.imm)) {
    const writes = (insn.imm & ATOMIC.FETCH) !== 0 && insn.imm !== ATOMIC.CMPXCHG;
    return writes && insn.src === FRAME_POINTER ? 'writes r10, the frame pointer' : undefined;
  }
  return `an atomic operation that does not exist, 0x${insn.imm.toString(16)}`;
}

/** A second operand is a register or a number, never both. */
function operand(insn: Insn): string | undefined {
  return (insn.op & X) !== 0
    ? insn.imm !== 0
      ? unknown(insn)
      : undefined
    : insn.src !== 0
      ? unknown(insn)
      : undefined;
}

const unknown = (insn: Insn): string => `no instruction of BPF, opcode 0x${insn.op.toString(16).padStart(2, '0')}`;
