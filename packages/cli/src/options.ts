import { Agent, type AgentOptions } from '@ciliate/agent';
import { InputError, loadObjects, ObjectStore } from '@ciliate/k8s';
import type { PolicyConfig } from '@ciliate/policy';
import { MAX_WORKERS } from '@ciliate/replay';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { destination, pino } from 'pino';
import { type DatapathOptions, datapathFlagsOf } from './datapath_options.ts';

/** Options that every command has. */
export interface RunOptions {
  seed: number;
  json?: true;
  logLevel: string;
}

/** What the agent's configuration says about policy. */
export interface PolicyOptions {
  enablePolicy: PolicyConfig['enforcement'];
  enableHostFirewall?: true;
}

/** Options of the commands that run on the user's own objects. */
export interface CommonOptions extends RunOptions, PolicyOptions {
  file: string[];
}

const FILE_OPTION = '-f, --file <path>';
const OBJECTS = 'objects: a YAML file or a folder of them, not recursive; may be repeated';
const ENABLE_POLICY = 'drop what no rule allows: when a rule about that direction selects the pod, always, or never';
const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

export function withCommonOptions(command: Command): Command {
  return withClusterOptions(command.requiredOption(FILE_OPTION, OBJECTS, collect));
}

/** As `withCommonOptions`, for a command with subcommands that need no objects: it asks `checkFile` itself. */
export function withOptionalFile(command: Command): Command {
  return withClusterOptions(command.option(FILE_OPTION, OBJECTS, collect));
}

export function checkFile(command: Command, { file }: Partial<CommonOptions>): void {
  if (file === undefined) command.error(`error: required option '${FILE_OPTION}' not specified`);
}

function withClusterOptions(command: Command): Command {
  return withRunOptions(withPolicyOptions(command));
}

/** What the agent's configuration says about policy. */
export function withPolicyOptions(command: Command): Command {
  const mode = new Option('--enable-policy <mode>', ENABLE_POLICY);
  return command
    .addOption(mode.choices(['default', 'always', 'never']).default('default'))
    .option('--enable-host-firewall', 'enforce policies with a nodeSelector at the node itself');
}

/** The same in the words of the policy room. */
export const policyConfigOf = ({ enablePolicy, enableHostFirewall }: PolicyOptions) => ({
  enforcement: enablePolicy,
  hostFirewall: enableHostFirewall ?? false,
});

export function withRunOptions(command: Command): Command {
  return command
    .option('--seed <number>', 'decides every choice that Cilium leaves to chance', natural, 1)
    .option('--json', 'print one JSON document instead of text')
    .option('--log-level <level>', `the agent's log on stderr: ${LOG_LEVELS.join(', ')}`, level, 'warn');
}

/** A number of threads. */
export function workers(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > MAX_WORKERS)
    throw new InvalidArgumentError(`want a number from 1 to ${MAX_WORKERS}.`);
  return value;
}

/** A non-negative integer. */
export function natural(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > 0xffff_ffff) throw new InvalidArgumentError('want a number from 0 to 4294967295.');
  return value;
}

/** An integer from 1 on. */
export function positive(text: string): number {
  const value = natural(text);
  if (value === 0) throw new InvalidArgumentError('want a number from 1 on.');
  return value;
}

function collect(path: string, before: string[] = []): string[] {
  return [...before, path];
}

function level(text: string): string {
  if (!LOG_LEVELS.includes(text)) throw new InvalidArgumentError(`want one of ${LOG_LEVELS.join(', ')}.`);
  return text;
}

/** A store with the objects of these files and folders. @throws what is wrong with them */
export function loadStore(paths: readonly string[]): ObjectStore {
  const store = new ObjectStore();
  for (const object of loadObjects(paths)) store.apply(object);
  if (store.list('Pod').length === 0)
    throw new InputError(`no Pod in ${paths.join(', ')}: nothing could send or receive a packet`, {});
  return store;
}

export function startAgent(
  store: ObjectStore,
  options: Pick<RunOptions, 'seed' | 'logLevel'> &
    Partial<PolicyOptions> &
    DatapathOptions &
    Partial<Pick<AgentOptions, 'kvstore' | 'clusterId' | 'identityAllocationMode'>>,
): Promise<Agent> {
  const { seed, logLevel, enablePolicy, enableHostFirewall, kvstore, clusterId, identityAllocationMode } = options;
  const log = pino({ level: logLevel, base: { subsys: 'agent' } }, destination({ dest: 2, sync: true }));
  const policy = { enablePolicy, enableHostFirewall };
  const ofIdentities = { kvstore, clusterId, identityAllocationMode };
  return Agent.start({ store, seed, log, ...ofIdentities, ...policy, ...datapathFlagsOf(options) });
}

/** JSON with bigints as decimal text. */
export const toJson = (value: unknown): string =>
  JSON.stringify(value, (_key, member) => (typeof member === 'bigint' ? member.toString() : member), 2);
