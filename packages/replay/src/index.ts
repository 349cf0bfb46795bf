export { type DescribedStep, decisionText, type Names } from './describe.ts';
export type { Transport } from './flow.ts';
export { type GenerateSummary, generateTrace } from './generate/generate_trace.ts';
export {
  DEFAULT_OPTIONS,
  type GenerateOptions,
  MAX_SIZE,
  MIN_SIZE,
  PEERS,
  PROTOCOLS,
  type Sizes,
} from './generate/options.ts';
export { type Fate as PacketFate, Node } from './node.ts';
export { mergeResults, type NamedResult } from './packets/merge.ts';
export { type ReplayPacketsOptions, replayPackets } from './packets/replay_packets.ts';
export type { Amount, Fate, PacketFlow, PacketsResult, Share, Timings } from './packets/result.ts';
export type { TracePacket } from './recording.ts';
export { type OnProgress, type Played, playTrace, type ReplayResult, replayConversations } from './replay.ts';
export type { Outcome, Row } from './rows.ts';
export { seqDiff } from './stream.ts';
export { type Question, START_NS, synthesize } from './synthesize.ts';
export { TcpPlayer } from './tcp_player.ts';
export {
  MAX_WORKERS,
  measureThroughput,
  type Rate,
  type ThroughputOptions,
  type ThroughputResult,
} from './throughput.ts';
export { type FieldChange, type Header, headersOf } from './trace/headers.ts';
export type { End, MachineOptions } from './trace/machine.ts';
export { type FramedPacket, framed, type PacketTrace, type TraceStep, tracePacket } from './trace/trace_packet.ts';
export { judge, type Verdict, type VerdictQuestion } from './verdict.ts';
