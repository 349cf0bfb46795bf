/**
 * How long does one packet take through the programs? The packets and maps with which Cilium's own programs were timed in a
 * kernel (fixtures/datapath.json.gz), through ours, with events and metrics; with `--objects`, in turns with Cilium's own in
 * this machine's kernel; and the lookups of such a packet alone, in ours and as an eBPF program of our own in the kernel.
 */
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { openCtMaps } from '@ciliate/maps';
import { readObjects } from '../packages/cli/src/cilium_objects.ts';
import { CiliumInKernel } from './datapath_cilium.ts';
import { KernelSubset } from './datapath_kernel.ts';
import { Subset } from './datapath_subset.ts';
import {
  RETURN_CODES,
  Run,
  type TimedPacket,
  type TimedScenario,
  timedScenario,
  timedScenarios,
  timedWorld,
  wholeScenario,
} from './datapath_world.ts';
import { Unavailable, Workshop } from './external.ts';
import { printTable } from './print.ts';
import { median, percentile, round } from './stats.ts';
import type { BenchOptions, QuestionResult, Ratio, Skipped } from './types.ts';

/** Packets that are timed together. New connections: as many as the kernel's were before its maps were emptied. */
const BLOCK = 1500;
const MIN_BLOCKS = 5;
/** For the compiler, before anything counts. */
const WARM_UP_BLOCKS = 60;
const QUICK = /eproutes|local-delivery-native-v4|service-local/;
const SUBSET_REACH = 1.5;

export async function run(options: BenchOptions): Promise<QuestionResult> {
  const { say } = options;
  using workshop = new Workshop();
  const whole: WholeRow[] = [];
  const skipped: Skipped[] = [];
  for (const scenario of timedScenarios) {
    if (options.quick && !QUICK.test(scenario.name)) continue;
    await using cilium = await ciliumOf(workshop, scenario, options, skipped);
    for (const packet of scenario.measurements) whole.push(await timeWhole(scenario, packet, cilium, options));
  }
  printTable(
    say,
    `datapath: ns per packet, all the way; beside it Cilium's programs, in this kernel (--objects) and in that of bench.json (another machine)`,
    ['packet', 'mode', 'gross', 'harness', 'net', 'p99', 'kernel', 'faster', 'recorded', 'ratio'],
    whole,
  );
  const ratios = ratiosOfCilium(whole);
  const subset: SubsetRow[] = [];
  try {
    for (const entries of options.quick ? [1000] : [10, 1000, 16_000]) {
      const row = await timeSubset(entries, workshop, options);
      subset.push(row);
      const times = row.kernel / row.net;
      ratios.push(ratio("subset: the kernel's time / ours", entries, times, SUBSET_REACH));
      ratios.push(
        ratio(
          'all the way: bench.json (another machine), scaled by the subset / ours',
          entries,
          row.recorded / times / row.whole,
          1,
        ),
      );
      const here = whole.find(({ scenario, mode }) => scenario === scenarioOf(entries) && mode === 'repeat');
      if (here?.faster != null)
        ratios.push(ratio('all the way: this kernel, scaled by the subset / ours', entries, here.faster / times, 1));
    }
    printTable(
      say,
      'datapath: ns per packet, its lookups alone, in turns; and the same packet all the way, in the same turns',
      ['entries', 'gross', 'harness', 'net', 'kernel', 'kernelHarness', 'ratio', 'whole', 'recorded'],
      subset,
    );
    say(kernelText());
    if (options.objects === undefined)
      say("  --objects FOLDER runs Cilium's own programs in this kernel: bench/README.md");
  } catch (error) {
    skipped.push(skippedFor('kernel-subset', error));
  }
  for (const { engine, reason } of skipped) say(`  ${engine} skipped: ${reason}`);
  return { results: [...whole, ...subset], ratios, skipped };
}

