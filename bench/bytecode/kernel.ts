import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OBJECT, PACKET } from './program.ts';

/** The object's programs, loaded by bpftool and timed by the kernel itself. */
export class Kernel {
  private readonly folder = mkdtempSync(join(tmpdir(), 'ciliate-bench-'));
  private reader: ChildProcess | undefined;
  private readonly pin = `/sys/fs/bpf/ciliate_bench_${process.pid}`;

  static open(): Kernel | undefined {
    const kernel = new Kernel();
    try {
      const args = ['prog', 'loadall', OBJECT, kernel.pin, 'pinmaps', `${kernel.pin}_maps`];
      execFileSync('bpftool', args, { stdio: 'ignore' });
      writeFileSync(join(kernel.folder, 'packet'), PACKET);
      kernel.run('fill', 1);
      return kernel;
    } catch {
      kernel.close();
      return undefined;
    }
  }

  /** Mean of the runs, ns; and what the last one answered. */
  run(program: string, repeat: number): { duration: number; retval: number } {
    const args = ['-j', 'prog', 'run', 'pinned', join(this.pin, program), 'data_in', join(this.folder, 'packet')];
    return JSON.parse(execFileSync('bpftool', [...args, 'repeat', String(repeat)], { encoding: 'utf8' }));
  }

  /** From now on somebody reads the events; what he cannot keep up with, the kernel drops. */
  readEvents(): void {
    const args = ['map', 'event_pipe', 'pinned', join(`${this.pin}_maps`, 'events')];
    this.reader = spawn('bpftool', args, { stdio: 'ignore' });
  }

  close(): void {
    this.reader?.kill();
    for (const pin of [this.pin, `${this.pin}_maps`]) rmSync(pin, { recursive: true, force: true });
    rmSync(this.folder, { recursive: true });
  }
}
