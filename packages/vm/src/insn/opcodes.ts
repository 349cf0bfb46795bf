/** Opcodes of the BPF instruction set. Source: RFC 9669, sections 3 to 5. */
export const CLASS = { LD: 0, LDX: 1, ST: 2, STX: 3, ALU: 4, JMP: 5, JMP32: 6, ALU64: 7 } as const;
/** Bit 3 of ALU and JMP opcodes: the second operand is a register. */
export const X = 0x08;
export const ALU = {
  ADD: 0x00,
  SUB: 0x10,
  MUL: 0x20,
  DIV: 0x30,
  OR: 0x40,
  AND: 0x50,
  LSH: 0x60,
  RSH: 0x70,
  NEG: 0x80,
  MOD: 0x90,
  XOR: 0xa0,
  MOV: 0xb0,
  ARSH: 0xc0,
  END: 0xd0,
} as const;
export const JMP = {
  JA: 0x00,
  JEQ: 0x10,
  JGT: 0x20,
  JGE: 0x30,
  JSET: 0x40,
  JNE: 0x50,
  JSGT: 0x60,
  JSGE: 0x70,
  CALL: 0x80,
  EXIT: 0x90,
  JLT: 0xa0,
  JLE: 0xb0,
  JSLT: 0xc0,
  JSLE: 0xd0,
} as const;
/** Bits 3..4 of loads and stores. */
export const SIZE = { W: 0x00, H: 0x08, B: 0x10, DW: 0x18 } as const;
/** Bits 5..7 of loads and stores. */
export const MODE = { IMM: 0x00, ABS: 0x20, IND: 0x40, MEM: 0x60, MEMSX: 0x80, ATOMIC: 0xc0 } as const;
/** In `imm` of an atomic instruction; bit 0 (FETCH): the old value goes to the source register. */
export const ATOMIC = { ADD: 0x00, OR: 0x40, AND: 0x50, XOR: 0xa0, FETCH: 0x01, XCHG: 0xe1, CMPXCHG: 0xf1 } as const;
export const LDDW = CLASS.LD | SIZE.DW | MODE.IMM;
export const CALL = CLASS.JMP | JMP.CALL;
export const EXIT = CLASS.JMP | JMP.EXIT;
/** In `src` of LDDW. The loader replaces them: after linking, all are plain numbers except FUNCTION. */
export const PSEUDO = { NUMBER: 0, MAP: 1, MAP_VALUE: 2, FUNCTION: 4 } as const;
/** In `src` of CALL. */
export const PSEUDO_CALL = { HELPER: 0, LOCAL: 1, KFUNC: 2 } as const;

export const classOf = (op: number): number => op & 7;
export const sizeOf = (op: number): number => [4, 2, 1, 8][(op >> 3) & 3]!;
export const modeOf = (op: number): number => op & 0xe0;
export const codeOf = (op: number): number => op & 0xf0;
