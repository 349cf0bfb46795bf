import type { Agent } from '@ciliate/agent';
import { InputError } from '@ciliate/k8s';
import { type PacketsResult, replayPackets, type Share } from '@ciliate/replay';
import { type Command, InvalidArgumentError } from 'commander';
import { natural, positive, toJson, workers } from '../options.ts';
import { Progress } from '../progress.ts';
import { renderPackets } from '../render_packets.ts';

/** Options of `replay` that only mode packets has. */
export interface PacketsOptions {
  workers?: number;
  loop?: number;
  shard?: Share;
  shards?: number;
  writePcap?: string;
}

/** As a shell says that a command was ended by SIGINT. */
const EXIT_INTERRUPTED = 130;
const STDOUT = '-';

export function withPacketsOptions(command: Command): Command {
  return command
    .option('--workers <number>', 'packets: threads (default: one for each core)', workers)
    .option('--loop <number>', 'packets: go through the capture so often', positive)
    .option('--write-pcap <file>', 'packets: write a pcapng of what left and what was dropped, each with a comment')
    .option('--shard <i/n>', 'packets: judge only share i (from 0 on) of n of the connections', share)
    .option('--shards <n>', 'packets: as --shard, i from JOB_COMPLETION_INDEX (n else from JOB_COMPLETIONS)', positive);
}

/** Judges the packets of a capture and prints what became of them. @param flows where to write Hubble flows */
export async function packets(
  agent: Agent,
  capture: string,
  { flows, json, ...options }: PacketsOptions & { flows: string | undefined; json?: true | undefined },
): Promise<void> {
  if (flows === STDOUT && json)
    throw new InputError('--flows - and --json both write to the standard output: give --flows a file', {});
  const { shard = shareOfJob(options.shards), workers: threads, loop, writePcap } = options;
  const interrupt = new AbortController();
  const onInterrupt = (): void => interrupt.abort();
  process.once('SIGINT', onInterrupt);
  const progress = new Progress();
  let result: PacketsResult;
  try {
    result = await replayPackets(agent, capture, {
      ...(threads === undefined ? {} : { workers: threads }),
      ...(loop === undefined ? {} : { loop }),
      ...(shard === undefined ? {} : { share: shard }),
      ...(writePcap === undefined ? {} : { writePcap }),
      ...(flows === undefined ? {} : { flows }),
      signal: interrupt.signal,
      onProgress: (done) => progress.show(`${done} packets`),
    });
  } finally {
    progress.clear();
    process.off('SIGINT', onInterrupt);
  }
  const out = flows === STDOUT ? process.stderr : process.stdout;
  out.write(json ? `${toJson(result)}\n` : renderPackets(result));
  if (!result.complete) process.exitCode = EXIT_INTERRUPTED;
}

/** `0/4` */
function share(text: string): Share {
  const [, index, of] = /^(\d+)\/(\d+)$/.exec(text) ?? [];
  if (index === undefined) throw new InvalidArgumentError('want i/n, as 0/4.');
  return { index: natural(index), of: natural(of!) };
}

/** The share of this pod of a Kubernetes indexed Job; undefined outside of one. @param of how many there are */
function shareOfJob(of: number | undefined): Share | undefined {
  const { JOB_COMPLETION_INDEX: index, JOB_COMPLETIONS: completions } = process.env;
  if (index === undefined && of === undefined) return undefined;
  const count = of ?? completions;
  if (index === undefined)
    throw new InputError(
      '--shards says how many shares there are; JOB_COMPLETION_INDEX, which says the one, is not set',
      {},
    );
  if (count === undefined)
    throw new InputError(
      'JOB_COMPLETION_INDEX is set: say how many shares there are by JOB_COMPLETIONS or --shards',
      {},
    );
  if (!/^\d+$/.test(index) || !/^\d+$/.test(`${count}`))
    throw new InputError(`JOB_COMPLETION_INDEX=${index}, JOB_COMPLETIONS=${count}: want numbers`, {});
  return { index: Number(index), of: Number(count) };
}
