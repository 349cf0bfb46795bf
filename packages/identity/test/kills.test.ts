import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { etcdClient, KvstoreError, valueText } from '@ciliate/kvstore';
import { Labels } from '@ciliate/labels';
import { expect, test } from 'vitest';
import { IdentityAllocator, IdentityCache } from '../src/index.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);
const KILLS = Number(process.env.CILIATE_KILLS ?? 4);
const AGENTS = 3;
const MASTERS = 'cilium/state/identities/v1/id/';
const LABELS = Array.from({ length: 10 }, (_, i) => Labels.fromSortedList(`k8s:app=a${i};`));
/** Few numbers, so that those collected are soon wanted again. */
const RANGE = { min: 256, max: 267 };
const SERVE = fileURLToPath(new URL('../../kvstore/test/support/serve.ts', import.meta.url));

/** xorshift32. */
function randomFrom(start: number): () => number {
  let state = start | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** Which number stands for which labels, as long as any agent holds it. */
class Holders {
  readonly #held = new Map<string, { identity: number; count: number }>();
  readonly violations: string[] = [];
  allocations = 0;

  take(labels: string, identity: number): void {
    this.allocations++;
    for (const [other, held] of this.#held)
      if ((other === labels) !== (held.identity === identity))
        this.violations.push(`${labels} is ${identity} while ${other} is ${held.identity}`);
    const held = this.#held.get(labels);
    if (held === undefined) this.#held.set(labels, { identity, count: 1 });
    else held.count++;
  }

  leave(labels: string): void {
    const held = this.#held.get(labels)!;
    if (--held.count === 0) this.#held.delete(labels);
  }
}

test('the planted: two numbers for one label set, one number for two', () => {
  const holders = new Holders();
  for (const [labels, identity] of [
    ['a', 1],
    ['a', 2],
    ['b', 1],
  ] as const)
    holders.take(labels, identity);
  expect(holders.violations).toEqual(['a is 2 while a is 1', 'b is 1 while a is 1']);
});

test('while the store is killed by signal 9, one label set has one number, and one number one label set', async () => {
  const random = randomFrom(seed);
  const pick = (count: number) => Math.floor(random() * count);
  const directory = mkdtempSync(join(tmpdir(), 'ciliate-identities-'));
  const serve = async (listen: string): Promise<{ child: ChildProcess; address: string }> => {
    const child = spawn(process.execPath, [SERVE, listen, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    return { child, address: line.toString().trim() };
  };
  let { child, address } = await serve('127.0.0.1:0');
  const clients = Array.from({ length: AGENTS }, () => etcdClient({ endpoints: [address], timeoutMs: 10_000 }));
  const holders = new Holders();
  let isOver = false;
  const agents = await Promise.all(
    clients.map(async (client, i) => {
      const cache = new IdentityCache();
      const options = { client, cache, node: `10.0.0.${i + 1}`, random, range: RANGE };
      return await IdentityAllocator.open(options);
    }),
  );
  const working = agents.map(async (agent) => {
    const mine: Labels[] = [];
    while (!isOver) {
      try {
        const dice = pick(10);
        if (dice < 5) {
          const labels = LABELS[pick(LABELS.length)]!;
          const { identity } = await agent.allocate(labels);
          holders.take(`${labels}`, identity);
          mine.push(labels);
        } else if (dice < 9 && mine.length > 0) {
          const [labels] = mine.splice(pick(mine.length), 1);
          holders.leave(`${labels}`);
          await agent.release(labels!);
        } else await agent.collect(LABELS[pick(LABELS.length)]!);
      } catch (error) {
        if (!(error instanceof KvstoreError)) throw error;
        await sleep(20); // out of reach, or its lock was lost with the connection
      }
    }
  });
  const failed = Promise.all(working);
  failed.catch(() => {});
  for (let kill = 0; kill < KILLS; kill++) {
    const target = holders.allocations + 20 + pick(30);
    while (holders.allocations < target) await Promise.race([sleep(5), failed]);
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
    ({ child } = await serve(address));
  }
  isOver = true;
  await failed;
  const { entries } = await clients[0]!.getPrefix(MASTERS);
  const owners = entries.map(valueText);
  console.log(`${KILLS} kills, ${holders.allocations} allocations, violations ${holders.violations.length}`);
  expect(holders.violations).toEqual([]);
  expect(new Set(owners).size).toBe(owners.length);
  child.kill('SIGKILL');
  await Promise.all(agents.map((agent) => agent.close().catch(() => {})));
  await Promise.all(clients.map((client) => client.close()));
  rmSync(directory, { recursive: true });
}, 120_000);
