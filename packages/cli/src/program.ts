import { Command, CommanderError } from 'commander';
import { bpfCommand } from './commands/bpf.ts';
import { conformanceCommand } from './commands/conformance/conformance.ts';
import { demoCommand } from './commands/demo.ts';
import { diffCommand } from './commands/diff.ts';
import { execCommand } from './commands/exec.ts';
import { identityCommand } from './commands/identity.ts';
import { kvstoreCommand } from './commands/kvstore.ts';
import { matrixCommand } from './commands/matrix.ts';
import { applyCommand, deleteCommand, observeCommand } from './commands/objects.ts';
import { operatorCommand } from './commands/operator.ts';
import { policyCommand } from './commands/policy.ts';
import { profilesCommand } from './commands/profiles.ts';
import { replayCommand } from './commands/replay.ts';
import { traceCommand } from './commands/trace.ts';
import { upCommand } from './commands/up.ts';
import { verdictCommand } from './commands/verdict.ts';

/** What was wrong with the input or the command line. */
const EXIT_BAD_INPUT = 2;
const EXIT_FAILED = 1;

/** Runs the command line. @returns the exit code: 0, 1 when something failed, 2 when the input was wrong */
export async function run(args: readonly string[]): Promise<number> {
  const program = new Command('ciliate')
    .description('A model organism for Cilium: see why a packet was dropped, and why another client got 403.')
    .version('0.1.0')
    .showSuggestionAfterError()
    .exitOverride();
  for (const command of [
    demoCommand(),
    replayCommand(),
    verdictCommand(),
    traceCommand(),
    bpfCommand(),
    policyCommand(),
    diffCommand(),
    matrixCommand(),
    conformanceCommand(),
    profilesCommand(),
    identityCommand(),
    kvstoreCommand(),
    operatorCommand(),
    upCommand(),
    execCommand(),
    applyCommand(),
    deleteCommand(),
    observeCommand(),
  ])
    program.addCommand(prepared(command));
  try {
    await program.parseAsync(args, { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    return report(error);
  }
}

/** With its subcommands: errors are thrown, not exited with. */
function prepared(command: Command): Command {
  for (const subcommand of command.commands) prepared(subcommand);
  return command.exitOverride().showSuggestionAfterError();
}

function report(error: unknown): number {
  // commander has printed its own messages, help and version among them.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_BAD_INPUT;
  if (isBadInput(error)) {
    process.stderr.write(`${error.message}\n`);
    return EXIT_BAD_INPUT;
  }
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  return EXIT_FAILED;
}

const isBadInput = (error: unknown): error is Error =>
  error instanceof Error && 'code' in error && error.code === 'BAD_INPUT';
