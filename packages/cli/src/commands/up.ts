import { InputError } from '@ciliate/k8s';
import type { KvstoreClient } from '@ciliate/kvstore';
import { ApiServer, LiveCluster, type PodAddresses, type WorldHost } from '@ciliate/live';
import { parseIp } from '@ciliate/packet';
import { Command, InvalidArgumentError, Option } from 'commander';
import { destination, pino } from 'pino';
import { type DatapathOptions, datapathFlagsOf, withDatapathOptions } from '../datapath_options.ts';
import { type AgentStoreOptions, withAgentClient, withAgentStore } from '../kvstore_options.ts';
import { type SocketOptions, withSocket } from '../live/socket_option.ts';
import { type CommonOptions, loadStore, positive, withCommonOptions } from '../options.ts';
import { table } from '../table.ts';

interface UpOptions extends CommonOptions, SocketOptions, AgentStoreOptions, DatapathOptions {
  world?: WorldHost[];
  flows?: true;
  envoyWebsocket?: true;
  proxyWorkers: number;
  tofqdnsDnsRejectResponseCode: 'refused' | 'nameError';
}

export function upCommand(): Command {
  const reject = new Option(
    '--tofqdns-dns-reject-response-code <code>',
    'what the DNS proxy answers when no rule allows',
  );
  return withSocket(withAgentStore(withDatapathOptions(withCommonOptions(new Command('up')))))
    .description('runs a small cluster on loopback, in the foreground, for real clients (see exec); Ctrl-C ends it')
    .option('--world <name=address>', 'a host outside of the cluster, which echoes HTTP; may be repeated', worldHost)
    .option('--envoy-websocket', 'let HTTP/1 connections become WebSockets where rules allow, as later releases do')
    .option('--flows', 'print what hubble observe would show')
    .option('--proxy-workers <number>', 'threads of the HTTP proxy', positive, 1)
    .addOption(reject.choices(['refused', 'nameError']).default('refused'))
    .action(up);
}

async function up(options: UpOptions): Promise<void> {
  if (options.json) throw new InputError('--json: up prints lines; ask its API for JSON', {});
  if (options.node !== undefined) throw new InputError('--node: up runs all pods on one node', {});
  if (options.enableHostFirewall) throw new InputError('--enable-host-firewall: up has no packets of the node', {});
  await withAgentClient(options, (kvstore) => run(options, kvstore));
}

async function run(options: UpOptions, kvstore: KvstoreClient | undefined): Promise<void> {
  const { file, seed, enablePolicy, world, socket, proxyWorkers, clusterId, identityAllocationMode } = options;
  const store = loadStore(file);
  const log = pino({ level: options.logLevel, base: { subsys: 'agent' } }, destination({ dest: 2, sync: true }));
  const dnsRejectWith = options.tofqdnsDnsRejectResponseCode;
  const cluster = await LiveCluster.start({
    ...{ store, seed, log, enablePolicy, dnsRejectWith, proxyWorkers },
    ...{ kvstore, clusterId, identityAllocationMode },
    envoyWebsocket: options.envoyWebsocket ?? false,
    ...datapathFlagsOf(options),
    ...(world !== undefined && { world }),
  });
  try {
    const ended = untilSignal();
    const api = await ApiServer.start(cluster, socket);
    try {
      process.stdout.write(`${podTable(cluster.pods)}API: ${socket}\n`);
      if (options.flows) cluster.flows.listen((line) => void process.stdout.write(`${line}\n`));
      cluster.notes.listen(({ pod, text }) => void process.stderr.write(`${pod}: ${text}\n`));
      process.stdout.write('ready\n');
      await ended;
    } finally {
      api.close();
    }
  } finally {
    await cluster.stop();
  }
}

const podTable = (pods: readonly PodAddresses[]): string =>
  table(
    ['POD', 'ADDRESS', 'SOCKS5', 'DNS'],
    pods.map(({ pod, address, socksPort, dnsPort }) => [
      ...[pod, address, `127.0.0.1:${socksPort}`, `127.0.0.1:${dnsPort}`],
    ]),
  );

function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve());
  });
}

function worldHost(text: string, before: WorldHost[] = []): WorldHost[] {
  const [name, address, ...rest] = text.split('=');
  if (!name || address === undefined || parseIp(address) === undefined || rest.length > 0)
    throw new InvalidArgumentError('want a name and an address, for example api.example.com=203.0.113.7.');
  return [...before, { name, address }];
}
