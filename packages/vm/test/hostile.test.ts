import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Code, encode, HELPERS, type Insn, VmError, validate } from '../src/index.ts';
import { loadObject } from '../src/object/load.ts';
import * as a from './support/asm.ts';
import { writeElf } from './support/elf_writer.ts';
import { runInsns } from './support/run.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

const refused: [name: string, code: Insn[], why: string][] = [
  ['an unknown opcode', [{ ...a.exit(), op: 0xff }], 'opcode 0xff'],
  ['register 11', [a.mov(11, 0), a.exit()], 'a register that does not exist'],
  ['a write to the frame pointer', [a.mov(10, 0), a.exit()], 'writes r10'],
  ['a jump out of the function', [a.goto(5), a.exit()], 'jumps out of the function, to 6'],
  ['a jump into a 64-bit constant', [a.goto(1), ...a.lddw(0, 1n), a.exit()], 'jumps into a 64-bit constant, to 2'],
  ['no exit at the end', [a.mov(0, 0)], 'runs past the end'],
  ['division by the number 0', [a.alu64('DIV', 0, 0), a.exit()], 'divides by 0'],
  ['a shift by 64', [a.alu64('LSH', 0, 64), a.exit()], 'shifts by 64'],
  ['the legacy access to packets', [{ ...a.exit(), op: 0x20 }, a.exit()], 'legacy way'],
  ['a kernel function', [{ ...a.call(1), src: 2 }, a.exit()], 'a kernel function'],
  ['an atomic operation on 2 bytes', [{ ...a.exit(), op: 0xcb }, a.exit()], 'less than 4 bytes'],
];
test.each(refused)('refused: %s', (_name, code, why) => {
  expect(() => validate(Code.decode(encode(code), 'main'), 'main')).toThrow(why);
});

const stopped: [name: string, code: Insn[], why: string][] = [
  ['a NULL pointer', [a.mov(1, 0), a.ldx('W', 0, 1, 0), a.exit()], 'a NULL pointer'],
  ['a pointer with a high half', [...a.lddw(1, 1n << 40n), a.ldx('W', 0, 1, 0), a.exit()], 'no pointer'],
  ['a place below the stack', [a.movx(1, 10), a.alu64('ADD', 1, -513), a.ldx('B', 0, 1, 0), a.exit()], 'reads 1 bytes'],
  ['a place behind the context', [a.ldx('W', 0, 1, 189), a.exit()], 'past the end of what lies at context + 189'],
  [
    'a helper that reads much of nothing',
    [a.mov(1, 0), a.mov(2, 0x2000_0000), a.mov(3, 0), a.mov(4, 0), a.mov(5, 0), a.call(28), a.exit()],
    'a NULL pointer',
  ],
  ['a write anywhere', [a.mov(1, 4_000_000), a.st('DW', 1, 0, 1), a.exit()], 'writes 8 bytes'],
];
describe.each(['interpreter', 'compiled, checked'] as const)('stopped by the %s', (backEnd) => {
  test.each(stopped)('%s', (_name, code, why) => expect(runInsns(code, backEnd, HELPERS).result).toContain(why));
  test('a loop without an end', () => {
    expect(runInsns([a.goto(-1), a.exit()], backEnd).result).toMatch(/ran for too many (instructions|turns of a loop)/);
  });
});

test('a helper that is not modelled stops the program where it is called', () => {
  for (const backEnd of ['interpreter', 'compiled'] as const) {
    expect(runInsns([a.call(9999), a.exit()], backEnd).result).toContain('helper 9999 is not modelled');
  }
});

test('an object with any bytes changed is loaded or refused, and nothing else', () => {
  const good = writeElf('tc', 'main', [
    a.mov(1, 3),
    a.stx('DW', 10, -8, 1),
    ...a.lddw(0, 5n),
    a.jump('JEQ', 1, 3, 1),
    a.mov(0, 1),
    a.exit(),
  ]);
  const change = fc.tuple(fc.nat(good.length - 1), fc.nat(255));
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), fc.nat(good.length), (changes, size) => {
      const bytes = good.slice(0, size % 3 === 0 ? size : good.length);
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
      try {
        loadObject(bytes, 'fuzz.o');
      } catch (error) {
        expect(error).toBeInstanceOf(VmError);
      }
    }),
    { seed, numRuns: 3000 },
  );
});
