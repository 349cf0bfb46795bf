import { readFileSync } from 'node:fs';
import { Memory } from '@ciliate/maps';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isProgram, loadObject, programType, testRun, Vm, VmError } from '../src/index.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
const ENGINES = ['interpreter', 'checked'] as const;
const objects = Number(process.env.CILIATE_VM_FUZZ_RUNS ?? 600);
const numRuns = Math.ceil(objects / ENGINES.length);
console.log(`seed ${seed}, ${objects} objects`);

const OBJECTS = ['maps', 'packets', 'xdp', 'suite', 'bench', 'datapath'].map((name) =>
  readFileSync(new URL(`fixtures/${name}.bpf.o`, import.meta.url)),
);
const PACKET = new Uint8Array(120).fill(8);
const MEMORY_BYTES = 16 * 1024 * 1024;
const PARTS = 1_000_000;

/** Where, of a million parts of the file, and what: any byte, or one bit of what is there. */
const change = fc.tuple(fc.nat(PARTS), fc.nat(255), fc.boolean());

/** What a user's command would do with these bytes. @returns how many programs ran to their end */
function tryObject(bytes: Uint8Array, engine: 'interpreter' | 'checked'): number {
  let ran = 0;
  const vm = new Vm({ memory: Memory.create(MEMORY_BYTES), engine, budget: 5_000 });
  const image = vm.load(loadObject(bytes, 'fuzz.o'));
  for (const fn of image.functions.values()) {
    const type = programType(fn.def.section);
    if (!isProgram(fn.def) || type === 'other') continue;
    try {
      testRun(vm, fn, type, PACKET);
      ran++;
    } catch (error) {
      if (!(error instanceof VmError)) throw error;
    }
  }
  return ran;
}

test.each(ENGINES)(
  'an object with bytes changed runs, is refused or is stopped: %s',
  (engine) => {
    let ran = 0;
    let refused = 0;
    fc.assert(
      fc.property(fc.nat(OBJECTS.length - 1), fc.array(change, { minLength: 1, maxLength: 12 }), (object, changes) => {
        const bytes = new Uint8Array(OBJECTS[object]!);
        for (const [place, value, isBit] of changes) {
          const at = Math.floor((place / PARTS) * (bytes.length - 1));
          bytes[at] = isBit ? bytes[at]! ^ (1 << (value & 7)) : value;
        }
        try {
          ran += tryObject(bytes, engine);
        } catch (error) {
          expect(error).toBeInstanceOf(VmError);
          refused++;
        }
      }),
      { seed, numRuns },
    );
    expect(ran).toBeGreaterThan(0);
    expect(refused).toBeGreaterThan(0);
  },
  60_000 + 20 * objects,
);
