import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Image, loadObject, type TestRun, testRun, type Vm } from '@ciliate/vm';
import { median, round } from '../stats.ts';

export const OBJECT = fileURLToPath(new URL('../../packages/vm/test/fixtures/bench.bpf.o', import.meta.url));
/** TCP from 10.0.0.1 to 10.0.1.8, of a connection that `fill` made. */
export const PACKET = Buffer.concat([
  Buffer.from('0200000000010200000000020800450000640001000040060000' + '0a0000010a0001089c480050', 'hex'),
  Buffer.alloc(80),
]);
/** Entries that `fill` puts into each map. */
export const ENTRIES = 256;
/** Of one slice: short, so that another process seldom comes between. */
const SLICE_NS = 500_000;
const WARM_UP = 50_000;
const MIN_SLICES = 5;

/** The object of the benchmark in this VM, its maps filled. */
export function loadFilled(vm: Vm): Image {
  vm.machine.memory.nowNs = process.hrtime.bigint();
  const image = vm.load(loadObject(readFileSync(OBJECT), 'bench.bpf.o'));
  runVm(vm, image, 'fill', 1);
  return image;
}

export const runVm = (vm: Vm, image: Image, program: string, repeat: number, packet: Uint8Array = PACKET): TestRun =>
  testRun(vm, image.functions.get(program)!, 'tc', packet, { repeat });

/** Warms a program up. @param run runs it so often. @returns its answer, and how many runs are a slice */
export function sliceOf(run: (repeat: number) => TestRun): { status: number; slice: number } {
  run(WARM_UP);
  const { status, durationNs } = run(WARM_UP);
  return { status, slice: Math.max(1, Math.round((SLICE_NS * WARM_UP) / durationNs)) };
}

/** Times several subjects in turns. @returns ns of one run of each */
export function inTurns(subjects: readonly (() => number)[], durationMs: number): number[] {
  const times = subjects.map((): number[] => []);
  for (let began = performance.now(); performance.now() < began + durationMs || times[0]!.length < MIN_SLICES; )
    for (const [i, run] of subjects.entries()) times[i]!.push(run());
  return times.map((all) => round(median(all), 1));
}
