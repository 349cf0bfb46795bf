import { readFileSync } from 'node:fs';
import { InputError } from '@ciliate/k8s';
import { mergeResults, type PacketsResult } from '@ciliate/replay';
import { Command } from 'commander';
import { toJson } from '../options.ts';
import { renderPackets } from '../render_packets.ts';

export function replayMergeCommand(): Command {
  return new Command('merge')
    .description('join what replay --mode packets --shard i/n --json wrote for each share into the result of all')
    .argument('<files...>', 'one result for each share')
    .option('--json', 'print one JSON document instead of text')
    .action((files: string[], _options: object, command: Command) => {
      const result = mergeResults(files.map((file) => ({ file, result: readResult(file) })));
      process.stdout.write(command.optsWithGlobals().json ? `${toJson(result)}\n` : renderPackets(result));
    });
}

/** @throws InputError naming the file */
function readResult(file: string): PacketsResult {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new InputError(`${file}: ${(cause as Error).message}`, { file });
  }
  const kind: PacketsResult['kind'] = 'ciliate replay packets';
  const found = parse(text);
  if (found?.kind !== kind) throw new InputError(`${file}: not a result of replay --mode packets --json`, { file });
  return found as PacketsResult;
}

function parse(text: string): Partial<PacketsResult> | null | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
