import { describe, expect, test } from 'vitest';
import { disassemble, type Insn } from '../src/index.ts';
import { ATOMIC } from '../src/insn/opcodes.ts';
import * as a from './support/asm.ts';
import { BACK_ENDS, runInsns } from './support/run.ts';

const big = (value: bigint): Insn[] => a.lddw(1, value);

/** What r0 holds at the end, as a signed number. */
const scenarios: [name: string, code: Insn[], want: bigint][] = [
  ['a 32-bit addition clears the high half', [...big(-1n), a.alu32('ADD', 1, 1), a.movx(0, 1)], 0n],
  ['a 64-bit number is sign-extended', [a.mov(0, -5)], -5n],
  ['a 32-bit number is not', [a.alu32('MOV', 0, -5)], 0xffff_fffbn],
  ['division is unsigned', [a.mov(0, -8), a.alu64('DIV', 0, 2)], (1n << 63n) - 4n],
  ['signed division rounds towards 0', [a.mov(0, -7), a.alu64('DIV', 0, 2, 1)], -3n],
  ['signed 32-bit division too', [a.mov(0, -7), a.alu32('DIV', 0, 2, 1)], 0xffff_fffdn],
  ['division by a register that is 0 gives 0', [a.mov(0, 7), a.mov(1, 0), a.alu64x('DIV', 0, 1)], 0n],
  ['modulo 0 leaves the register', [a.mov(0, 7), a.mov(1, 0), a.alu64x('MOD', 0, 1)], 7n],
  ['32-bit modulo 0 leaves the low half', [...a.lddw(0, -2n), a.mov(1, 0), a.alu32x('MOD', 0, 1)], 0xffff_fffen],
  [
    'the smallest number divided by -1 is itself',
    [...a.lddw(0, -(1n << 63n)), a.mov(1, -1), a.alu64x('DIV', 0, 1, 1)],
    -(1n << 63n),
  ],
  ['the smallest number modulo -1 is 0', [...a.lddw(0, -(1n << 63n)), a.mov(1, -1), a.alu64x('MOD', 0, 1, 1)], 0n],
  [
    'the smallest 32-bit number divided by -1 is itself',
    [a.mov(0, -(2 ** 31)), a.mov(1, -1), a.alu32x('DIV', 0, 1, 1)],
    0x8000_0000n,
  ],
  ['a shift by a register counts modulo 64', [a.mov(0, 1), a.mov(1, 65), a.alu64x('LSH', 0, 1)], 2n],
  ['a 32-bit shift modulo 32', [a.mov(0, 1), a.mov(1, 33), a.alu32x('LSH', 0, 1)], 2n],
  ['an arithmetic shift keeps the sign', [a.mov(0, -8), a.alu64('ARSH', 0, 1)], -4n],
  ['a 32-bit arithmetic shift keeps the sign of the low half', [a.mov(0, -8), a.alu32('ARSH', 0, 1)], 0xffff_fffcn],
  ['be16 swaps and cuts', [...a.lddw(0, 0x1122_3344_5566_7788n), { ...a.alu32x('END', 0, 0), imm: 16 }], 0x8877n],
  ['be32 swaps and cuts', [...a.lddw(0, 0x1122_3344_5566_7788n), { ...a.alu32x('END', 0, 0), imm: 32 }], 0x8877_6655n],
  ['be64 swaps', [...a.lddw(0, 0x1122_3344_5566_7708n), { ...a.alu32x('END', 0, 0), imm: 64 }], 0x0877_6655_4433_2211n],
  ['le16 only cuts', [...a.lddw(0, 0x1122_3344_5566_7788n), a.alu32('END', 0, 16)], 0x7788n],
  ['bswap32 swaps and cuts', [...a.lddw(0, 0x1122_3344_5566_7708n), a.alu64('END', 0, 32)], 0x0877_6655n],
  ['a sign-extending move of 8 bits', [a.mov(1, 0x80), a.alu64x('MOV', 0, 1, 8)], -128n],
  ['a sign-extending 32-bit move clears the high half', [a.mov(1, 0x80), a.alu32x('MOV', 0, 1, 8)], 0xffff_ff80n],
  ['a sign-extending load', [a.st('H', 10, -8, 0x8000), a.ldsx('H', 0, 10, -8)], -32768n],
  ['a plain load is zero-extended', [a.st('W', 10, -8, -1), a.ldx('W', 0, 10, -8)], 0xffff_ffffn],
  [
    'an address need not be aligned',
    [...big(0x0102_0304_0506_0708n), a.stx('DW', 10, -13, 1), a.ldx('W', 0, 10, -10)],
    0x0203_0405n,
  ],
  ['gotol jumps by its number', [a.mov(0, 1), a.gotol(1), a.mov(0, 2)], 1n],
  [
    'a 32-bit comparison ignores the high half',
    [...big(1n << 32n), a.mov(0, 1), a.jump32('JEQ', 1, 0, 1), a.mov(0, 2)],
    1n,
  ],
  ['JSET tests bits', [a.mov(1, 6), a.mov(0, 1), a.jump('JSET', 1, 4, 1), a.mov(0, 2)], 1n],
  ['a signed comparison sees a negative number', [a.mov(1, -1), a.mov(0, 1), a.jump('JSLT', 1, 0, 1), a.mov(0, 2)], 1n],
  ['an unsigned comparison sees a large one', [a.mov(1, -1), a.mov(0, 1), a.jump('JLT', 1, 0, 1), a.mov(0, 2)], 2n],
  [
    'fetch-and-add answers the old value',
    [a.st('DW', 10, -8, 40), a.mov(0, 2), a.atomic('DW', ATOMIC.ADD | ATOMIC.FETCH, 10, -8, 0)],
    40n,
  ],
  [
    'an atomic addition changes memory',
    [a.st('DW', 10, -8, 40), a.mov(1, 2), a.atomic('DW', ATOMIC.ADD, 10, -8, 1), a.ldx('DW', 0, 10, -8)],
    42n,
  ],
  [
    'a 32-bit fetch is zero-extended',
    [a.st('W', 10, -8, -1), a.mov(0, 0), a.atomic('W', ATOMIC.OR | ATOMIC.FETCH, 10, -8, 0)],
    0xffff_ffffn,
  ],
  ['xchg swaps', [a.st('DW', 10, -8, 3), a.mov(0, 4), a.atomic('DW', ATOMIC.XCHG, 10, -8, 0)], 3n],
  [
    'cmpxchg stores if r0 has the old value',
    [
      a.st('DW', 10, -8, 3),
      a.mov(0, 3),
      a.mov(1, 9),
      a.atomic('DW', ATOMIC.CMPXCHG, 10, -8, 1),
      a.ldx('DW', 0, 10, -8),
    ],
    9n,
  ],
  [
    'cmpxchg answers the value that it found',
    [a.st('DW', 10, -8, 3), a.mov(0, 4), a.mov(1, 9), a.atomic('DW', ATOMIC.CMPXCHG, 10, -8, 1)],
    3n,
  ],
];

