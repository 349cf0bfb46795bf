import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { etcdClient, type KvstoreClient, valueText } from '@ciliate/kvstore';
import { afterEach, describe, expect, test } from 'vitest';
import { IdentityGc } from '../src/index.ts';
import type { Answer, Question } from './support/agent_process.ts';
import { type Backend, isEtcdHere, realEtcd, served } from './support/backends.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

const BASE = 'cilium/state/identities/v1';
const RANGE = { min: 256, max: 256 + 63 };
// One a prefix of another.
const LABELS = Array.from({ length: 12 }, (_, i) => `k8s:a=${i % 6};${i < 6 ? '' : 'k8s:b=;'}`);
const backends: [name: string, start: () => Promise<Backend>, isHere: boolean][] = [
  ['the store over gRPC', served, true],
  ['real etcd', realEtcd, isEtcdHere()],
];

/** An agent in a process of its own. */
class AgentProcess {
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  /** How often each label set is in use there. */
  readonly held = new Map<string, number>();
  #asked = 0;
  isDead = false;

  private constructor(child: ChildProcess) {
    this.#process = child;
    child.on('message', (answer: Answer) => this.#waiting.get(answer.id)?.(answer));
  }

  static async start(endpoint: string, node: string): Promise<AgentProcess> {
    const child = fork(join(import.meta.dirname, 'support/agent_process.ts'), [endpoint, node], { execArgv: [] });
    const agent = new AgentProcess(child);
    await once(child, 'message');
    return agent;
  }

  /** Never answers if the process is killed meanwhile. */
  async ask(question: Omit<Extract<Question, { labels: string }>, 'id'> | { call: 'sync' }): Promise<number> {
    const id = ++this.#asked;
    const answered = new Promise<Answer>((resolve) => this.#waiting.set(id, resolve));
    this.#process.send({ ...question, id } as Question);
    const answer = await answered;
    if ('error' in answer) throw new Error(answer.error);
    return answer.identity ?? 0;
  }

  async allocate(labels: string): Promise<number> {
    const identity = await this.ask({ call: 'allocate', labels });
    this.held.set(labels, (this.held.get(labels) ?? 0) + 1);
    return identity;
  }

  async release(labels: string): Promise<void> {
    this.held.set(labels, this.held.get(labels)! - 1);
    await this.ask({ call: 'release', labels });
  }

  async kill(): Promise<void> {
    this.isDead = true;
    const gone = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await gone;
  }
}

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(backend: () => Promise<Backend>) {
  const running = await backend();
  const client = etcdClient({ endpoints: [running.endpoint] });
  cleanups.push(async () => {
    await client.close();
    await running.stop();
  });
  const agent = async (node: string): Promise<AgentProcess> => {
    const started = await AgentProcess.start(running.endpoint, node);
    cleanups.push(async () => {
      if (!started.isDead) await started.kill();
    });
    return started;
  };
  return { client, agent };
}

/** Number → labels. */
async function masters(client: KvstoreClient): Promise<Map<number, string>> {
  const { entries } = await client.getPrefix(`${BASE}/id/`);
  return new Map(entries.map((entry) => [Number(entry.key.slice(`${BASE}/id/`.length)), valueText(entry)]));
}

async function until(look: () => Promise<boolean>): Promise<void> {
  while (!(await look())) await new Promise((resolve) => setTimeout(resolve, 10));
}

/** Locks that one holds who does nothing end now, rather than with the 25 s of their lease. */
async function endStaleLocks(client: KvstoreClient): Promise<void> {
  const holders = async () => {
    const { entries } = await client.getPrefix(`${BASE}/locks/`, { sortBy: 'createRevision' });
    return new Map(entries.map((entry) => [entry.key.slice(0, entry.key.lastIndexOf('/')), entry] as const).reverse());
  };
  const before = await holders();
  await new Promise((resolve) => setTimeout(resolve, 500));
  for (const [path, { leaseId, createRevision }] of await holders())
    if (before.get(path)?.createRevision === createRevision) await client.leaseRevoke(leaseId).catch(() => {});
}

let state = seed;
const random = (below: number): number => {
  state = (Math.imul(state, 1103515245) + 12345) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
};

describe.each(backends)('agents in processes of their own, on %s', (_name, backend, isHere) => {
  test.skipIf(!isHere)('agree on every number, though one is killed and comes back', async () => {
    const { client, agent } = await start(backend);
    const agents = await Promise.all(['n1', 'n2', 'n3'].map(agent));
    const seen = new Map<string, Set<number>>(LABELS.map((labels) => [labels, new Set()]));
    /** Several at once, as pods come. */
    const work = async (one: AgentProcess, steps: number): Promise<void> => {
      for (let i = 0; i < steps && !one.isDead; i++) {
        await Promise.all(
          Array.from({ length: 4 }, async () => {
            const labels = LABELS[random(LABELS.length)]!;
            if ((one.held.get(labels) ?? 0) > 0 && random(3) === 0) await one.release(labels);
            else seen.get(labels)!.add(await one.allocate(labels));
          }),
        );
      }
    };
    const killed = agents[2]!;
    const doomed = work(killed, 1000);
    await Promise.all([work(agents[0]!, 8), work(agents[1]!, 8)]);
    await killed.kill();
    void doomed; // what it was about to do is never answered
    const again = await agent('n3');
    const locks = setInterval(() => void endStaleLocks(client), 1000);
    cleanups.push(async () => clearInterval(locks));
    await Promise.all([work(agents[0]!, 6), work(agents[1]!, 6), work(again, 6)]);

    for (const numbers of seen.values()) expect(numbers.size).toBeLessThanOrEqual(1);
    const all = [...seen.values()].flatMap((numbers) => [...numbers]);
    expect(new Set(all).size).toBe(all.length);
    const stored = await masters(client);
    for (const [labels, [identity]] of seen) if (identity !== undefined) expect(stored.get(identity)).toBe(labels);
    expect(new Set(stored.values()).size).toBe(stored.size);
  });

  test.skipIf(!isHere)('a master key that is lost while an agent uses it is there again, with its number', async () => {
    const { client, agent } = await start(backend);
    const [one, two] = await Promise.all(['n1', 'n2'].map(agent));
    const identity = await one!.allocate(LABELS[0]!);
    expect(await two!.allocate(LABELS[0]!)).toBe(identity);
    await client.delete(`${BASE}/id/${identity}`);
    await until(async () => (await masters(client)).has(identity));
    expect(await masters(client)).toEqual(new Map([[identity, LABELS[0]]]));
    await client.deletePrefix(`${BASE}/value/`);
    await one!.ask({ call: 'sync' });
    const { entries } = await client.getPrefix(`${BASE}/value/`);
    expect(entries.map(({ key }) => key)).toEqual([`${BASE}/value/${LABELS[0]}/n1`]);
  });

  test.skipIf(!isHere)(
    'a number goes after two rounds without users, not before; a killed agent keeps its own for its lease',
    async () => {
      const { client, agent } = await start(backend);
      const [one, two] = await Promise.all(['n1', 'n2'].map(agent));
      const [a, b, c] = LABELS;
      const numbers = await Promise.all([one!.allocate(a!), two!.allocate(b!), one!.allocate(c!)]);
      await one!.release(a!);
      await two!.kill();
      const gc = new IdentityGc(client, RANGE);
      expect(await gc.run()).toEqual({ alive: 3, unused: 1, deleted: [] });
      expect(await gc.run()).toEqual({ alive: 2, unused: 0, deleted: [numbers[0]] });
      const slave = await client.get(`${BASE}/value/${b}/n2`);
      await client.leaseRevoke(slave!.leaseId); // as time would
      expect(await gc.run()).toEqual({ alive: 2, unused: 1, deleted: [] });
      expect(await one!.allocate(b!)).toBe(numbers[1]); // used again, just in time
      expect(await gc.run()).toEqual({ alive: 2, unused: 0, deleted: [] });
      await one!.release(b!);
      await gc.run();
      expect((await gc.run()).deleted).toEqual([numbers[1]]);
      expect(await masters(client)).toEqual(new Map([[numbers[2], c]]));
    },
  );
});
