import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { etcdClient, type KvstoreClient, KvstoreError, valueText } from '../src/index.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);
const KILLS = Number(process.env.CILIATE_KILLS ?? 6);
const KEYS = 8;

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'ciliate-kill-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

async function serve(listen: string): Promise<{ child: ChildProcess; address: string }> {
  const program = fileURLToPath(new URL('support/serve.ts', import.meta.url));
  const child = spawn(process.execPath, [program, listen, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout!, 'data')) as [Buffer];
  return { child, address: line.toString().trim() };
}

/** What one writer did to the key that is its own: values count up, so the newest tells the whole past. */
interface Writer {
  key: string;
  issued: number;
  acknowledged: number;
}

async function write(client: KvstoreClient, writer: Writer, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    const value = writer.issued + 1;
    writer.issued = value;
    try {
      await client.put(writer.key, `${value}`);
      writer.acknowledged = value;
      const read = Number(valueText((await client.get(writer.key))!));
      if (read < value) throw new Error(`${writer.key}: ${value} was acknowledged, ${read} was read`);
    } catch (error) {
      if (!(error instanceof KvstoreError) || error.code !== 'UNAVAILABLE') throw error;
      // Its outcome is unknown: it may be there or not, but nothing older than what was acknowledged.
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

test('killed again and again: no acknowledged write is lost, and a watch misses and repeats nothing', async () => {
  let { child, address } = await serve('127.0.0.1:0');
  const client = etcdClient({ endpoints: [address], timeoutMs: 10_000 });
  const writers: Writer[] = Array.from({ length: KEYS }, (_, i) => ({ key: `k${i}`, issued: 0, acknowledged: 0 }));
  const told: string[] = [];
  const watch = client.watch({ prefix: 'k', fromRevision: 1 });
  const watching = (async () => {
    for await (const events of watch)
      for (const { entry } of events) told.push(`${entry.modRevision} ${entry.key} ${valueText(entry)}`);
  })();
  let isOver = false;
  const writing = writers.map((writer) => write(client, writer, () => isOver));
  let acknowledgedBefore = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const target = acknowledgedBefore + 20 + ((seed >>> (kill % 16)) & 63);
    const sum = () => writers.reduce((total, { acknowledged }) => total + acknowledged, 0);
    while (sum() < target) await Promise.race([new Promise((resolve) => setImmediate(resolve)), ...writing]);
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
    acknowledgedBefore = sum();
    const before = writers.map(({ acknowledged }) => acknowledged);
    ({ child } = await serve(address));
    for (const [i, { key }] of writers.entries()) {
      const found = Number(valueText((await client.get(key)) ?? ({ value: Buffer.from('0') } as never)));
      expect(found, `${key} after kill ${kill}`).toBeGreaterThanOrEqual(before[i]!);
    }
  }
  isOver = true;
  await Promise.all(writing);
  const { revision, entries } = await client.getPrefix('k');
  while (Number(told.at(-1)?.split(' ')[0] ?? 0) < revision) await new Promise((resolve) => setImmediate(resolve));
  // Every revision is one put: from 2 to the newest, each once and in order, and each key's values only grow.
  expect(told.map((line) => Number(line.split(' ')[0]))).toEqual(Array.from({ length: revision - 1 }, (_, i) => i + 2));
  for (const { key } of writers) {
    const values = told.filter((line) => line.split(' ')[1] === key).map((line) => Number(line.split(' ')[2]));
    expect(values).toEqual([...new Set(values)].sort((a, b) => a - b));
    expect(`${values.at(-1)}`).toBe(valueText(entries.find((entry) => entry.key === key)!));
  }
  console.log(`${KILLS} kills, ${told.length} writes told of, ${acknowledgedBefore} acknowledged, violations 0`);
  watch.close();
  await watching;
  await client.close();
  child.kill('SIGKILL');
}, 120_000);
