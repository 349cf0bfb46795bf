import { Command } from 'commander';
import { bpfCtCommand, bpfNatCommand } from './bpf_conntrack.ts';
import { bpfLbCommand } from './bpf_lb.ts';
import { bpfPolicyCommand } from './bpf_policy.ts';
import { bpfEndpointCommand, bpfFragCommand, bpfIpcacheCommand, bpfMetricsCommand } from './bpf_tables.ts';

/** The maps as `cilium-dbg bpf` shows them. There is no daemon: each command brings its own agent up. */
export function bpfCommand(): Command {
  const command = new Command('bpf').description('look into the BPF maps, in the columns of cilium-dbg bpf');
  for (const subcommand of [
    ...[bpfCtCommand(), bpfNatCommand(), bpfLbCommand(), bpfPolicyCommand(), bpfIpcacheCommand()],
    ...[bpfMetricsCommand(), bpfEndpointCommand(), bpfFragCommand()],
  ])
    command.addCommand(subcommand);
  return command;
}
