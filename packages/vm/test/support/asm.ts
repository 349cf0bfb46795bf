import type { Insn } from '../../src/index.ts';
import { ALU, CALL, CLASS, EXIT, JMP, LDDW, MODE, SIZE, X } from '../../src/insn/opcodes.ts';

const insn = (op: number, dst = 0, src = 0, off = 0, imm = 0): Insn => ({ op, dst, src, off, imm, imm64: 0n });

export type AluName = keyof typeof ALU;
export type JumpName = keyof typeof JMP;
export type SizeName = keyof typeof SIZE;

export const alu64 = (code: AluName, dst: number, imm: number, off = 0): Insn =>
  insn(CLASS.ALU64 | ALU[code], dst, 0, off, imm);
export const alu64x = (code: AluName, dst: number, src: number, off = 0): Insn =>
  insn(CLASS.ALU64 | ALU[code] | X, dst, src, off);
export const alu32 = (code: AluName, dst: number, imm: number, off = 0): Insn =>
  insn(CLASS.ALU | ALU[code], dst, 0, off, imm);
export const alu32x = (code: AluName, dst: number, src: number, off = 0): Insn =>
  insn(CLASS.ALU | ALU[code] | X, dst, src, off);
export const mov = (dst: number, imm: number): Insn => alu64('MOV', dst, imm);
export const movx = (dst: number, src: number): Insn => alu64x('MOV', dst, src);
export const lddw = (dst: number, value: bigint): Insn[] => {
  const [low, high] = [Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n))];
  return [{ ...insn(LDDW, dst, 0, 0, low), imm64: BigInt.asUintN(64, value) }, insn(0, 0, 0, 0, high)];
};
export const ldx = (size: SizeName, dst: number, src: number, off: number): Insn =>
  insn(CLASS.LDX | MODE.MEM | SIZE[size], dst, src, off);
export const ldsx = (size: SizeName, dst: number, src: number, off: number): Insn =>
  insn(CLASS.LDX | MODE.MEMSX | SIZE[size], dst, src, off);
export const st = (size: SizeName, dst: number, off: number, imm: number): Insn =>
  insn(CLASS.ST | MODE.MEM | SIZE[size], dst, 0, off, imm);
export const stx = (size: SizeName, dst: number, off: number, src: number): Insn =>
  insn(CLASS.STX | MODE.MEM | SIZE[size], dst, src, off);
export const atomic = (size: 'W' | 'DW', operation: number, dst: number, off: number, src: number): Insn =>
  insn(CLASS.STX | MODE.ATOMIC | SIZE[size], dst, src, off, operation);
export const jump = (code: JumpName, dst: number, imm: number, off: number): Insn =>
  insn(CLASS.JMP | JMP[code], dst, 0, off, imm);
export const jumpx = (code: JumpName, dst: number, src: number, off: number): Insn =>
  insn(CLASS.JMP | JMP[code] | X, dst, src, off);
export const jump32 = (code: JumpName, dst: number, imm: number, off: number): Insn =>
  insn(CLASS.JMP32 | JMP[code], dst, 0, off, imm);
export const jump32x = (code: JumpName, dst: number, src: number, off: number): Insn =>
  insn(CLASS.JMP32 | JMP[code] | X, dst, src, off);
export const goto = (off: number): Insn => insn(CLASS.JMP | JMP.JA, 0, 0, off);
export const gotol = (distance: number): Insn => insn(CLASS.JMP32 | JMP.JA, 0, 0, 0, distance);
export const call = (helper: number): Insn => insn(CALL, 0, 0, 0, helper);
export const exit = (): Insn => insn(EXIT);
