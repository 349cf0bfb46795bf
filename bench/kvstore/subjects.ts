import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EmbeddedStore, etcdClient, type KvstoreClient, NodeDisk } from '@ciliate/kvstore';

/** A durable store that is measured. */
export interface Subject {
  engine: 'etcd' | 'over gRPC' | 'in process';
  client: KvstoreClient;
  /** Of the gRPC service; none: it is in this process. */
  endpoint: string | undefined;
  /** Microseconds of processor time that its process has used. */
  cpuUs: () => number;
  stop: () => Promise<void>;
}

/** All on the same disk, each in a directory of its own, and none does anything while it is not asked. */
export async function startSubjects(withEtcd: boolean): Promise<Subject[]> {
  const starts = [served, inProcess, ...(withEtcd ? [etcd] : [])];
  return Promise.all(
    starts.map(async (start) => {
      const directory = mkdtempSync(join(tmpdir(), 'ciliate-bench-'));
      const subject = await start(directory);
      const stop = async (): Promise<void> => {
        await subject.stop();
        rmSync(directory, { recursive: true });
      };
      return { ...subject, stop };
    }),
  );
}

async function inProcess(directory: string): Promise<Subject> {
  const nowNs = () => process.hrtime.bigint();
  const store = await EmbeddedStore.open({ disk: new NodeDisk(directory), nowNs, salt: () => 1 });
  const cpuUs = (): number => {
    const { user, system } = process.cpuUsage();
    return user + system;
  };
  return { engine: 'in process', client: store.client(), endpoint: undefined, cpuUs, stop: () => store.close() };
}

async function served(directory: string): Promise<Subject> {
  const program = new URL('../../packages/cli/src/main.ts', import.meta.url).pathname;
  const listen = '127.0.0.1:23795';
  const args = [program, 'kvstore', 'serve', '--listen', listen, '--data-dir', directory];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return over('over gRPC', child, listen);
}

async function etcd(directory: string): Promise<Subject> {
  const [url, peer] = ['http://127.0.0.1:23796', 'http://127.0.0.1:23797'];
  const name = ['--name', 'bench', '--data-dir', directory, '--initial-cluster', `bench=${peer}`];
  const peers = ['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer];
  const args = [...name, ...peers, '--listen-client-urls', url, '--advertise-client-urls', url];
  return over('etcd', spawn('etcd', args, { stdio: 'ignore' }), '127.0.0.1:23796');
}

async function over(engine: Subject['engine'], child: ChildProcess, endpoint: string): Promise<Subject> {
  const leave = (): boolean => child.kill(); // a benchmark that fails leaves no server behind
  process.once('exit', leave);
  const client = etcdClient({ endpoints: [endpoint], timeoutMs: 20_000 });
  await client.put('ready', '');
  const stop = async (): Promise<void> => {
    await client.close();
    process.off('exit', leave);
    const gone = once(child, 'exit');
    child.kill();
    await gone;
  };
  return { engine, client, endpoint, cpuUs: () => cpuOf(child.pid!), stop };
}

/** User and system time, in ticks of 10 ms: fields 14 and 15 of proc(5). */
function cpuOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}
