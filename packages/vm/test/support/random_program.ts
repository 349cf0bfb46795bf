import fc from 'fast-check';
import type { Insn } from '../../src/index.ts';
import { ATOMIC } from '../../src/insn/opcodes.ts';
import * as a from './asm.ts';

/** Random values that find the corners: small numbers, powers of two and their neighbours, sign bits. */
const corner = fc
  .tuple(fc.nat(63), fc.integer({ min: -1, max: 1 }))
  .map(([bit, d]) => BigInt.asIntN(64, (1n << BigInt(bit)) + BigInt(d)));
const value64 = fc.oneof(
  fc.integer({ min: -3, max: 3 }).map(BigInt),
  corner,
  fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }),
);
const imm = fc.oneof(
  fc.integer({ min: -3, max: 3 }),
  corner.map((v) => Number(BigInt.asIntN(32, v))),
  fc.integer(),
);
/** Data registers; r9 is left to what surrounds them. */
const register = fc.nat(8);
const BINARY: readonly a.AluName[] = ['ADD', 'SUB', 'MUL', 'OR', 'AND', 'XOR', 'MOV'];
const DIVISION: readonly a.AluName[] = ['DIV', 'MOD'];
const SHIFT: readonly a.AluName[] = ['LSH', 'RSH', 'ARSH'];
export const CONDITIONS: readonly a.JumpName[] = [
  'JEQ',
  'JGT',
  'JGE',
  'JSET',
  'JNE',
  'JSGT',
  'JSGE',
  'JLT',
  'JLE',
  'JSLT',
  'JSLE',
];
/** Of the stack that random accesses use, from r10 downwards. */
export const SCRATCH = { from: -256, to: -128 } as const;
const slot = (bytes: number): fc.Arbitrary<number> =>
  fc.nat((SCRATCH.to - SCRATCH.from) / bytes - 1).map((i) => SCRATCH.from + i * bytes);

const shift = (is64: boolean): fc.Arbitrary<Insn> =>
  fc
    .tuple(fc.constantFrom(...SHIFT), register, fc.nat(is64 ? 63 : 31))
    .map(([code, d, n]) => (is64 ? a.alu64 : a.alu32)(code, d, n));
const nonZero = imm.map((n) => (n === 0 ? 7 : n));
const operation = (op: number): fc.Arbitrary<Insn> =>
  fc.oneof(
    fc.tuple(register, slot(8)).map(([s, off]) => a.atomic('DW', op, 10, off, s)),
    fc.tuple(register, slot(4)).map(([s, off]) => a.atomic('W', op, 10, off, s)),
  );
const ATOMICS = [ATOMIC.ADD, ATOMIC.OR, ATOMIC.AND, ATOMIC.XOR].flatMap((op) => [op, op | ATOMIC.FETCH]);

/** One instruction that neither jumps nor calls, on r0 to r8 and the scratch part of the stack. */
export const straight: fc.Arbitrary<Insn> = fc.oneof(
  fc.tuple(fc.constantFrom(...BINARY), register, imm).map(([code, d, n]) => a.alu64(code, d, n)),
  fc.tuple(fc.constantFrom(...BINARY), register, imm).map(([code, d, n]) => a.alu32(code, d, n)),
  fc
    .tuple(fc.constantFrom(...BINARY, ...DIVISION, ...SHIFT), register, register)
    .map(([code, d, s]) => a.alu64x(code, d, s)),
  fc
    .tuple(fc.constantFrom(...BINARY, ...DIVISION, ...SHIFT), register, register)
    .map(([code, d, s]) => a.alu32x(code, d, s)),
  fc
    .tuple(fc.constantFrom(...DIVISION), register, nonZero, fc.nat(1))
    .map(([code, d, n, off]) => a.alu64(code, d, n, off)),
  fc
    .tuple(fc.constantFrom(...DIVISION), register, nonZero, fc.nat(1))
    .map(([code, d, n, off]) => a.alu32(code, d, n, off)),
  fc.tuple(fc.constantFrom(...DIVISION), register, register).map(([code, d, s]) => a.alu64x(code, d, s, 1)),
  fc.tuple(fc.constantFrom(...DIVISION), register, register).map(([code, d, s]) => a.alu32x(code, d, s, 1)),
  shift(true),
  shift(false),
  register.map((d) => a.alu64('NEG', d, 0)),
  register.map((d) => a.alu32('NEG', d, 0)),
  fc.tuple(register, register, fc.constantFrom(8, 16, 32)).map(([d, s, bits]) => a.alu64x('MOV', d, s, bits)),
  fc.tuple(register, register, fc.constantFrom(8, 16)).map(([d, s, bits]) => a.alu32x('MOV', d, s, bits)),
  fc.tuple(register, fc.constantFrom(16, 32, 64)).map(([d, bits]) => a.alu32('END', d, bits)),
  fc.tuple(register, fc.constantFrom(16, 32, 64)).map(([d, bits]) => ({ ...a.alu32x('END', d, 0), imm: bits })),
  fc.tuple(register, fc.constantFrom(16, 32, 64)).map(([d, bits]) => a.alu64('END', d, bits)),
  ...(
    [
      ['B', 1],
      ['H', 2],
      ['W', 4],
      ['DW', 8],
    ] as const
  ).flatMap(([size, bytes]) => [
    fc.tuple(register, slot(bytes)).map(([d, off]) => a.ldx(size, d, 10, off)),
    fc.tuple(register, slot(bytes)).map(([s, off]) => a.stx(size, 10, off, s)),
    fc.tuple(imm, slot(bytes)).map(([n, off]) => a.st(size, 10, off, n)),
  ]),
  ...(
    [
      ['B', 1],
      ['H', 2],
      ['W', 4],
    ] as const
  ).map(([size, bytes]) => fc.tuple(register, slot(bytes)).map(([d, off]) => a.ldsx(size, d, 10, off))),
  fc.constantFrom(...ATOMICS, ATOMIC.XCHG, ATOMIC.CMPXCHG).chain(operation),
);

