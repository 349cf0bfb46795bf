import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EmbeddedStore, etcdClient, type KvstoreClient, KvstoreServer } from '../src/index.ts';

/** One store that a suite runs against; any number of clients of it. */
export interface RunningBackend {
  client: () => KvstoreClient;
  /** For etcdctl; none: it is not served. */
  endpoint?: string;
  stop: () => Promise<void>;
}

const nowNs = () => process.hrtime.bigint();

export async function embedded(): Promise<RunningBackend> {
  const store = new EmbeddedStore({ nowNs, heldEvents: Number.POSITIVE_INFINITY });
  return { client: () => store.client(), stop: () => store.close() };
}

export async function served(): Promise<RunningBackend> {
  const store = new EmbeddedStore({ nowNs, heldEvents: Number.POSITIVE_INFINITY });
  const server = await KvstoreServer.start({ store, listen: '127.0.0.1:0' });
  return {
    client: () => etcdClient({ endpoints: [server.address] }),
    endpoint: server.address,
    stop: async () => {
      await server.stop();
      await store.close();
    },
  };
}

export async function realEtcd(): Promise<RunningBackend> {
  const directory = mkdtempSync(join(tmpdir(), 'ciliate-etcd-'));
  const [clientPort, peerPort] = await freePorts(2);
  const url = `http://127.0.0.1:${clientPort}`;
  const etcd: ChildProcess = spawn('etcd', etcdArguments(directory, clientPort!, peerPort!), { stdio: 'ignore' });
  const probe = etcdClient({ endpoints: [url], timeoutMs: 20_000 });
  await probe.get('ready');
  await probe.close();
  return {
    client: () => etcdClient({ endpoints: [url] }),
    endpoint: url,
    stop: async () => {
      const gone = once(etcd, 'exit');
      etcd.kill('SIGKILL');
      await gone;
      rmSync(directory, { recursive: true });
    },
  };
}

/** One member, on this machine's loopback alone. */
export function etcdArguments(directory: string, clientPort: number, peerPort: number): string[] {
  const [url, peerUrl] = [`http://127.0.0.1:${clientPort}`, `http://127.0.0.1:${peerPort}`];
  return [
    ...['--data-dir', directory, '--name', 'test', '--initial-cluster', `test=${peerUrl}`],
    ...['--listen-client-urls', url, '--advertise-client-urls', url],
    ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl],
  ];
}

export const isInstalled = (program: string): boolean => {
  try {
    execFileSync('which', [program], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};

export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
