import type { Agent } from '@ciliate/agent';
import { formatCompact, formatLost } from '@ciliate/hubble';
import { InputError } from '@ciliate/k8s';
import { CaptureError, openCapture } from '@ciliate/packet';
import { type ReplayResult, replayConversations, type TracePacket } from '@ciliate/replay';
import { Command, Option } from 'commander';
import { type DatapathOptions, withDatapathOptions } from '../datapath_options.ts';
import { type CommonOptions, checkFile, loadStore, startAgent, toJson, withOptionalFile } from '../options.ts';
import { Progress } from '../progress.ts';
import { renderRows } from '../render.ts';
import { replayMergeCommand } from './replay_merge.ts';
import { type PacketsOptions, packets, withPacketsOptions } from './replay_packets.ts';

interface ReplayOptions extends CommonOptions, PacketsOptions, DatapathOptions {
  mode: 'conversations' | 'packets';
  flows?: true | string;
}

const ONLY_PACKETS = {
  workers: '--workers',
  loop: '--loop',
  shard: '--shard',
  shards: '--shards',
  writePcap: '--write-pcap',
};

export function replayCommand(): Command {
  const command = withDatapathOptions(withOptionalFile(new Command('replay')))
    .description('replay a capture under the policies given')
    .argument('<capture>', 'pcap or pcapng; interfaces named namespace/pod, else the source address tells the pod')
    .addOption(
      new Option(
        '--mode <mode>',
        'conversations: causal, what each client would see; packets: each as it stands, at speed',
      )
        .choices(['conversations', 'packets'])
        .default('conversations'),
    )
    .option(
      '--flows [file]',
      'what hubble observe would show; conversations: instead of the table; packets: as JSON lines, - the default',
    );
  return withPacketsOptions(command)
    .addCommand(replayMergeCommand())
    .action(async (capture: string, options: ReplayOptions) => {
      checkFile(command, options);
      if (options.mode === 'conversations') checkConversations(options);
      const agent = await startAgent(loadStore(options.file), options);
      try {
        if (options.mode === 'conversations')
          process.stdout.write(await conversations(agent, readTrace(capture), options));
        else await packets(agent, capture, { ...options, flows: options.flows === true ? '-' : options.flows });
      } finally {
        await agent.stop();
      }
    });
}

/** @throws InputError for an option that only mode packets has */
function checkConversations(options: ReplayOptions): void {
  for (const [name, option] of Object.entries(ONLY_PACKETS))
    if (options[name as keyof PacketsOptions] !== undefined)
      throw new InputError(`${option}: only with --mode packets`, {});
  if (typeof options.flows === 'string')
    throw new InputError(`--flows ${options.flows}: a file only with --mode packets`, {});
}

/** All packets of a capture. @throws CaptureError */
export function readTrace(path: string): TracePacket[] {
  const capture = openCapture(path);
  const packets = [...capture];
  if (packets.length === 0) throw new CaptureError(path, 'holds no packet');
  return packets.map(({ number, timestampNs, data, interfaceId }) => ({
    number,
    timestampNs,
    data,
    interfaceName: capture.interfaces[interfaceId]?.name,
  }));
}

async function conversations(agent: Agent, trace: TracePacket[], { json, flows }: ReplayOptions): Promise<string> {
  const result = await replayWithProgress(agent, trace);
  const lines = flowLines(result);
  if (json) return `${toJson(replayJson(agent, result, flows ? lines : undefined))}\n`;
  const skipped = result.unreplayed.map(({ packet, reason }) => `packet ${packet.number} left out: ${reason}\n`);
  return `${flows ? lines.map((line) => `${line}\n`).join('') : renderRows(result.rows)}${skipped.join('')}`;
}

/** What `hubble observe` would show: flows, and between them how many events were lost until then. */
export function flowLines({ flows, lost }: Pick<ReplayResult, 'flows' | 'lost'>): string[] {
  const lines: string[] = [];
  let told = 0;
  const tellUntil = (timeNs: bigint): void => {
    for (; told < lost.length && lost[told]!.timeNs < timeNs; told++) lines.push(formatLost(lost[told]!));
  };
  for (const flow of flows) {
    tellUntil(flow.timeNs);
    lines.push(formatCompact(flow));
  }
  return [...lines, ...lost.slice(told).map(formatLost)];
}

export async function replayWithProgress(agent: Agent, packets: TracePacket[]): Promise<ReplayResult> {
  const progress = new Progress();
  try {
    return await replayConversations(agent, packets, (done, total) => progress.show(`replaying ${done}/${total}`));
  } finally {
    progress.clear();
  }
}

/** What `--json` prints of a replay. */
export function replayJson(agent: Agent, { rows, unreplayed }: ReplayResult, flows?: readonly string[]): object {
  return {
    seed: agent.seed,
    rows,
    unreplayed: unreplayed.map(({ packet, reason }) => ({ packet: packet.number, reason })),
    ...(flows === undefined ? {} : { flows }),
  };
}
