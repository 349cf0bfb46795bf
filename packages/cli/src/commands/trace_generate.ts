import { didYouMean, nearestWord } from '@ciliate/k8s';
import {
  DEFAULT_OPTIONS,
  type GenerateOptions,
  type GenerateSummary,
  generateTrace,
  MAX_SIZE,
  MIN_SIZE,
  type Sizes,
} from '@ciliate/replay';
import { Command, InvalidArgumentError } from 'commander';
import { type DatapathOptions, withDatapathOptions } from '../datapath_options.ts';
import { type CommonOptions, loadStore, natural, positive, startAgent, toJson, withCommonOptions } from '../options.ts';
import { Progress } from '../progress.ts';
import { table } from '../table.ts';

type Options = CommonOptions & DatapathOptions & GenerateOptions & { output: string };

const MAX_FLOWS = 1_000_000;

export function traceGenerateCommand(): Command {
  const defaults = DEFAULT_OPTIONS;
  return withDatapathOptions(withCommonOptions(new Command('generate')))
    .description('write a trace of packets between the pods, services and the world of a cluster')
    .requiredOption('-o, --output <file>', 'the pcapng to write')
    .option('--packets <number>', 'how many', positive, defaults.packets)
    .option('--flows <number>', 'connections at a time', flows, defaults.flows)
    .option('--skew <number>', 'of the Zipf distribution of packets over them; 0: all alike', decimal, defaults.skew)
    .option('--rate <number>', "packets a second of the trace's time", positive, defaults.rate)
    .option('--new-flows <number>', 'new connections a second, in place of old ones', natural, defaults.newFlows)
    .option(...weightsOption('--peers', 'who speaks to whom', defaults.peers))
    .option(...weightsOption('--mix', 'protocols of connections', defaults.mix))
    .option('--sizes <sizes>', 'bytes of IP packets: imix, N or MIN-MAX', sizes, defaults.sizes)
    .option('--syn-flood <percent>', 'of all packets: SYNs of hosts that do not exist', share, defaults.synFlood)
    .option('--scan <percent>', 'of all packets: a pod that tries all ports of the others', share, defaults.scan)
    .option('--start <seconds>', 'time of the first packet, since 1970', natural, defaults.start)
    .action(async (options: Options) => {
      const agent = await startAgent(loadStore(options.file), options);
      const progress = new Progress();
      try {
        const summary = generateTrace(agent, options.output, options, (done) =>
          progress.show(`${done}/${options.packets} packets`),
        );
        progress.clear();
        process.stdout.write(options.json ? `${toJson(summary)}\n` : render(options.output, summary));
      } finally {
        progress.clear();
        await agent.stop();
      }
    });
}

function render(output: string, summary: GenerateSummary): string {
  const { packets, bytes, duration, seed, connections, opened, synFlood, scan, interfaces } = summary;
  const counts = (of: Readonly<Record<string, number>>): string =>
    Object.entries(of)
      .filter(([, count]) => count > 0)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ');
  return [
    table(
      ['INTERFACE', 'PACKETS'],
      interfaces.map((one) => [one.name, `${one.packets}`]),
    ),
    `${output}: ${packets} packets, ${bytes} bytes, ${duration.toFixed(3)} s, seed ${seed}\n`,
    `${connections} connections: ${counts(opened.peers)}; ${counts(opened.protocols)}; `,
    `answered by ${counts(opened.answers)}\n`,
    synFlood + scan === 0 ? '' : `attacks: ${counts({ 'SYN flood': synFlood, scan })} packets\n`,
  ].join('');
}

/** `name=weight,...`: names that are not there weigh nothing. */
function weightsOption<N extends string>(flag: string, what: string, all: Readonly<Record<N, number>>) {
  const names = Object.keys(all) as N[];
  const parse = (text: string): Record<N, number> => {
    const weights = Object.fromEntries(names.map((name) => [name, 0])) as Record<N, number>;
    for (const part of text.split(',')) {
      const [name = '', weight = ''] = part.split('=');
      if (!(name in weights)) {
        const near = didYouMean(nearestWord(name, names));
        throw new InvalidArgumentError(`"${name}" is none of ${names.join(', ')}${near}.`);
      }
      weights[name as N] = decimal(weight);
    }
    if (names.every((name) => weights[name] === 0)) throw new InvalidArgumentError('want one weight that is not 0.');
    return weights;
  };
  const shown = names.map((name) => `${name}=${all[name]}`).join(',');
  return [`${flag} <weights>`, `${what} (default: ${shown})`, parse] as const;
}

function sizes(text: string): Sizes {
  if (text === 'imix') return text;
  const [, from, to = from] = /^(\d+)(?:-(\d+))?$/.exec(text) ?? [];
  const [min, max] = [Number(from), Number(to)];
  if (!(min >= MIN_SIZE && max <= MAX_SIZE && min <= max))
    throw new InvalidArgumentError(`want imix, N or MIN-MAX, from ${MIN_SIZE} to ${MAX_SIZE} bytes.`);
  return { min, max };
}

function flows(text: string): number {
  const value = positive(text);
  if (value > MAX_FLOWS) throw new InvalidArgumentError(`want a number from 1 to ${MAX_FLOWS}.`);
  return value;
}

function decimal(text: string): number {
  if (!/^\d+(\.\d+)?$/.test(text)) throw new InvalidArgumentError('want a number from 0 on, as 1.2.');
  return Number(text);
}

/** @returns 0..1 */
function share(text: string): number {
  const percent = decimal(text);
  if (percent > 100) throw new InvalidArgumentError('want a percentage, 0 to 100.');
  return percent / 100;
}
