import type { Agent } from '@ciliate/agent';
import { formatCompact, formatLost } from '@ciliate/hubble';
import { CaptureError, openCapture } from '@ciliate/packet';
import {
  measureThroughput,
  type ReplayResult,
  replayConversations,
  type ThroughputResult,
  type TracePacket,
} from '@ciliate/replay';
import { Command, Option } from 'commander';
import { type CommonOptions, loadStore, natural, startAgent, toJson, withCommonOptions, workers } from '../options.ts';
import { Progress } from '../progress.ts';
import { renderRows, renderThroughput } from '../render.ts';

interface ReplayOptions extends CommonOptions {
  mode: 'conversations' | 'packets';
  flows?: true;
  workers?: number;
  duration: number;
}

export function replayCommand(): Command {
  return withCommonOptions(new Command('replay'))
    .description('replay a capture under the policies given')
    .argument('<capture>', 'pcap or pcapng; interfaces named namespace/pod, else the source address tells the pod')
    .addOption(
      new Option(
        '--mode <mode>',
        'conversations: causal, what each client would see; packets: throughput, each packet as it stands',
      )
        .choices(['conversations', 'packets'])
        .default('conversations'),
    )
    .option('--flows', 'conversations: print what hubble observe would show, instead of the table')
    .option('--workers <number>', 'packets: threads of the parallel measurement (default: one for each core)', workers)
    .option('--duration <milliseconds>', 'packets: of each measurement', natural, 1000)
    .action(async (capture: string, options: ReplayOptions) => {
      const agent = await startAgent(loadStore(options.file), options);
      try {
        const packets = readTrace(capture);
        process.stdout.write(
          options.mode === 'packets'
            ? await throughput(agent, packets, options)
            : await conversations(agent, packets, options),
        );
      } finally {
        await agent.stop();
      }
    });
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

async function conversations(agent: Agent, packets: TracePacket[], { json, flows }: ReplayOptions): Promise<string> {
  const result = await replayWithProgress(agent, packets);
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

async function throughput(agent: Agent, packets: TracePacket[], options: ReplayOptions): Promise<string> {
  const { duration, json } = options;
  const progress = new Progress();
  progress.show('measuring');
  const result: ThroughputResult = await measureThroughput(agent, packets, {
    durationMs: duration,
    ...(options.workers === undefined ? {} : { workers: options.workers }),
  });
  progress.clear();
  return json ? `${toJson(result)}\n` : renderThroughput(result);
}
