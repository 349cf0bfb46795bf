/**
 * How long does a compiled eBPF program take in the room `vm`, and how long in this machine's kernel (its JIT)? The same bytes, on
 * maps filled by the same program, in turns. The programs: packages/vm/test/bpf/bench.bpf.c. Then: the same programs with each
 * lookup engine under their policy map, two workers beside one, and the start of a large object.
 */
import { EventRing, type PerfEventArray } from '@ciliate/maps';
import { type Image, Vm } from '@ciliate/vm';
import { Kernel } from './bytecode/kernel.ts';
import { mapEngineRows } from './bytecode/map_engines.ts';
import { ENTRIES, inTurns, loadFilled, runVm, sliceOf } from './bytecode/program.ts';
import { startRows } from './bytecode/start.ts';
import { workerRows } from './bytecode/workers.ts';
import { printTable } from './print.ts';
import { round } from './stats.ts';
import type { BenchOptions, QuestionResult, Ratio, ResultRow } from './types.ts';

/** What VM / kernel may be at most. Events are really written, and read on both sides, only in the last. */
const PROGRAMS: Readonly<Record<string, number | null>> = {
  nothing: 1,
  policy_drop: 0.8,
  policy_drop_event: 1,
  established: 0.8,
  translate: 1,
  compute: 1,
  call: 1,
  seven_events: null,
};
const READ = 'seven_events';
/** A ring that stays in the processor's caches, and how many runs fill less than that. */
const RING_BYTES = 1024 * 1024;
const RUNS_A_RING = 1000;

export async function run(options: BenchOptions): Promise<QuestionResult> {
  const { durationMs, say, seed } = options;
  const vm = new Vm({ seed });
  const image = loadFilled(vm);
  const kernel = Kernel.open();
  const results: ResultRow[] = [];
  const ratios: Ratio[] = [];
  try {
    for (const [program, reach] of Object.entries(PROGRAMS)) {
      const ring = program === READ ? readEvents(image) : undefined;
      if (program === READ) kernel?.readEvents();
      const row = measure(program, vm, image, kernel, durationMs, ring);
      results.push(row);
      if (typeof row.ratio === 'number') ratios.push(ratioOf(program, row.ratio, reach));
    }
  } finally {
    kernel?.close();
  }
  printTable(say, 'bytecode: ns of one run, the same programs', ['mode', 'vm', 'kernel', 'ratio', 'agrees'], results);
  const reason = 'needs Linux, root, bpftool and a BPF file system at /sys/fs/bpf';
  const skipped = kernel === undefined ? [{ engine: 'kernel', reason }] : [];
  const others = [mapEngineRows(options), await workerRows(options), startRows(options)];
  return {
    results: [...results, ...others.flatMap((o) => o.results)],
    ratios: [...ratios, ...others.flatMap((o) => o.ratios)],
    skipped: [...skipped, ...others.flatMap((o) => o.skipped)],
  };
}

function measure(
  program: string,
  vm: Vm,
  image: Image,
  kernel: Kernel | undefined,
  durationMs: number,
  ring: EventRing | undefined,
): ResultRow {
  const { status, slice } = sliceOf((repeat) => runVm(vm, image, program, repeat));
  let agrees = true;
  const ours = (): number => {
    ring?.drain(() => {});
    const runs = ring === undefined ? slice : RUNS_A_RING;
    return runVm(vm, image, program, runs).durationNs / runs;
  };
  const theirs = (): number => {
    const { duration, retval } = kernel!.run(program, slice);
    agrees &&= retval === status;
    return duration;
  };
  const [net, base = null] = inTurns(kernel === undefined ? [ours] : [ours, theirs], durationMs);
  return {
    ...{ question: 'bytecode', engine: 'vm', entries: ENTRIES, mode: program },
    ...{ vm: net!, kernel: base, ratio: base === null ? null : round(net! / base, 2), agrees },
  };
}

/** Gives the events a ring, which somebody empties. */
function readEvents(image: Image): EventRing {
  const map = image.maps.get('events') as PerfEventArray;
  const { memory } = map;
  const ring = EventRing.create(memory, RING_BYTES);
  const at = memory.alloc(16);
  memory.u32[(at + 8) >> 2] = ring.address;
  map.update(at, at + 8);
  memory.free(at, 16);
  return ring;
}

const ratioOf = (program: string, ratio: number, reach: number | null): Ratio => ({
  ...{ name: `${program}: time of the VM / the kernel's`, entries: ENTRIES, engine: 'vm', baseline: 'kernel', ratio },
  ...{ reach: reach === null ? null : `<= ${reach}`, reached: reach === null ? null : ratio <= reach },
});
