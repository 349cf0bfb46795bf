import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Subject } from './subject.ts';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const MAGIC = 0x574c_4943; // 'CILW'

/** Why a baseline cannot run here. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable';
}

/** Programs in user space (bench/c/), by the name of their baseline. */
const C_PROGRAMS = { 'c-compiled': 'compiled', 'c-tuple-space': 'tuple_space' } as const;
export type CBaseline = keyof typeof C_PROGRAMS;
export const C_BASELINES = Object.keys(C_PROGRAMS) as CBaseline[];

/** Folder for what is compiled and written during one run; removed by `dispose`. */
export class Workshop implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'ciliate-bench-'));
  private readonly baselines = new Map<CBaseline, string>();
  private kernel: string[] | undefined;
  private programs: string[] | undefined;
  private subset: string | undefined;

  /** Command that runs a program in C. @throws Unavailable without a C compiler */
  cCommand(baseline: CBaseline): string[] {
    const name = C_PROGRAMS[baseline];
    const program = this.baselines.get(baseline) ?? this.compile('cc', ['-O2', here(`c/${name}.c`)], name);
    this.baselines.set(baseline, program);
    return [program, this.path('workload'), ...(baseline === 'c-compiled' ? [this.path('form')] : [])];
  }

  /** Command that runs our programs in the kernel. @throws Unavailable with the first thing that is missing */
  kernelCommand(kind: 'policy' | 'ipcache'): string[] {
    checkMayRunBpf();
    this.kernel ??= [
      this.compile('cc', ['-O2', here('kernel/run.c')], 'run', ['-lbpf']),
      this.compile('clang', [...BPF_FLAGS, here('kernel/lookup.bpf.c')], 'bpf.o'),
    ];
    return [...this.kernel, this.path('workload'), kind];
  }

  /** Command that loads programs into the kernel and runs them. @throws Unavailable, as `kernelCommand` */
  programsCommand(): string[] {
    checkMayRunBpf();
    this.programs ??= [this.compile('cc', ['-O2', here('kernel/run_programs.c')], 'run_programs', ['-lbpf'])];
    return this.programs;
  }

  /** The object of kernel/datapath.bpf.c. @throws Unavailable without clang */
  subsetObject(): string {
    this.subset ??= this.compile('clang', [...BPF_FLAGS, here('kernel/datapath.bpf.c')], 'datapath.o');
    return this.subset;
  }

  /** Program of the calibration loop. @throws Unavailable without a C compiler */
  calibrationCommand(): string {
    return this.compile('cc', ['-O2', here('c/calibrate.c')], 'calibrate');
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** Writes a workload as bench/c/workload.h says. `entries` are keys and values in the map's bytes. */
  write(count: number, keySize: number, valueSize: number, entries: Uint8Array, questions: Uint8Array): void {
    const header = Uint32Array.of(MAGIC, count, questions.length / 16, keySize, valueSize, 0);
    this.save('workload', [new Uint8Array(header.buffer), entries, questions]);
  }

  /** Writes what the engine `compiled` built, as bench/c/compiled.c says. */
  writeForm(address: number, bytes: Uint8Array): void {
    this.save('form', [new Uint8Array(BigUint64Array.of(BigInt(address)).buffer), bytes]);
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  private save(name: string, parts: readonly Uint8Array[]): void {
    const file = openSync(this.path(name), 'w');
    for (const part of parts) for (let at = 0; at < part.length; ) at += writeSync(file, part, at);
    closeSync(file);
  }

  private compile(compiler: string, args: string[], output: string, libraries: string[] = []): string {
    const path = this.path(output);
    try {
      execFileSync(compiler, [...args, '-o', path, ...libraries], { stdio: ['ignore', 'ignore', 'pipe'] });
    } catch (error) {
      const { code, stderr } = error as { code?: string; stderr?: Buffer };
      if (code === 'ENOENT') throw new Unavailable(`no ${compiler} here`);
      const line = String(stderr).match(/.*(?:error|cannot find).*/)?.[0] ?? String(error);
      throw new Unavailable(`${compiler}: ${line.trim()}`);
    }
    return path;
  }
}

const ARCHITECTURE: Record<string, string> = { x64: 'x86_64', arm64: 'aarch64', s390x: 's390x', ppc64: 'powerpc64le' };
const MULTIARCH = `/usr/include/${ARCHITECTURE[process.arch] ?? process.arch}-linux-gnu`;
const BPF_FLAGS = ['-O2', '-g', '-fno-strict-aliasing', '-target', 'bpf', `-I${MULTIARCH}`, '-c'];

function checkMayRunBpf(): void {
  if (process.platform !== 'linux') throw new Unavailable('BPF programs need Linux');
  if (process.getuid?.() !== 0) throw new Unavailable('BPF programs need root');
}

/** A child process that answers one line for each line (bench/c/harness.h). */
export class External {
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly lines: AsyncIterator<string>;
  private stderr = '';

  private constructor([program, ...args]: string[]) {
    this.child = spawn(program!, args);
    this.child.stderr.on('data', (data) => {
      this.stderr += data;
    });
    this.child.on('error', () => {});
    this.child.stdin.on('error', () => {});
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  /** @throws Unavailable if the program ends before it is ready, with what it said */
  static async start(command: string[]): Promise<External> {
    const external = new External(command);
    await external.line();
    return external;
  }

  async ask(line: string): Promise<string> {
    this.child.stdin.write(`${line}\n`);
    return this.line();
  }

  async bytes(variant: string): Promise<number> {
    return Number(await this.ask(`bytes ${variant}`));
  }

  subject(name: string, variant: string, harness: string): Subject {
    return {
      name,
      mode: 'loop',
      profile: harness === '' ? '' : '1.18',
      harness,
      time: async (from, blocks) =>
        Float64Array.from((await this.ask(`time ${variant} ${from} ${blocks}`)).split(' '), Number),
      hitRatio: () => null,
      check: async (count) => Number(await this.ask(`check ${variant} ${count}`)),
    };
  }

  /** Ends the program, and with it its maps. */
  async stop(): Promise<void> {
    this.child.stdin.end();
    if (this.child.exitCode === null) await new Promise((resolve) => this.child.once('close', resolve));
  }

  private async line(): Promise<string> {
    const { done, value } = await this.lines.next();
    if (!done) return value;
    if (this.child.exitCode === null) await new Promise((resolve) => this.child.once('close', resolve));
    throw new Unavailable(this.stderr.trim().split('\n').at(-1) || `${this.child.spawnfile} ended early`);
  }
}
