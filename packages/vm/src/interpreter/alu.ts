import type { Insn } from '../insn/insn.ts';
import { ALU, codeOf, X } from '../insn/opcodes.ts';
import type { Registers } from '../machine/registers.ts';

/** Arithmetic on whole registers. Division by 0 gives 0, modulo 0 leaves the register. Source: RFC 9669, section 4.1. */
export function alu64(r: Registers, insn: Insn): void {
  const { u64, i64 } = r;
  const d = insn.dst;
  const isX = (insn.op & X) !== 0;
  // A number is sign-extended to 64 bits.
  const b = isX ? u64[insn.src]! : BigInt.asUintN(64, BigInt(insn.imm));
  switch (codeOf(insn.op)) {
    case ALU.ADD:
      u64[d] = u64[d]! + b;
      return;
    case ALU.SUB:
      u64[d] = u64[d]! - b;
      return;
    case ALU.MUL:
      u64[d] = u64[d]! * b;
      return;
    case ALU.DIV:
      if (insn.off === 1) i64[d] = b === 0n ? 0n : i64[d]! / BigInt.asIntN(64, b);
      else u64[d] = b === 0n ? 0n : u64[d]! / b;
      return;
    case ALU.MOD:
      if (b === 0n) return;
      if (insn.off === 1) i64[d] = i64[d]! % BigInt.asIntN(64, b);
      else u64[d] = u64[d]! % b;
      return;
    case ALU.OR:
      u64[d] = u64[d]! | b;
      return;
    case ALU.AND:
      u64[d] = u64[d]! & b;
      return;
    case ALU.XOR:
      u64[d] = u64[d]! ^ b;
      return;
    case ALU.LSH:
      u64[d] = u64[d]! << (b & 63n);
      return;
    case ALU.RSH:
      u64[d] = u64[d]! >> (b & 63n);
      return;
    case ALU.ARSH:
      i64[d] = i64[d]! >> (b & 63n);
      return;
    case ALU.NEG:
      u64[d] = -u64[d]!;
      return;
    case ALU.MOV:
      i64[d] = insn.off === 0 ? BigInt.asIntN(64, b) : BigInt.asIntN(insn.off, b);
      return;
    default:
      swap(r, insn, true);
  }
}

/** Arithmetic on the low halves; the high half of the result is 0. */
export function alu32(r: Registers, insn: Insn): void {
  const code = codeOf(insn.op);
  if (code === ALU.END) {
    swap(r, insn, (insn.op & X) !== 0);
    return;
  }
  const at = 2 * insn.dst;
  const a = r.i32[at]!;
  const b = (insn.op & X) !== 0 ? r.i32[2 * insn.src]! : insn.imm;
  r.i32[at] = low(code, a, b, insn.off);
  r.u32[at + 1] = 0;
}

function low(code: number, a: number, b: number, off: number): number {
  switch (code) {
    case ALU.ADD:
      return a + b;
    case ALU.SUB:
      return a - b;
    case ALU.MUL:
      return Math.imul(a, b);
    case ALU.DIV:
      if (b === 0) return 0;
      return off === 1 ? (a / b) | 0 : (a >>> 0) / (b >>> 0);
    case ALU.MOD:
      if (b === 0) return a;
      return off === 1 ? a % b : (a >>> 0) % (b >>> 0);
    case ALU.OR:
      return a | b;
    case ALU.AND:
      return a & b;
    case ALU.XOR:
      return a ^ b;
    case ALU.LSH:
      return a << (b & 31);
    case ALU.RSH:
      return a >>> (b & 31);
    case ALU.ARSH:
      return a >> (b & 31);
    case ALU.NEG:
      return -a;
    default:
      return off === 0 ? b : (b << (32 - off)) >> (32 - off);
  }
}

/** be16 to be64, le16 to le64, bswap16 to bswap64: the low `imm` bits, the rest 0. */
function swap(r: Registers, insn: Insn, reverses: boolean): void {
  const at = 2 * insn.dst;
  const lo = r.u32[at]!;
  const hi = r.u32[at + 1]!;
  if (insn.imm === 16) {
    r.u32[at] = reverses ? ((lo & 0xff) << 8) | ((lo >>> 8) & 0xff) : lo & 0xffff;
    r.u32[at + 1] = 0;
  } else if (insn.imm === 32) {
    r.u32[at] = reverses ? bswap32(lo) : lo;
    r.u32[at + 1] = 0;
  } else if (reverses) {
    r.u32[at] = bswap32(hi);
    r.u32[at + 1] = bswap32(lo);
  }
}

const bswap32 = (x: number): number => ((x << 24) | ((x & 0xff00) << 8) | ((x >>> 8) & 0xff00) | (x >>> 24)) >>> 0;