export const condition: fc.Arbitrary<(off: number) => Insn> = fc
  .tuple(fc.constantFrom(...CONDITIONS), register, register, imm, fc.nat(3))
  .map(([code, d, s, n, kind]) => (off: number) => {
    if (kind === 0) return a.jump(code, d, n, off);
    if (kind === 1) return a.jumpx(code, d, s, off);
    return kind === 2 ? a.jump32(code, d, n, off) : a.jump32x(code, d, s, off);
  });

/** Values for r0 to r8 and for the scratch part of the stack. */
export const prologue: fc.Arbitrary<Insn[]> = fc
  .tuple(fc.array(value64, { minLength: 9, maxLength: 9 }), fc.array(value64, { minLength: 16, maxLength: 16 }))
  .map(([registers, words]) => [
    ...words.flatMap((v, i) => [...a.lddw(0, v), a.stx('DW', 10, SCRATCH.from + 8 * i, 0)]),
    ...registers.flatMap((v, i) => a.lddw(i, v)),
  ]);

/** Straight code with forward jumps over parts of it, and counted loops by r9: what the kernel's verifier accepts. */
export const verifiable: fc.Arbitrary<Insn[]> = fc
  .array(
    fc.oneof(
      fc.array(straight, { minLength: 1, maxLength: 6 }),
      fc
        .tuple(condition, fc.array(straight, { minLength: 1, maxLength: 4 }))
        .map(([jump, skipped]) => [jump(skipped.length), ...skipped]),
      fc
        .tuple(fc.integer({ min: 1, max: 4 }), fc.array(straight, { minLength: 1, maxLength: 4 }))
        .map(([turns, body]) => [
          a.mov(9, turns),
          ...body,
          a.alu64('ADD', 9, -1),
          a.jump('JNE', 9, 0, -(body.length + 2)),
        ]),
    ),
    { minLength: 1, maxLength: 12 },
  )
  .map((parts) => parts.flat());

/** Blocks that jump anywhere, forward and back, into the middle of loops too; r9 counts down and ends it. */
export const wild: fc.Arbitrary<Insn[]> = fc
  .array(fc.tuple(fc.array(straight, { maxLength: 3 }), condition, fc.nat(11)), { minLength: 1, maxLength: 12 })
  .map((blocks) => {
    const starts: number[] = [];
    let at = 1;
    for (const [body] of blocks) {
      starts.push(at);
      at += body.length + 3;
    }
    const end = at;
    const code = [a.mov(9, 60)];
    for (const [body, jump, target] of blocks) {
      code.push(a.alu64('ADD', 9, -1), a.jump('JEQ', 9, 0, end - code.length - 2), ...body);
      code.push(jump(starts[target % blocks.length]! - code.length - 1));
    }
    return code;
  });

/** r0 to r8 onto the stack at -80, and 0 in r0. */
export const epilogue = (): Insn[] => [
  ...Array.from({ length: 9 }, (_, n) => a.stx('DW', 10, -80 + 8 * n, n)),
  a.mov(0, 0),
  a.exit(),
];
