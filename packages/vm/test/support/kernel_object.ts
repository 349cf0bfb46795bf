import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PINS = '/sys/fs/bpf';
let objects = 0;

export interface KernelAnswer {
  status: number;
  packet: string;
}

/** An object's programs in the kernel of this machine. */
export class KernelObject {
  private readonly pin = join(PINS, `ciliate_vm_${process.pid}_${objects++}`);
  private readonly directory = mkdtempSync(join(tmpdir(), 'ciliate-vm-'));

  /** @returns undefined where loading programs is not permitted */
  static open(path: string): KernelObject | undefined {
    const object = new KernelObject();
    try {
      // A prog array is emptied when no process and no pin holds it.
      const args = ['prog', 'loadall', path, object.pin, 'pinmaps', `${object.pin}_maps`];
      execFileSync('bpftool', args, { stdio: 'ignore' });
      return object;
    } catch {
      object.close();
      return undefined;
    }
  }

  run(program: string, packet: Uint8Array): KernelAnswer {
    const [input, output] = [join(this.directory, 'in'), join(this.directory, 'out')];
    writeFileSync(input, packet);
    const args = ['-j', 'prog', 'run', 'pinned', join(this.pin, program), 'data_in', input, 'data_out', output];
    const { retval } = JSON.parse(execFileSync('bpftool', args, { encoding: 'utf8' })) as { retval: number };
    return { status: retval, packet: readFileSync(output).toString('hex') };
  }

  close(): void {
    rmSync(this.directory, { recursive: true });
    for (const pin of [this.pin, `${this.pin}_maps`]) rmSync(pin, { recursive: true, force: true });
  }
}
