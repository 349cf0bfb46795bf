import { Command } from 'commander';
import { traceGenerateCommand } from './trace_generate.ts';

export function traceCommand(): Command {
  return new Command('trace').description('traces of packets').addCommand(traceGenerateCommand());
}
