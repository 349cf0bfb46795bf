import { EmbeddedStore, type KvstoreClient, valueText } from '@ciliate/kvstore';
import { Labels } from '@ciliate/labels';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { IdentityAllocator, IdentityCache } from '../src/index.ts';

const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

const BASE = 'cilium/state/identities/v1';
// Few label sets, one a prefix of another; few numbers: agents often want the same of both.
const LABELS = ['k8s:a=;', 'k8s:a=;k8s:b=;', 'k8s:c=1;'].map((list) => Labels.fromSortedList(list));
const RANGE = { min: 256, max: 259 };
const AGENTS = 3;

/** A watch is slower than requests, so that agents often decide before they hear of each other. */
const WATCH_HOPS = 12;

/** A client on a slow line: each request, each answer and each batch of a watch waits until the scheduler lets it go. */
function slow(client: KvstoreClient, scheduler: fc.Scheduler): KvstoreClient {
  const hop = () => scheduler.schedule(Promise.resolve());
  return new Proxy(client, {
    get(target, name) {
      const method = Reflect.get(target, name, target).bind(target);
      if (name === 'watch') {
        return (...args: unknown[]) => {
          const watch = method(...args);
          const read = async function* () {
            for await (const events of watch) {
              for (let i = 0; i < WATCH_HOPS; i++) await hop();
              yield events;
            }
          };
          return { [Symbol.asyncIterator]: read, close: () => watch.close() };
        };
      }
      return async (...args: unknown[]) => {
        await hop();
        const answer = await method(...args);
        await hop();
        return answer;
      };
    },
  });
}

const step = fc.record({ agent: fc.nat(AGENTS - 1), labels: fc.nat(LABELS.length - 1), release: fc.boolean() });

test('however requests, answers and watches are delayed, agents on one store agree: one label set, one number', async () => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), fc.array(step, { maxLength: 24 }), fc.nat(), async (scheduler, steps, random) => {
      const store = new EmbeddedStore({ nowNs: () => 0n });
      let state = random;
      const next = () => {
        state = (Math.imul(state, 1103515245) + 12345) >>> 0;
        return state / 2 ** 32;
      };
      const agents = await scheduler.waitFor(
        Promise.all(
          Array.from({ length: AGENTS }, async (_, i) => {
            const cache = new IdentityCache();
            const client = slow(store.client(), scheduler);
            const waitMs = async () => {};
            const options = { client, cache, node: `n${i}`, random: next, range: RANGE, waitMs };
            return { cache, allocator: await IdentityAllocator.open(options) };
          }),
        ),
      );
      const seen = new Map<string, Set<number>>(LABELS.map((labels) => [labels.sortedList(), new Set()]));
      // One chain of users per agent and label set; the chains run side by side.
      const users = new Map<string, { running: Promise<void>; held: number }>();
      for (const { agent, labels: index, release } of steps) {
        const labels = LABELS[index]!;
        const user = users.get(`${agent} ${index}`) ?? { running: Promise.resolve(), held: 0 };
        users.set(`${agent} ${index}`, user);
        const { allocator, cache } = agents[agent]!;
        user.running = user.running.then(async () => {
          if (release && user.held > 0) {
            user.held--;
            expect(await allocator.release(labels)).toBe(user.held === 0);
            return;
          }
          const { identity } = await allocator.allocate(labels);
          user.held++;
          expect(cache.get(identity)!.equals(labels)).toBe(true);
          seen.get(labels.sortedList())!.add(identity);
        });
      }
      await scheduler.waitFor(Promise.all([...users.values()].map((user) => user.running)));

      const handedOut = [...seen.values()].map((numbers) => [...numbers]);
      for (const numbers of handedOut) expect(numbers.length).toBeLessThanOrEqual(1);
      const all = handedOut.flat();
      expect(new Set(all).size).toBe(all.length);

      // The store says the same: a master key for each, a slave key for each user, no lock left.
      const { entries } = await store.client().getPrefix(`${BASE}/`);
      const expected = LABELS.flatMap((labels, index) => {
        const [identity] = seen.get(labels.sortedList())!;
        if (identity === undefined) return [];
        const nodes = agents.map((_, agent) => agent).filter((agent) => users.get(`${agent} ${index}`)?.held);
        return [
          `id/${identity} ${labels.sortedList()}`,
          ...nodes.map((agent) => `value/${labels.sortedList()}/n${agent} ${identity}`),
        ];
      });
      const stored = entries.map((entry) => `${entry.key.slice(BASE.length + 1)} ${valueText(entry)}`);
      expect(stored.sort()).toEqual(expected.sort());

      // And so do all caches, once the watches have caught up.
      const caughtUp = new Promise((resolve) => setTimeout(resolve, 0));
      await scheduler.waitFor(caughtUp);
      await scheduler.waitAll();
      const known = agents.map(({ cache }) => cache.entries().filter(([identity]) => identity >= RANGE.min));
      for (const entries of known) expect(entries.map(([id]) => id)).toEqual(all.toSorted((a, b) => a - b));
    }),
    { seed, numRuns: 150 },
  );
});
