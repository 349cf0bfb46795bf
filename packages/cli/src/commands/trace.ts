import { Command } from 'commander';
import { tracePacketCommand } from './trace_packet.ts';

export function traceCommand(): Command {
  const command = new Command('trace').description('single packets explained');
  for (const subcommand of [tracePacketCommand()]) command.addCommand(subcommand);
  return command;
}
