import { Command } from 'commander';
import { traceGenerateCommand } from './trace_generate.ts';
import { tracePacketCommand } from './trace_packet.ts';

export function traceCommand(): Command {
  const command = new Command('trace').description('single packets explained, traces generated');
  for (const subcommand of [tracePacketCommand(), traceGenerateCommand()]) command.addCommand(subcommand);
  return command;
}
