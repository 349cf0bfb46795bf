import { readFileSync } from 'node:fs';
import {
  EmbeddedStore,
  type KeyValue,
  KvstoreError,
  KvstoreServer,
  NodeDisk,
  type ServerTls,
  valueText,
} from '@ciliate/kvstore';
import { Command } from 'commander';
import { type ConnectOptions, DEFAULT_KVSTORE_ADDRESS, withClient, withConnection } from '../kvstore_options.ts';
import { positive, toJson } from '../options.ts';

interface LookOptions extends ConnectOptions {
  json?: true;
}

interface ServeOptions {
  listen: string;
  dataDir?: string;
  heldEvents?: number;
  certFile?: string;
  keyFile?: string;
  trustedCaFile?: string;
  clientCertAuth?: true;
}

/** The control plane's memory: look into it, or serve one. */
export function kvstoreCommand(): Command {
  return new Command('kvstore')
    .description("look into the control plane's store, or serve one that etcd's clients understand")
    .addCommand(
      lookCommand('get')
        .description('print a key, or all that begin with it')
        .argument('<key>')
        .option('--recursive', 'all keys that begin with it')
        .option('--revision <n>', 'as of this revision', positive)
        .action(get),
    )
    .addCommand(
      lookCommand('watch')
        .description('print every change of the keys that begin with a prefix, until interrupted')
        .argument('[prefix]', 'default: all keys', '')
        .option('--revision <n>', 'from this revision on; default: from now on', positive)
        .action(watch),
    )
    .addCommand(serveCommand());
}

const lookCommand = (name: string): Command =>
  withConnection(new Command(name)).option('--json', 'print JSON, one document for each line of text');

function serveCommand(): Command {
  return new Command('serve')
    .description('an etcd v3 server of one process: use etcdctl or any etcd client with it')
    .option('--listen <host:port>', 'where; port 0: any free one', DEFAULT_KVSTORE_ADDRESS)
    .option('--data-dir <dir>', 'keep the store here; without it, it is in memory alone')
    .option('--held-events <n>', 'compact by itself so that about this many events stay; default: when asked', positive)
    .option('--cert-file <file>', "the server's certificate, PEM; TLS then")
    .option('--key-file <file>', 'its key, PEM')
    .option('--trusted-ca-file <file>', 'the authority of client certificates, PEM')
    .option('--client-cert-auth', 'let nobody in without a client certificate')
    .action(serve);
}

async function get(key: string, options: LookOptions & { recursive?: true; revision?: number }): Promise<void> {
  const { recursive, revision } = options;
  await withClient(options, async (client) => {
    const span = recursive ? { prefix: key } : { key };
    const { entries } = await client.range({ ...span, ...(revision === undefined ? {} : { revision }) });
    if (entries.length === 0 && !recursive) throw new KvstoreError('BAD_INPUT', `key ${key} is not found`);
    for (const entry of entries) print(options, entryText(entry), shown(entry));
  });
}

async function watch(prefix: string, options: LookOptions & { revision?: number }): Promise<void> {
  await withClient(options, async (client) => {
    const from = options.revision === undefined ? {} : { fromRevision: options.revision };
    const events = client.watch({ prefix, ...from });
    process.once('SIGINT', () => events.close());
    for await (const batch of events) {
      for (const { type, entry } of batch) {
        const text = type === 'put' ? entryText(entry) : entry.key;
        print(options, `${entry.modRevision} ${type} ${text}`, { type, ...shown(entry) });
      }
    }
  });
}

async function serve(options: ServeOptions): Promise<void> {
  const tls = serverTls(options);
  const store = await openStore(options);
  try {
    const server = await KvstoreServer.start({ store, listen: options.listen, ...(tls === undefined ? {} : { tls }) });
    const where = options.dataDir === undefined ? 'in memory' : `in ${options.dataDir}`;
    process.stdout.write(`serving etcd v3 at ${server.address}, ${where}, revision ${store.revision}\n`);
    await new Promise<void>((resolve) => {
      process.once('SIGINT', resolve);
      process.once('SIGTERM', resolve);
    });
    await server.stop();
  } finally {
    await store.close();
  }
}

async function openStore({ dataDir, heldEvents = Number.POSITIVE_INFINITY }: ServeOptions): Promise<EmbeddedStore> {
  const nowNs = () => process.hrtime.bigint();
  const random32 = () => crypto.getRandomValues(new Uint32Array(1))[0]!;
  // Ids of leases of an earlier life are not given out again, were its memory gone.
  const firstLeaseId = (BigInt(random32() >>> 1) << 32n) | 1n;
  if (dataDir === undefined) return new EmbeddedStore({ nowNs, heldEvents, firstLeaseId });
  const warn = (message: string): void => void process.stderr.write(`${message}\n`);
  const disk = new NodeDisk(dataDir);
  try {
    return await EmbeddedStore.open({ disk, nowNs, heldEvents, firstLeaseId, salt: random32, warn });
  } catch (error) {
    throw asBadInput(error);
  }
}

/** A directory that is locked or damaged is the user's to deal with. */
function asBadInput(error: unknown): unknown {
  if (!(error instanceof KvstoreError) || (error.code !== 'LOCKED' && error.code !== 'CORRUPT')) return error;
  return new KvstoreError('BAD_INPUT', error.message, {}, { cause: error });
}

function serverTls({ certFile, keyFile, trustedCaFile, clientCertAuth }: ServeOptions): ServerTls | undefined {
  if (certFile === undefined && keyFile === undefined) {
    if (trustedCaFile === undefined && clientCertAuth === undefined) return undefined;
    throw new KvstoreError('BAD_INPUT', 'client certificates need TLS: give --cert-file and --key-file too');
  }
  if (certFile === undefined || keyFile === undefined)
    throw new KvstoreError('BAD_INPUT', '--cert-file and --key-file go together');
  if (clientCertAuth && trustedCaFile === undefined)
    throw new KvstoreError('BAD_INPUT', '--client-cert-auth needs --trusted-ca-file');
  const files = { cert: readPem(certFile), key: readPem(keyFile) };
  return trustedCaFile === undefined ? files : { ...files, clientCa: readPem(trustedCaFile) };
}

function readPem(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new KvstoreError('BAD_INPUT', error instanceof Error ? error.message : String(error), {}, { cause: error });
  }
}

const entryText = (entry: KeyValue): string => `${entry.key} => ${valueText(entry)}`;

const shown = ({ key, value, createRevision, modRevision, version, leaseId }: KeyValue): object => ({
  key,
  value: new TextDecoder().decode(value),
  createRevision,
  modRevision,
  version,
  leaseId: leaseId.toString(16),
});

function print({ json }: LookOptions, text: string, value: object): void {
  process.stdout.write(`${json ? toJson(value) : text}\n`);
}