describe.each(BACK_ENDS)('%s', (backEnd) => {
  test.each(scenarios)('%s', (_name, code, want) => {
    const { result, stack } = runInsns([...code, a.stx('DW', 10, -16, 0), a.mov(0, 0), a.exit()], backEnd);
    expect(result).toBe(0);
    expect(Buffer.from(stack, 'hex').readBigInt64LE(512 - 16)).toBe(want);
  });
});

const texts: [want: string, insn: Insn][] = [
  ['r1 = *(u32 *)(r6 + 76)', a.ldx('W', 1, 6, 76)],
  ['r1 = *(s8 *)(r6 - 1)', a.ldsx('B', 1, 6, -1)],
  ['*(u64 *)(r10 - 8) = r1', a.stx('DW', 10, -8, 1)],
  ['w1 += w2', a.alu32x('ADD', 1, 2)],
  ['r1 s>>= 3', a.alu64('ARSH', 1, 3)],
  ['if w1 s> 5 goto 2', a.jump32('JSGT', 1, 5, 1)],
  ['lock *(u64 *)(r1 + 8) += r2', a.atomic('DW', ATOMIC.ADD, 1, 8, 2)],
  ['r3 = 0xff ll', a.lddw(3, 0xffn)[0]!],
  ['exit', a.exit()],
];
test.each(texts)('%s', (want, insn) => expect(disassemble(insn, 0)).toBe(want));
