import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { openKernel } from './support/kernel.ts';
import { epilogue, prologue, verifiable } from './support/random_program.ts';
import { runInsns } from './support/run.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);
const kernel = openKernel();
afterAll(() => kernel?.close());

test.skipIf(kernel === undefined)(
  'the kernel leaves the same registers (skipped without bpftool, root and /sys/fs/bpf)',
  () => {
    fc.assert(
      fc.property(prologue, verifiable, (start, code) => {
        const { stack } = runInsns([...start, ...code, ...epilogue()], 'compiled');
        const registers = stack.slice(2 * (512 - 80), 2 * (512 - 8));
        expect(kernel!.registersAfter([...start, ...code])).toBe(registers);
      }),
      { seed, numRuns: 30 },
    );
  },
);
