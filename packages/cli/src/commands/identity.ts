import { IdentityCache, readIdentities } from '@ciliate/identity';
import { InputError } from '@ciliate/k8s';
import type { KvstoreClient } from '@ciliate/kvstore';
import { Labels } from '@ciliate/labels';
import { ApiClient } from '@ciliate/live';
import { Command, Option } from 'commander';
import { type AgentStoreOptions, withAgentClient, withAgentStore } from '../kvstore_options.ts';
import { type SocketOptions, withSocket } from '../live/socket_option.ts';
import { type CommonOptions, loadStore, startAgent, toJson, withOptionalFile } from '../options.ts';
import { tabwriter } from '../render_tabwriter.ts';

/** As Cilium's API describes one. */
interface Identity {
  readonly id: number;
  readonly labels: readonly string[];
}

type LookOptions = Omit<CommonOptions, 'file'> &
  SocketOptions &
  AgentStoreOptions & { file?: string[]; output?: 'json' };

/** `ciliate identity list` and `get`, in the columns of cilium-dbg. */
export function identityCommand(): Command {
  return new Command('identity')
    .description('security identities: the numbers of label sets')
    .addCommand(
      lookCommand('list')
        .alias('ls')
        .description('print all identities, or the one of exactly these labels')
        .argument('[labels...]', 'as k8s:app=web')
        .action(list),
    )
    .addCommand(
      lookCommand('get')
        .description('print one identity')
        .argument('[id]', 'its number')
        .option('--label <label>', 'the one of exactly these labels; may be repeated', collect)
        .action(get),
    );
}

/**
 * Who is asked: an agent of its own for the objects of `-f`; without them the store that agents share, if one is named; else
 * the cluster that runs.
 */
const lookCommand = (name: string): Command =>
  withSocket(withAgentStore(withOptionalFile(new Command(name)))).addOption(
    new Option('-o, --output <format>', 'instead of text').choices(['json']),
  );

async function list(texts: readonly string[], options: LookOptions): Promise<void> {
  const all = await withAgentClient(options, (kvstore) => identities(options, kvstore));
  print(options, texts.length === 0 ? all : [withLabels(all, texts)]);
}

async function get(id: string | undefined, options: LookOptions & { label?: string[] }): Promise<void> {
  if ((id === undefined) === (options.label === undefined))
    throw new InputError('give the number of an identity, or its labels with --label', {});
  if (id !== undefined && !/^\d+$/.test(id)) throw new InputError(`${JSON.stringify(id)} is no number`, { id });
  const all = await withAgentClient(options, (kvstore) => identities(options, kvstore));
  const found = id === undefined ? withLabels(all, options.label!) : all.find((one) => one.id === Number(id));
  if (found === undefined) throw new InputError(`no identity ${id}`, { id: `${id}` });
  print(options, [found]);
}

/** In the order of the numbers. */
async function identities(options: LookOptions, kvstore: KvstoreClient | undefined): Promise<readonly Identity[]> {
  const { file, socket } = options;
  if (file !== undefined) {
    const agent = await startAgent(loadStore(file), { ...options, kvstore });
    try {
      return agent.identities.entries().map(shown);
    } finally {
      await agent.stop();
    }
  }
  if (kvstore === undefined) return new ApiClient(socket).identities();
  return [...new IdentityCache().entries(), ...(await readIdentities(kvstore))].map(shown);
}

const shown = ([id, labels]: readonly [number, Labels]): Identity => ({ id, labels: labels.toStrings() });

function withLabels(all: readonly Identity[], texts: readonly string[]): Identity {
  const wanted = Labels.parse(texts);
  const found = all.find(({ labels }) => Labels.parse(labels).equals(wanted));
  if (found === undefined)
    throw new InputError(`no identity has exactly the labels ${wanted}`, { labels: `${wanted}` });
  return found;
}

function print({ json, output }: LookOptions, all: readonly Identity[]): void {
  if (json || output === 'json') {
    process.stdout.write(`${toJson(all)}\n`);
    return;
  }
  const rows = all.flatMap(({ id, labels }) => labels.map((label, i) => `${i === 0 ? id : ''}\t${label}\n`));
  process.stdout.write(tabwriter(`ID\tLABELS\n${rows.join('')}`));
}

const collect = (value: string, before: string[] = []): string[] => [...before, value];
