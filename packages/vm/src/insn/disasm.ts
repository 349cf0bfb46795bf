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
  sizeOf,
  X,
} from './opcodes.ts';
import { jumpTarget } from './validate.ts';

const OPERATORS: Readonly<Record<number, string>> = {
  [ALU.ADD]: '+=',
  [ALU.SUB]: '-=',
  [ALU.MUL]: '*=',
  [ALU.DIV]: '/=',
  [ALU.OR]: '|=',
  [ALU.AND]: '&=',
  [ALU.LSH]: '<<=',
  [ALU.RSH]: '>>=',
  [ALU.MOD]: '%=',
  [ALU.XOR]: '^=',
  [ALU.MOV]: '=',
  [ALU.ARSH]: 's>>=',
};
const COMPARISONS: Readonly<Record<number, string>> = {
  [JMP.JEQ]: '==',
  [JMP.JGT]: '>',
  [JMP.JGE]: '>=',
  [JMP.JSET]: '&',
  [JMP.JNE]: '!=',
  [JMP.JSGT]: 's>',
  [JMP.JSGE]: 's>=',
  [JMP.JLT]: '<',
  [JMP.JLE]: '<=',
  [JMP.JSLT]: 's<',
  [JMP.JSLE]: 's<=',
};
const ATOMICS: Readonly<Record<number, string>> = {
  [ATOMIC.ADD]: '+=',
  [ATOMIC.OR]: '|=',
  [ATOMIC.AND]: '&=',
  [ATOMIC.XOR]: '^=',
};

/** What an instruction refers to, in words: a helper's name, a function, a map. undefined: a plain number. */
export type NameOf = (insn: Insn, slot: number) => string | undefined;

/**
 * One instruction as clang and bpftool write them: `r1 = *(u32 *)(r6 + 76)`, `if w1 s> 5 goto 12`. Targets of jumps are
 * numbers of instructions of the function, not distances.
 */
export function disassemble(insn: Insn, slot: number, nameOf: NameOf = () => undefined): string {
  switch (classOf(insn.op)) {
    case CLASS.ALU:
    case CLASS.ALU64:
      return alu(insn);
    case CLASS.JMP:
    case CLASS.JMP32:
      return jump(insn, slot, nameOf);
    default:
      return memory(insn, slot, nameOf);
  }
}

function alu(insn: Insn): string {
  const r = classOf(insn.op) === CLASS.ALU64 ? 'r' : 'w';
  const code = codeOf(insn.op);
  if (code === ALU.NEG) return `${r}${insn.dst} = -${r}${insn.dst}`;
  if (code === ALU.END) {
    const kind = r === 'r' ? 'bswap' : (insn.op & X) !== 0 ? 'be' : 'le';
    return `r${insn.dst} = ${kind}${insn.imm} r${insn.dst}`;
  }
  const isX = (insn.op & X) !== 0;
  const second = isX ? `${r}${insn.src}` : String(insn.imm);
  if (code === ALU.MOV && insn.off !== 0) return `${r}${insn.dst} = (s${insn.off})${second}`;
  const sign = (code === ALU.DIV || code === ALU.MOD) && insn.off === 1 ? 's' : '';
  return `${r}${insn.dst} ${sign}${OPERATORS[code] ?? '?'} ${second}`;
}

function jump(insn: Insn, slot: number, nameOf: NameOf): string {
  if (insn.op === EXIT) return 'exit';
  if (insn.op === CALL) {
    const name = nameOf(insn, slot);
    if (name !== undefined) return `call ${name}`;
    return insn.src === PSEUDO_CALL.LOCAL ? `call pc${insn.imm >= 0 ? '+' : ''}${insn.imm}` : `call ${insn.imm}`;
  }
  const target = jumpTarget(insn, slot);
  if (codeOf(insn.op) === JMP.JA) return `goto ${target}`;
  const r = classOf(insn.op) === CLASS.JMP ? 'r' : 'w';
  const second = (insn.op & X) !== 0 ? `${r}${insn.src}` : String(insn.imm);
  return `if ${r}${insn.dst} ${COMPARISONS[codeOf(insn.op)] ?? '?'} ${second} goto ${target}`;
}

function memory(insn: Insn, slot: number, nameOf: NameOf): string {
  if (insn.op === LDDW) {
    const name = nameOf(insn, slot);
    return `r${insn.dst} = ${name ?? `0x${insn.imm64.toString(16)}`} ll`;
  }
  const bits = sizeOf(insn.op) * 8;
  const at = (base: number): string => `(r${base} ${insn.off < 0 ? '-' : '+'} ${Math.abs(insn.off)})`;
  if (modeOf(insn.op) === MODE.ATOMIC) return atomic(insn, bits, at(insn.dst));
  switch (classOf(insn.op)) {
    case CLASS.LDX:
      return `r${insn.dst} = *(${modeOf(insn.op) === MODE.MEMSX ? 's' : 'u'}${bits} *)${at(insn.src)}`;
    case CLASS.ST:
      return `*(u${bits} *)${at(insn.dst)} = ${insn.imm}`;
    default:
      return `*(u${bits} *)${at(insn.dst)} = r${insn.src}`;
  }
}

function atomic(insn: Insn, bits: number, at: string): string {
  const r = `${bits === 32 ? 'w' : 'r'}${insn.src}`;
  const r0 = bits === 32 ? 'w0' : 'r0';
  if (insn.imm === ATOMIC.XCHG) return `${r} = xchg_${bits}(*(u${bits} *)${at}, ${r})`;
  if (insn.imm === ATOMIC.CMPXCHG) return `${r0} = cmpxchg_${bits}(*(u${bits} *)${at}, ${r0}, ${r})`;
  const operator = ATOMICS[insn.imm & ~ATOMIC.FETCH] ?? '?';
  const text = `lock *(u${bits} *)${at} ${operator} ${r}`;
  return (insn.imm & ATOMIC.FETCH) !== 0 ? `${r} = fetch ${text}` : text;
}
