import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { isProgram, loadObject, programType, testRun, Vm } from '../src/index.ts';
import { KernelObject } from './support/kernel_object.ts';

const ENGINES = ['interpreter', 'compiled', 'checked'] as const;
const OUT = 64;
const fixture = (name: string): string => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));

/** IPv4 from a multicast address, with bytes that tell their places. */
const PACKET = Uint8Array.from({ length: 120 }, (_, i) =>
  i < 12 ? i + 1 : i === 12 ? 8 : i === 13 ? 0 : i === 14 ? 0x45 : (i * 7) & 0xff,
);

/** What the programs note, word by word from OUT on, in the order of the programs' numbers; from the kernel they are the same. */
const noted: [object: string, program: string, status: number, notes: number[]][] = [
  ['maps', 'hash_map', 0, [1, -2, 0, -17, 15, 8, 0, 0, 0, -7, -7, -7, 0, -2]],
  ['maps', 'other_maps', 0, [0, 7, 0, 5, 1, 3, 0, -7, -17, -22, 7]],
  ['maps', 'lpm_trie', 0, [0, 0, 0, 3, 2, 1, 0, 1]],
  ['maps', 'map_in_map', 0, [0, 0, 1, 10, 0, 0, 1, 30, 0, 0]],
  ['maps', 'globals', 0, [2, 42]],
  ['maps', 'local_calls', 0, [484, 500]],
  ['maps', 'callbacks', 0, [5, 10, 2, 11, -7, 3, 8]],
  ['maps', 'tail_call', 0, [5, 5, 6, 38]],
  ['maps', 'ring_buffer', 0, [1, 0]],
];

/** Programs whose notes are compared with the kernel's only: what they say is the kernel's arithmetic. */
const objects = ['maps', 'packets', 'xdp'];

function run(object: string, program: string, engine: (typeof ENGINES)[number]): { status: number; packet: string } {
  const vm = new Vm({ engine, seed: 1 });
  const image = vm.load(loadObject(readFileSync(fixture(`${object}.bpf.o`)), object));
  const fn = image.functions.get(program)!;
  const type = programType(fn.def.section);
  const { status, data } = testRun(vm, fn, type === 'xdp' ? 'xdp' : 'tc', PACKET);
  return { status, packet: Buffer.from(data).toString('hex') };
}

describe.each(ENGINES)('%s', (engine) => {
  test.each(noted)('%s: %s', (object, program, status, notes) => {
    const result = run(object, program, engine);
    const packet = Buffer.from(result.packet, 'hex');
    expect({ status: result.status, notes: notes.map((_, i) => packet.readInt32LE(OUT + 4 * i)) }).toEqual({
      status,
      notes,
    });
  });
});

const probe = KernelObject.open(fixture('packets.bpf.o'));
probe?.close();

describe.skipIf(probe === undefined).each(objects)(
  '%s.bpf.o as in the kernel (skipped without root, bpftool and /sys/fs/bpf)',
  (object) => {
    const path = fixture(`${object}.bpf.o`);
    const programs = [...loadObject(readFileSync(path), object).functions.values()]
      .filter(isProgram)
      .map(({ name }) => name);
    test.each(programs)('%s', (program) => {
      const kernel = KernelObject.open(path)!; // for each program anew: maps and variables as they were built
      try {
        const want = kernel.run(program, PACKET);
        for (const engine of ENGINES) expect(run(object, program, engine), engine).toEqual(want);
      } finally {
        kernel.close();
      }
    });
  },
);
