import { etcdClient, etcdOptions, type KvstoreClient, KvstoreError } from '@ciliate/kvstore';
import { type Command, InvalidArgumentError, Option } from 'commander';

/** Where `ciliate kvstore serve` and etcd listen. */
export const DEFAULT_KVSTORE_ADDRESS = '127.0.0.1:2379';

/** Of a store that is always somewhere else. */
export interface ConnectOptions {
  kvstore: 'etcd';
  kvstoreOpt: string[];
}

/** Of an agent, which has a store of its own by default. */
export interface AgentStoreOptions extends Omit<ConnectOptions, 'kvstore'> {
  kvstore?: 'etcd';
  clusterId: number;
  identityAllocationMode: 'kvstore' | 'crd';
}

const MAX_CLUSTER_ID = 255;
const TYPE = '--kvstore <type>';
const OPTIONS = 'etcd.address=URL[,URL] or etcd.config=FILE; may be repeated';

export const withConnection = (command: Command): Command =>
  withStoreOptions(command, new Option(TYPE, 'where the store is').choices(['etcd']).default('etcd'));

/** The agent's own flags. */
export function withAgentStore(command: Command): Command {
  const type = new Option(TYPE, 'share identities and addresses with other agents; default: a store of its own');
  const mode = new Option('--identity-allocation-mode <mode>', 'numbers from the store, or as CiliumIdentity objects');
  return withClusterId(withStoreOptions(command, type.choices(['etcd']))).addOption(
    mode.choices(['kvstore', 'crd']).default('kvstore'),
  );
}

export const withClusterId = (command: Command): Command =>
  command.option('--cluster-id <number>', 'decides the range of the numbers of identities', clusterId, 0);

const withStoreOptions = (command: Command, type: Option): Command =>
  command.addOption(type).option('--kvstore-opt <key=value>', OPTIONS, collect, []);

/** @throws KvstoreError BAD_INPUT */
export function connect({ kvstoreOpt }: Pick<ConnectOptions, 'kvstoreOpt'>): KvstoreClient {
  const pairs = kvstoreOpt.length > 0 ? kvstoreOpt : [`etcd.address=${DEFAULT_KVSTORE_ADDRESS}`];
  return etcdClient(etcdOptions(pairs));
}

/**
 * Runs with the store that an agent is to share; undefined: its own.
 * @throws KvstoreError BAD_INPUT, also if nobody can be reached there
 */
export async function withAgentClient<T>(
  options: AgentStoreOptions,
  use: (client: KvstoreClient | undefined) => Promise<T>,
): Promise<T> {
  if (options.kvstore !== undefined) return withClient(options, use);
  if (options.kvstoreOpt.length > 0) throw new KvstoreError('BAD_INPUT', '--kvstore-opt needs --kvstore etcd');
  return use(undefined);
}

/** @throws KvstoreError: what the store answers is the user's to deal with */
export async function withClient<T>(
  options: Pick<ConnectOptions, 'kvstoreOpt'>,
  use: (client: KvstoreClient) => Promise<T>,
): Promise<T> {
  const client = connect(options);
  try {
    return await use(client);
  } catch (error) {
    if (!(error instanceof KvstoreError)) throw error;
    throw new KvstoreError('BAD_INPUT', error.message, {}, { cause: error });
  } finally {
    await client.close();
  }
}

function clusterId(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > MAX_CLUSTER_ID)
    throw new InvalidArgumentError(`want a number from 0 to ${MAX_CLUSTER_ID}.`);
  return value;
}

const collect = (value: string, before: string[]): string[] => [...before, value];
