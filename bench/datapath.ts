/**
 * How long does one packet take through the programs? The packets and maps with which Cilium's own programs were timed in a
 * kernel (fixtures/datapath.json.gz), through ours, with events and metrics; and the lookups of such a packet alone, in
 * ours and as an eBPF program of our own in this machine's kernel, in turns.
 */
import { openCtMaps } from '@ciliate/maps';
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
} from './datapath_world.ts';
import { Unavailable, Workshop } from './external.ts';
import { printTable } from './print.ts';
import { median, percentile, round } from './stats.ts';
import type { BenchOptions, QuestionResult, Ratio, ResultRow } from './types.ts';

/** Packets that are timed together. New connections: as many as the kernel's were before its maps were emptied. */
const BLOCK = 1500;
const MIN_BLOCKS = 5;
/** For the compiler, before anything counts. */
const WARM_UP_BLOCKS = 60;
const QUICK = /eproutes|local-delivery-native-v4|service-local/;
const SUBSET_REACH = 1.5;

export async function run(options: BenchOptions): Promise<QuestionResult> {
  const { say } = options;
  const whole = timedScenarios
    .filter(({ name }) => !options.quick || QUICK.test(name))
    .flatMap((scenario) => scenario.measurements.map((packet) => timeWhole(scenario, packet, options)));
  const title = "ns per packet, all the way; beside it Cilium's programs in the kernel of bench.json (another machine)";
  printTable(
    say,
    `datapath: ${title}`,
    ['packet', 'mode', 'gross', 'harness', 'net', 'p99', 'recorded', 'ratio'],
    whole,
  );
  const subset: ResultRow[] = [];
  const ratios: Ratio[] = [];
  try {
    using workshop = new Workshop();
    for (const entries of options.quick ? [1000] : [10, 1000, 16_000]) {
      const row = await timeSubset(entries, workshop, options);
      subset.push(row);
      ratios.push(ratio("subset: the kernel's time / ours", entries, row.kernel / row.net, SUBSET_REACH));
      const scaled = (row.recorded * row.net) / row.kernel;
      ratios.push(ratio('all the way: bench.json, scaled by the subset / ours', entries, scaled / row.whole, 1));
    }
    printTable(
      say,
      'datapath: ns per packet, its lookups alone, in turns; and the same packet all the way, in the same turns',
      ['entries', 'gross', 'harness', 'net', 'kernel', 'kernelHarness', 'ratio', 'whole', 'recorded'],
      subset,
    );
    return { results: [...whole, ...subset], ratios, skipped: [] };
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    say(`  kernel-subset skipped: ${error.message}`);
    return { results: whole, ratios, skipped: [{ engine: 'kernel-subset', reason: error.message }] };
  }
}

const scenarioOf = (entries: number): string => `egress-established-eproutes-${entries}-v4`;

const ratio = (name: string, entries: number, value: number, reach: number): Ratio => ({
  ...{ name, entries, engine: 'ciliate', baseline: 'kernel' },
  ...{ ratio: round(value, 2), reach: `>= ${reach}`, reached: value >= reach },
});

/** One packet through its program. New connections get another source port each, and empty conntrack maps each block. */
function timeWhole(scenario: TimedScenario, packet: TimedPacket, { durationMs }: BenchOptions) {
  const world = timedWorld(scenario, packet.mode.endsWith('+events'));
  const run = new Run(world, packet);
  const isNew = packet.mode.startsWith('new');
  const want = RETURN_CODES[packet.return_codes[0]!]!;
  const gross: number[] = [];
  const harness: number[] = [];
  let wrong = 0;
  let blocks = 0;
  for (let began = performance.now(); performance.now() < began + durationMs || gross.length < MIN_BLOCKS; ) {
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
      gross.push(((end - start) * 1e6) / BLOCK);
      harness.push(((performance.now() - end) * 1e6) / BLOCK);
    }
    world.events.drain(() => {});
    if (isNew)
      for (const map of Object.values(openCtMaps(world.memory, 0)))
        for (const { key } of map.entries()) map.delete(key);
  }
  const net = median(gross) - Math.min(...harness);
  return {
    question: 'datapath',
    engine: 'ciliate',
    entries: Math.max(...scenario.endpoints.map(({ entries }) => entries)),
    mode: packet.mode,
    scenario: scenario.name,
    packet: `${scenario.name}, ${packet.label}`,
    gross: round(median(gross)),
    harness: round(Math.min(...harness)),
    net: round(net),
    p99: round(percentile(gross, 0.99)),
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
