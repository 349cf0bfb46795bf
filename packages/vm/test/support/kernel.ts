import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Insn } from '../../src/index.ts';
import * as a from './asm.ts';
import { writeElf } from './elf_writer.ts';

const PINS = '/sys/fs/bpf';
const RESULT_BYTES = 72;

const bpftool = (...args: string[]): string =>
  execFileSync('bpftool', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

/** Runs programs in the kernel of this machine; undefined where that is not permitted. */
export function openKernel(): KernelRunner | undefined {
  const runner = new KernelRunner();
  try {
    runner.registersAfter([...Array.from({ length: 9 }, (_, n) => a.mov(n, n))]);
    return runner;
  } catch {
    runner.close();
    return undefined;
  }
}

export class KernelRunner {
  private readonly directory = mkdtempSync(join(tmpdir(), 'ciliate-vm-'));
  private readonly pin = join(PINS, `ciliate_vm_${process.pid}`);

  /** r0 to r8 after these instructions, each as hex of 8 bytes. They may use all of the stack but its last 88 bytes. */
  registersAfter(insns: readonly Insn[]): string {
    const object = join(this.directory, 'program.o');
    writeFileSync(object, writeElf('xdp', 'main', packetProgram(insns)));
    bpftool('prog', 'load', object, this.pin);
    try {
      const [input, output] = [join(this.directory, 'in'), join(this.directory, 'out')];
      writeFileSync(input, new Uint8Array(RESULT_BYTES));
      bpftool('prog', 'run', 'pinned', this.pin, 'data_in', input, 'data_out', output);
      return readFileSync(output).subarray(0, RESULT_BYTES).toString('hex');
    } finally {
      rmSync(this.pin);
    }
  }

  close(): void {
    rmSync(this.directory, { recursive: true });
  }
}

/** An XDP program that writes r0 to r8 into its packet. */
function packetProgram(insns: readonly Insn[]): Insn[] {
  const copies = Array.from({ length: 9 }, (_, n) => [
    a.ldx('DW', 0, 10, -80 + 8 * n),
    a.stx('DW', 1, 8 * n, 0),
  ]).flat();
  return [
    a.stx('DW', 10, -88, 1),
    ...insns,
    ...Array.from({ length: 9 }, (_, n) => a.stx('DW', 10, -80 + 8 * n, n)),
    a.ldx('DW', 6, 10, -88),
    a.ldx('W', 1, 6, 0),
    a.ldx('W', 2, 6, 4),
    a.movx(3, 1),
    a.alu64('ADD', 3, RESULT_BYTES),
    a.jumpx('JGT', 3, 2, copies.length),
    ...copies,
    a.mov(0, 2),
    a.exit(),
  ];
}
