import { spawn } from 'node:child_process';
import type { KvstoreClient, LeaseId } from '@ciliate/kvstore';
import type { Subject } from './subjects.ts';

/** What subjects are asked to do, in slices. */
export interface Task {
  mode: string;
  /** Concurrent calls, or whatever else there are so many of. */
  count: number;
  /** For about so long. @returns how often it was done, and how long each took, in ms */
  slice: (subject: Subject, lastsMs: number) => Promise<{ done: number; tookMs: number; times: number[] }>;
  /** Before the first slice and after the last one. */
  begin?: (subject: Subject) => Promise<void>;
  end?: (subject: Subject) => Promise<void>;
  /** Only those that are reached over gRPC. */
  isRemote?: boolean;
}

const VALUE = 'x'.repeat(256);
const KEYS = 1000;

/** So many callers, each with one call at a time. */
async function together(callers: number, lastsMs: number, call: (n: number) => Promise<unknown>) {
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
  await Promise.all(Array.from({ length: callers }, loop));
  return { done: times.length, tookMs: performance.now() - start, times };
}

export const puts = (count: number): Task => ({
  ...{ mode: 'put', count },
  slice: ({ client }, lastsMs) => together(count, lastsMs, (n) => client.put(`bench/${n % KEYS}`, VALUE)),
});

/** Linearizable, as etcd's are by default. */
export const gets = (count: number): Task => ({
  ...{ mode: 'get', count },
  slice: ({ client }, lastsMs) => together(count, lastsMs, (n) => client.get(`bench/${n % KEYS}`)),
});

/** So many watches of one key; counted is each event that one of them is told. */
export function fanOut(count: number): Task {
  const told = new Map<KvstoreClient, { events: number; close: () => void }>();
  return {
    ...{ mode: 'watch events', count },
    begin: async ({ client }) => {
      const fromRevision = await client.put('fan', VALUE);
      const watches = Array.from({ length: count }, () => client.watch({ key: 'fan', fromRevision }));
      const state = { events: 0, close: () => watches.forEach((watch) => void watch.close()) };
      told.set(client, state);
      for (const watch of watches)
        (async () => {
          for await (const events of watch) state.events += events.length;
        })();
      while (state.events < count) await new Promise((resolve) => setTimeout(resolve, 10));
    },
    slice: async ({ client }, lastsMs) => {
      const state = told.get(client)!;
      state.events = 0;
      const start = performance.now();
      let written = 0;
      while (performance.now() - start < lastsMs) {
        await Promise.all(Array.from({ length: 4 }, () => client.put('fan', VALUE)));
        written += 4;
        while (state.events < (written - 8) * count) await new Promise((resolve) => setImmediate(resolve));
      }
      while (state.events < written * count) await new Promise((resolve) => setImmediate(resolve));
      return { done: state.events, tookMs: performance.now() - start, times: [] };
    },
    end: async ({ client }) => told.get(client)!.close(),
  };
}

/** Leases that are kept alive, one call each, while so many stand. */
export function leases(count: number): Task {
  const ids = new Map<KvstoreClient, LeaseId[]>();
  return {
    ...{ mode: 'lease grant', count },
    begin: async ({ client }) => {
      const granted: LeaseId[] = [];
      ids.set(client, granted);
      const grant = async (): Promise<void> => {
        while (granted.length < count) granted.push(await client.leaseGrant(600));
      };
      await Promise.all(Array.from({ length: 64 }, grant));
    },
    slice: ({ client }, lastsMs) =>
      together(64, lastsMs, async () => {
        const id = await client.leaseGrant(600);
        ids.get(client)!.push(id);
      }),
    end: async ({ client }) => {
      const granted = ids.get(client)!;
      const revoke = async (): Promise<void> => {
        for (let id = granted.pop(); id !== undefined; id = granted.pop()) await client.leaseRevoke(id);
      };
      await Promise.all(Array.from({ length: 64 }, revoke));
    },
  };
}

/** A driver that is not JavaScript: `etcdctl make-mirror` puts one key after the other, with etcd's own client. */
export function mirror(from: string): Task {
  return {
    ...{ mode: 'put by etcdctl', count: 1, isRemote: true },
    slice: async ({ client, endpoint }, lastsMs) => {
      const prefix = `mirror${performance.now()}/`;
      const count = async (): Promise<number> => (await client.getPrefix(prefix, { countOnly: true })).count;
      const args = ['make-mirror', '--endpoints', from, '--prefix', 'bench/', '--dest-prefix', prefix, endpoint!];
      const child = spawn('etcdctl', args, { env: { ...process.env, ETCDCTL_API: '3' }, stdio: 'ignore' });
      while ((await count()) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      const [start, first] = [performance.now(), await count()];
      await new Promise((resolve) => setTimeout(resolve, lastsMs));
      const [tookMs, done] = [performance.now() - start, (await count()) - first];
      child.kill('SIGKILL');
      return { done, tookMs, times: [] };
    },
  };
}
