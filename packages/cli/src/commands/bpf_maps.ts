import type { Agent } from '@ciliate/agent';
import { type Command, Option } from 'commander';
import { type CommonOptions, loadStore, startAgent, withCommonOptions } from '../options.ts';
import { readTrace, replayWithProgress } from './replay.ts';

export interface MapOptions extends CommonOptions {
  output?: 'json';
}

/** What a command shows of the maps: the text of `cilium-dbg`, and what it prints with `-o json`. */
export interface MapView {
  text: string;
  json: unknown;
  /** Goes to stderr, as where `cilium-dbg` has nothing to list. */
  note?: string;
}

export const withMapOptions = (command: Command): Command =>
  withCommonOptions(command).addOption(
    new Option('-o, --output <format>', 'json: the shapes of cilium-dbg').choices(['json']),
  );

export const CAPTURE_ARGUMENT = [
  '[capture]',
  'pcap or pcapng, replayed first so that the maps have seen traffic',
] as const;

/** Brings up an agent, replays the capture if there is one, and prints what `show` makes of the maps. */
export async function showMaps(
  options: MapOptions,
  capture: string | undefined,
  show: (agent: Agent) => MapView,
): Promise<void> {
  const agent = await startAgent(loadStore(options.file), options);
  try {
    if (capture !== undefined) await replayWithProgress(agent, readTrace(capture));
    const { text, json, note } = show(agent);
    if (note !== undefined) process.stderr.write(`${note}\n`);
    process.stdout.write(options.json || options.output === 'json' ? `${goJson(json)}\n` : text);
  } finally {
    await agent.stop();
  }
}

/** JSON with bigints as numbers, which Go's u64 are. */
const goJson = (value: unknown): string =>
  JSON.stringify(
    value instanceof Map ? Object.fromEntries(value) : value,
    (_key, member) => (typeof member === 'bigint' ? rawJson(`${member}`) : member),
    2,
  );

/** Of ECMAScript 2026; the compiler's library does not have it yet. */
const { rawJSON: rawJson } = JSON as unknown as { rawJSON(text: string): unknown };

export const NO_ENTRIES = 'No entries found.';
