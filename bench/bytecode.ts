/**
 * How long does a compiled eBPF program take in the room `vm`, and how long in this machine's kernel (its JIT)? The same bytes, on
 * maps filled by the same program, in turns. The programs: packages/vm/test/bpf/bench.bpf.c.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Image, loadObject, testRun, Vm } from '@ciliate/vm';
import { printTable } from './print.ts';
import { median, round } from './stats.ts';
import type { BenchOptions, QuestionResult, Ratio, ResultRow } from './types.ts';

const OBJECT = fileURLToPath(new URL('../packages/vm/test/fixtures/bench.bpf.o', import.meta.url));
/** What VM / kernel may be at most. */
const PROGRAMS: Readonly<Record<string, number | null>> = {
  nothing: 1,
  policy_drop: 0.8,
  policy_drop_event: null,
  established: 0.8,
  translate: 1,
  compute: 1,
  call: 1,
};
/** Entries that `fill` puts into each map. */
const ENTRIES = 256;
/** Of one slice: short, so that another process seldom comes between. */
const SLICE_NS = 500_000;
const WARM_UP = 100_000;
const MIN_SLICES = 5;
/** TCP from 10.0.0.1 to 10.0.1.8, of a connection that `fill` made. */
const PACKET = Buffer.concat([
  Buffer.from('0200000000010200000000020800450000640001000040060000' + '0a0000010a0001089c480050', 'hex'),
  Buffer.alloc(80),
]);

export async function run({ durationMs, say, seed }: BenchOptions): Promise<QuestionResult> {
  const vm = new Vm({ seed });
  vm.machine.memory.nowNs = process.hrtime.bigint();
  const image = vm.load(loadObject(readFileSync(OBJECT), 'bench.bpf.o'));
  runVm(vm, image, 'fill', 1);
  const kernel = Kernel.open();
  const results: ResultRow[] = [];
  const ratios: Ratio[] = [];
  try {
    for (const [program, reach] of Object.entries(PROGRAMS)) {
      const row = measure(program, vm, image, kernel, durationMs);
      results.push(row);
      if (typeof row.ratio === 'number') ratios.push(ratioOf(program, row.ratio, reach));
    }
  } finally {
    kernel?.close();
  }
  printTable(say, 'bytecode: ns of one run, the same programs', ['mode', 'vm', 'kernel', 'ratio', 'agrees'], results);
  const reason = 'needs Linux, root, bpftool and a BPF file system at /sys/fs/bpf';
  return { results, ratios, skipped: kernel === undefined ? [{ engine: 'kernel', reason }] : [] };
}

const runVm = (vm: Vm, image: Image, program: string, repeat: number) =>
  testRun(vm, image.functions.get(program)!, 'tc', PACKET, { repeat });

function measure(program: string, vm: Vm, image: Image, kernel: Kernel | undefined, durationMs: number): ResultRow {
  const ours: number[] = [];
  const theirs: number[] = [];
  let agrees = true;
  const { status, durationNs } = runVm(vm, image, program, WARM_UP);
  const slice = Math.max(1, Math.round((SLICE_NS * WARM_UP) / durationNs));
  for (let began = performance.now(); performance.now() < began + durationMs || ours.length < MIN_SLICES; ) {
    ours.push(runVm(vm, image, program, slice).durationNs / slice);
    if (kernel === undefined) continue;
    const { duration, retval } = kernel.run(program, slice);
    theirs.push(duration);
    agrees &&= retval === status;
  }
  const net = median(ours);
  const base = theirs.length === 0 ? null : median(theirs);
  return {
    ...{ question: 'bytecode', engine: 'vm', entries: ENTRIES, mode: program },
    ...{ vm: round(net, 1), kernel: base, ratio: base === null ? null : round(net / base, 2), agrees },
  };
}

const ratioOf = (program: string, ratio: number, reach: number | null): Ratio => ({
  ...{ name: `${program}: time of the VM / the kernel's`, entries: ENTRIES, engine: 'vm', baseline: 'kernel', ratio },
  ...{ reach: reach === null ? null : `<= ${reach}`, reached: reach === null ? null : ratio <= reach },
});

/** The object's programs, loaded by bpftool and timed by the kernel itself. */
class Kernel {
  private readonly folder = mkdtempSync(join(tmpdir(), 'ciliate-bench-'));
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

  close(): void {
    for (const pin of [this.pin, `${this.pin}_maps`]) rmSync(pin, { recursive: true, force: true });
    rmSync(this.folder, { recursive: true });
  }
}