/** Of all packets: the one where ours gain least, and the middle. */
function ratiosOfCilium(whole: readonly WholeRow[]): Ratio[] {
  const faster = whole.flatMap((row) => row.faster ?? []);
  if (faster.length === 0) return [];
  const name = (which: string): string =>
    `all the way: Cilium's programs in this kernel / ours, ${which} of the packets`;
  return [
    ratio(name('least'), faster.length, Math.min(...faster), 1),
    ratio(name('median'), faster.length, median(faster), 1),
  ];
}

/** What the kernel's times depend on: its release, and what it does against guessing processors. */
function kernelText(): string {
  const said = ['spectre_v2', 'spec_rstack_overflow'].map((name) => {
    try {
      return `${name}: ${readFileSync(`/sys/devices/system/cpu/vulnerabilities/${name}`, 'utf8').trim()}`;
    } catch {
      return `${name}: not told`;
    }
  });
  return `  kernel ${release()}; ${said.join('; ')}`;
}

/** @throws whatever is not a thing that is missing here */
function skippedFor(engine: string, error: unknown): Skipped {
  if (!(error instanceof Unavailable)) throw error;
  return { engine, reason: error.message };
}

/** @returns undefined if no objects were given, or what they need is missing */
async function ciliumOf(
  workshop: Workshop,
  scenario: TimedScenario,
  { objects: folder }: BenchOptions,
  skipped: Skipped[],
): Promise<CiliumInKernel | undefined> {
  if (folder === undefined) return undefined;
  const { name } = scenario.config;
  const engine = `cilium, ${scenario.name}`;
  const objects = readObjects(folder, name);
  if (objects === undefined) {
    skipped.push({ engine, reason: `no bpf_lxc.o and bpf_host.o in ${folder}/${name}` });
    return undefined;
  }
  try {
    return await CiliumInKernel.start(workshop, wholeScenario(scenario), objects, scenario.prepare);
  } catch (error) {
    skipped.push(skippedFor(engine, error));
    return undefined;
  }
}

const scenarioOf = (entries: number): string => `egress-established-eproutes-${entries}-v4`;

const ratio = (name: string, entries: number, value: number, reach: number): Ratio => ({
  ...{ name, entries, engine: 'ciliate', baseline: 'kernel' },
  ...{ ratio: round(value, 2), reach: `>= ${reach}`, reached: value >= reach },
});

type WholeRow = Awaited<ReturnType<typeof timeWhole>>;
type SubsetRow = Awaited<ReturnType<typeof timeSubset>>;

/**
 * One packet through its program, and through Cilium's in turns. New connections get another source port each, and empty
 * conntrack maps each block.
 */
async function timeWhole(
  scenario: TimedScenario,
  packet: TimedPacket,
  cilium: CiliumInKernel | undefined,
  { durationMs }: BenchOptions,
) {
  const readsEvents = packet.mode.endsWith('+events');
  const world = timedWorld(scenario, readsEvents);
  const run = new Run(world, packet);
  const isNew = packet.mode.startsWith('new');
  const want = RETURN_CODES[packet.return_codes[0]!]!;
  const [gross, harness, kernel, kernelHarness]: number[][] = [[], [], [], []];
  let wrong = 0;
  let blocks = 0;
  if (readsEvents) await cilium?.readEvents();
  await cilium?.take(packet);
  for (let began = performance.now(); performance.now() < began + durationMs || gross!.length < MIN_BLOCKS; ) {
    const start = performance.now();
    for (let i = 0; i < BLOCK; i++) {
      if (isNew) run.setSourcePort(1024 + i);
      if (run.once() !== want) wrong++;
    }
    const end = performance.now();
    for (let i = 0; i < BLOCK; i++) {
      if (isNew) run.setSourcePort(1024 + i);
      run.load();
    }
    if (++blocks > WARM_UP_BLOCKS) {
      gross!.push(((end - start) * 1e6) / BLOCK);
      harness!.push(((performance.now() - end) * 1e6) / BLOCK);
      const theirs = await cilium?.time(packet, BLOCK);
      if (theirs !== undefined) {
        if (theirs.returned !== want) wrong++;
        kernel!.push(theirs.ns);
        kernelHarness!.push(await cilium!.nothing(packet, BLOCK));
      }
    }
    world.events.drain(() => {});
    if (isNew)
      for (const map of Object.values(openCtMaps(world.memory, 0)))
        for (const { key } of map.entries()) map.delete(key);
  }
  const net = median(gross!) - Math.min(...harness!);
  const inKernel = cilium === undefined ? null : median(kernel!) - Math.min(...kernelHarness!);
  return {
    question: 'datapath',
    engine: 'ciliate',
    entries: Math.max(...scenario.endpoints.map(({ entries }) => entries)),
    mode: packet.mode,
    scenario: scenario.name,
    packet: `${scenario.name}, ${packet.label}`,
    gross: round(median(gross!)),
    harness: round(Math.min(...harness!)),
    net: round(net),
    p99: round(percentile(gross!, 0.99)),
    kernel: inKernel === null ? null : round(inKernel),
    faster: inKernel === null ? null : round(inKernel / net, 2),
    recorded: packet.median_ns,
    ratio: round(net / packet.median_ns, 2),
    agrees: wrong === 0,
  };
}

