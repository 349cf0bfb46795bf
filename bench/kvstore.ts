/**
 * How many writes and reads does the store answer, durable, beside real etcd? Both are processes of their own on the same
 * disk, driven by the same client (this project's, over gRPC); and the store in this process, without gRPC.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EmbeddedStore, etcdClient, type KvstoreClient, NodeDisk } from '@ciliate/kvstore';
import type { BenchOptions, QuestionResult, Ratio, ResultRow } from './types.ts';

const CLIENTS = [1, 16, 64];
const VALUE = 'x'.repeat(256);
const KEYS = 1000;
/** What is asked of the ratio to etcd, by operation and concurrent calls. */
const REACH: Record<string, number> = {
  'put 1': 1,
  'put 16': 1,
  'put 64': 0.7,
  'get 1': 0.5,
  'get 16': 0.5,
  'get 64': 0.5,
};
const IN_PROCESS_REACH = 5;

interface Subject {
  engine: string;
  client: KvstoreClient;
  stop: () => Promise<void>;
}

export async function run(options: BenchOptions): Promise<QuestionResult> {
  const result: QuestionResult = { results: [], ratios: [], skipped: [] };
  const hasEtcd = spawnSync('etcd', ['--version']).status === 0;
  if (!hasEtcd) result.skipped.push({ engine: 'etcd', reason: 'etcd is not installed' });
  // One after the other: they share the disk and the processors.
  for (const start of hasEtcd ? [etcd, served, inProcess] : [served, inProcess]) {
    const directory = mkdtempSync(join(tmpdir(), 'ciliate-bench-'));
    const subject = await start(directory);
    try {
      for (const clients of CLIENTS) {
        for (const operation of ['put', 'get'] as const) {
          const row = await measure(subject, operation, clients, options);
          result.results.push(row);
          options.say(
            `kvstore: ${subject.engine.padEnd(12)} ${operation} x${String(clients).padEnd(3)} ` +
              `${String(row.perSecond).padStart(8)} /s  p50 ${row.p50Ms} ms  p99 ${row.p99Ms} ms`,
          );
        }
      }
    } finally {
      await subject.stop();
      rmSync(directory, { recursive: true });
    }
  }
  result.ratios = ratios(result.results);
  return result;
}

async function measure(
  { engine, client }: Subject,
  operation: 'put' | 'get',
  clients: number,
  { durationMs }: BenchOptions,
): Promise<ResultRow> {
  const call = (n: number): Promise<unknown> => {
    const key = `bench/${n % KEYS}`;
    return operation === 'put' ? client.put(key, VALUE) : client.get(key);
  };
  const drive = async (lastsMs: number): Promise<{ perSecond: number; times: number[] }> => {
    const times: number[] = [];
    const start = performance.now();
    let n = 0;
    const loop = async (): Promise<void> => {
      for (let before = performance.now(); before - start < lastsMs; ) {
        await call(n++);
        const after = performance.now();
        times.push(after - before);
        before = after;
      }
    };
    await Promise.all(Array.from({ length: clients }, loop));
    return { perSecond: Math.round((times.length * 1000) / (performance.now() - start)), times };
  };
  await drive(durationMs / 4);
  const { perSecond, times } = await drive(durationMs);
  times.sort((a, b) => a - b);
  const at = (share: number): number => Number((times[Math.floor(times.length * share)] ?? 0).toFixed(3));
  return { question: 'kvstore', engine, entries: clients, mode: operation, perSecond, p50Ms: at(0.5), p99Ms: at(0.99) };
}

function ratios(rows: readonly ResultRow[]): Ratio[] {
  const found: Ratio[] = [];
  for (const { engine, mode, entries, perSecond } of rows) {
    const baseline = rows.find((row) => row.engine === 'etcd' && row.mode === mode && row.entries === entries);
    if (engine === 'etcd' || baseline === undefined) continue;
    const ratio = Number(perSecond) / Number(baseline.perSecond);
    // Durable puts in the process wait for the same disk: the reach in the process is about reads.
    const inProcessReach = mode === 'get' ? IN_PROCESS_REACH : 1;
    const reach = engine === 'in process' ? inProcessReach : REACH[`${mode} ${entries}`]!;
    const name = `kvstore ${mode}s per second`;
    found.push({ name, entries, engine, baseline: 'etcd', ratio, reach: `>= ${reach}`, reached: ratio >= reach });
  }
  return found;
}

async function inProcess(directory: string): Promise<Subject> {
  const nowNs = () => process.hrtime.bigint();
  const store = await EmbeddedStore.open({ disk: new NodeDisk(directory), nowNs, salt: () => 1 });
  return { engine: 'in process', client: store.client(), stop: () => store.close() };
}

async function served(directory: string): Promise<Subject> {
  const program = new URL('../packages/cli/src/main.ts', import.meta.url).pathname;
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
  return over('etcd', spawn('etcd', args, { stdio: 'ignore' }), url);
}

async function over(engine: string, child: ChildProcess, endpoint: string): Promise<Subject> {
  const client = etcdClient({ endpoints: [endpoint], timeoutMs: 20_000 });
  await client.put('ready', '');
  const stop = async (): Promise<void> => {
    await client.close();
    const gone = once(child, 'exit');
    child.kill();
    await gone;
  };
  return { engine, client, stop };
}
