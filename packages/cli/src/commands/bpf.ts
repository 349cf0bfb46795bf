import { Command } from 'commander';
import { bpfCtCommand, bpfNatCommand } from './bpf_conntrack.ts';
import { bpfLbCommand } from './bpf_lb.ts';
import { bpfPolicyCommand } from './bpf_policy.ts';
import { bpfProgCommand } from './bpf_prog.ts';
import { bpfEndpointCommand, bpfFragCommand, bpfIpcacheCommand, bpfMetricsCommand } from './bpf_tables.ts';
import { bpfTestCommand } from './bpf_test.ts';

/** The maps as `cilium-dbg bpf` shows them. There is no daemon: each command brings its own agent up. */
export function bpfCommand(): Command {
  const command = new Command('bpf').description(
    'look into the BPF maps, in the columns of cilium-dbg bpf; run compiled BPF programs',
  );
  for (const subcommand of [
    ...[bpfCtCommand(), bpfNatCommand(), bpfLbCommand(), bpfPolicyCommand(), bpfIpcacheCommand()],
    ...[bpfMetricsCommand(), bpfEndpointCommand(), bpfFragCommand()],
    ...[bpfTestCommand(), bpfProgCommand()],
  ])
    command.addCommand(subcommand);
  return command;
}
