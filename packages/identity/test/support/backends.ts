import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { etcdClient } from '@ciliate/kvstore';

/** A store in a process of its own. */
export interface Backend {
  readonly endpoint: string;
  stop(): Promise<void>;
}

export const isEtcdHere = (): boolean => spawnSync('etcd', ['--version']).status === 0;

/** The embedded store over gRPC, in memory. */
export async function served(): Promise<Backend> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'serve.ts')]);
  const [line] = await once(child.stdout, 'data');
  return { endpoint: `${line}`.trim(), stop: () => end(child) };
}

export async function realEtcd(): Promise<Backend> {
  const directory = mkdtempSync(join(tmpdir(), 'ciliate-identity-'));
  const [endpoint, peer] = [`http://127.0.0.1:${await freePort()}`, `http://127.0.0.1:${await freePort()}`];
  const flags = [
    ...['--data-dir', directory, '--name', 'test', '--initial-cluster', `test=${peer}`],
    ...['--listen-client-urls', endpoint, '--advertise-client-urls', endpoint],
    ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
  ];
  const child = spawn('etcd', flags, { stdio: 'ignore' });
  const probe = etcdClient({ endpoints: [endpoint], timeoutMs: 20_000 });
  await probe.get('ready');
  await probe.close();
  return {
    endpoint,
    stop: async () => {
      await end(child);
      rmSync(directory, { recursive: true });
    },
  };
}

async function end(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
