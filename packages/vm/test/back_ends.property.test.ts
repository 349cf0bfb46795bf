import fc from 'fast-check';
import { expect, test } from 'vitest';
import { epilogue, prologue, verifiable, wild } from './support/random_program.ts';
import { runInsns } from './support/run.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

test.each([
  ['jumps forward and counted loops', verifiable],
  ['any control flow, loops with two entries among it', wild],
])('all back ends leave the same registers and memory: %s', (_name, body) => {
  fc.assert(
    fc.property(prologue, body, (start, code) => {
      const insns = [...start, ...code, ...epilogue()];
      const want = runInsns(insns, 'interpreter');
      expect(want.result).toBe(0);
      expect(runInsns(insns, 'compiled')).toEqual(want);
      expect(runInsns(insns, 'compiled, checked')).toEqual(want);
    }),
    { seed, numRuns: 300 },
  );
});