/**
 * The lookups of an established connection's packet: a slice of ours, a slice of the kernel's, and so on; between them slices
 * of the packet's whole way, so that what slows one slows all.
 */
async function timeSubset(entries: number, workshop: Workshop, { durationMs }: BenchOptions) {
  const scenario = timedScenario(scenarioOf(entries));
  const packet = scenario.measurements[0]!;
  const world = timedWorld(scenario);
  const run = new Run(world, packet);
  const want = RETURN_CODES[packet.return_codes[0]!]!;
  const subset = new Subset(world, packet);
  await using kernel = await KernelSubset.start(workshop, world, packet);
  const [gross, harness, kernelGross, kernelHarness]: number[][] = [[], [], [], []];
  const [wholeGross, wholeHarness]: number[][] = [[], []];
  let wrong = 0;
  const began = performance.now();
  while (performance.now() < began + 3 * durationMs || gross!.length < MIN_BLOCKS) {
    const whole = performance.now();
    for (let i = 0; i < BLOCK; i++) if (run.once() !== want) wrong++;
    wholeGross!.push(((performance.now() - whole) * 1e6) / BLOCK);
    const load = performance.now();
    for (let i = 0; i < BLOCK; i++) run.load();
    wholeHarness!.push(((performance.now() - load) * 1e6) / BLOCK);
    const start = performance.now();
    for (let i = 0; i < BLOCK; i++) if (subset.once() !== 0) wrong++;
    gross!.push(((performance.now() - start) * 1e6) / BLOCK);
    const empty = performance.now();
    for (let i = 0; i < BLOCK; i++) if (subset.nothing() !== 0) wrong++;
    harness!.push(((performance.now() - empty) * 1e6) / BLOCK);
    const answer = await kernel.run('subset', BLOCK);
    if (answer.returned !== 0) wrong++;
    kernelGross!.push(answer.ns);
    kernelHarness!.push((await kernel.run('nothing', BLOCK)).ns);
  }
  const net = median(gross!) - Math.min(...harness!);
  const inKernel = median(kernelGross!) - Math.min(...kernelHarness!);
  return {
    question: 'datapath',
    engine: 'ciliate',
    entries,
    mode: 'subset',
    gross: round(median(gross!)),
    harness: round(Math.min(...harness!)),
    net: round(net),
    kernel: round(inKernel),
    kernelHarness: round(Math.min(...kernelHarness!)),
    ratio: round(inKernel / net, 2),
    whole: round(median(wholeGross!) - Math.min(...wholeHarness!)),
    recorded: packet.median_ns,
    agrees: wrong === 0,
  };
}
