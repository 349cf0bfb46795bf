import { expect, test } from 'vitest';
import { EmbeddedStore, Locks } from '../src/index.ts';

const SECOND = 1_000_000_000n;
const settled = () => new Promise((resolve) => setImmediate(resolve));

test('one holder at a time, in the order of asking, inside one process and across clients', async () => {
  const store = new EmbeddedStore({ nowNs: () => 0n });
  const processes = [new Locks(store.client()), new Locks(store.client())];
  const log: string[] = [];
  const use = async (process: number, name: string) => {
    const lock = await processes[process]!.lock('locks/x');
    log.push(`${name} in`);
    await settled();
    log.push(`${name} out`);
    await lock.unlock();
  };
  await Promise.all([use(0, 'a'), use(1, 'b'), use(0, 'c')]);
  expect(log).toEqual(['a in', 'a out', 'b in', 'b out', 'c in', 'c out']);
  expect((await store.client().getPrefix('locks/')).entries).toEqual([]);
});

test('a lock and a lock on a longer path do not wait for each other', async () => {
  const store = new EmbeddedStore({ nowNs: () => 0n });
  const [a, b] = [new Locks(store.client()), new Locks(store.client())];
  const inner = await a.lock('locks/x/y');
  const outer = await b.lock('locks/x');
  await outer.unlock();
  await inner.unlock();
});

test('the key of a lock is its path and the lease in hex', async () => {
  const store = new EmbeddedStore({ nowNs: () => 0n });
  const client = store.client();
  for (let i = 0; i < 25; i++) await client.leaseGrant(10);
  await new Locks(client).lock('locks/x');
  expect((await client.getPrefix('')).entries.map((entry) => entry.key)).toEqual(['locks/x/1a']);
});

test('a holder that stays silent for 25 s loses the lock: its writes are refused and the next one gets in', async () => {
  const clock = { now: 0n };
  const store = new EmbeddedStore({ nowNs: () => clock.now });
  const slow = await new Locks(store.client()).lock('locks/x');
  const next = new Locks(store.client()).lock('locks/x');
  await settled();
  clock.now = 20n * SECOND;
  const write = { compare: [], success: [{ type: 'put', key: 'a', value: '1' }] } as const;
  expect((await slow.txn(write)).succeeded).toBe(true);
  clock.now = 25n * SECOND;
  await expect(slow.txn(write)).rejects.toMatchObject({ code: 'LOCK_LOST' });
  await expect(next).rejects.toMatchObject({ code: 'LOCK_LOST' }); // it was silent just as long
  const third = await new Locks(store.client()).lock('locks/x');
  expect((await third.txn(write)).succeeded).toBe(true);
});

test('a condition that fails under a held lock is an answer, not a lost lock', async () => {
  const store = new EmbeddedStore({ nowNs: () => 0n });
  const client = store.client();
  await client.put('a', '1');
  const lock = await new Locks(client).lock('locks/x');
  const response = await lock.txn({
    compare: [{ key: 'a', target: 'createRevision', operator: '=', number: 0 }],
    success: [{ type: 'put', key: 'a', value: '2' }],
    failure: [{ type: 'get', key: 'a' }],
  });
  expect([response.succeeded, response.results.length, response.results[0]!.entries[0]!.version]).toEqual([
    false,
    1,
    1,
  ]);
});
