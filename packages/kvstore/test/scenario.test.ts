import { expect, test } from 'vitest';
import {
  EmbeddedStore,
  type KeyValue,
  type KvstoreClient,
  type TxnRequest,
  valueText,
  type Watch,
} from '../src/index.ts';

const SECOND = 1_000_000_000n;
function open(heldEvents?: number) {
  const clock = { now: 0n };
  const nowNs = () => clock.now;
  const store = new EmbeddedStore(heldEvents === undefined ? { nowNs } : { nowNs, heldEvents });
  return { store, clock, client: store.client() };
}

const shown = (entry: KeyValue | undefined) =>
  entry && `${entry.key}=${valueText(entry)} c${entry.createRevision} m${entry.modRevision} v${entry.version}`;

async function take(watch: Watch, count: number): Promise<string[]> {
  const seen: string[] = [];
  for await (const events of watch) {
    for (const { type, entry } of events) seen.push(`${entry.modRevision} ${type} ${entry.key}${valueText(entry)}`);
    if (seen.length >= count) break;
  }
  return seen;
}

test('revisions count writes of the whole store, versions those of a key since it was created', async () => {
  const { client } = open();
  expect(await client.put('a', '1')).toBe(2); // an empty store is at revision 1
  expect(await client.put('b', '1')).toBe(3);
  expect(await client.put('a', '2')).toBe(4);
  expect(shown(await client.get('a'))).toBe('a=2 c2 m4 v2');
  expect(await client.delete('a')).toBe(true);
  expect(await client.get('a')).toBeUndefined();
  expect(await client.put('a', '3')).toBe(6);
  expect(shown(await client.get('a'))).toBe('a=3 c6 m6 v1');
});

test('a delete of nothing is no write', async () => {
  const { client, store } = open();
  await client.put('a', '1');
  expect(await client.delete('b')).toBe(false);
  expect(await client.deletePrefix('b')).toBe(0);
  expect(store.revision).toBe(2);
});

test('a prefix answers in the order of bytes, with the revision to watch from', async () => {
  const { client } = open();
  for (const key of ['p/\u{1f600}', 'p/\uffff', 'p/b', 'q', 'p', 'p/a']) await client.put(key, key);
  const { entries, revision } = await client.getPrefix('p/');
  expect(entries.map((entry) => entry.key)).toEqual(['p/a', 'p/b', 'p/\uffff', 'p/\u{1f600}']);
  expect(revision).toBe(7);
});

test('createOnly writes once', async () => {
  const { client } = open();
  expect(await client.createOnly('a', 'first')).toBe(true);
  expect(await client.createOnly('a', 'second')).toBe(false);
  expect(shown(await client.get('a'))).toBe('a=first c2 m2 v1');
});

test('what is stored does not change with the bytes that were handed in', async () => {
  const { client } = open();
  const value = Uint8Array.of(1, 2);
  await client.put('a', value);
  value[0] = 9;
  expect((await client.get('a'))!.value).toEqual(Uint8Array.of(1, 2));
});

// The store holds a (created 2, modified 4, version 2, value "m") and b (created and modified 3).
const compares: [name: string, compare: TxnRequest['compare'][number], holds: boolean][] = [
  ['createRevision equals', { key: 'a', target: 'createRevision', operator: '=', number: 2 }, true],
  ['modRevision differs', { key: 'a', target: 'modRevision', operator: '!=', number: 2 }, true],
  ['version is not above itself', { key: 'a', target: 'version', operator: '>', number: 2 }, false],
  ['modRevision is below', { key: 'b', target: 'modRevision', operator: '<', number: 4 }, true],
  ['value equals', { key: 'a', target: 'value', operator: '=', value: 'm' }, true],
  ['value is ordered by bytes', { key: 'a', target: 'value', operator: '>', value: 'maa' }, false],
  ['a missing key has revision 0', { key: 'z', target: 'createRevision', operator: '=', number: 0 }, true],
  ['a missing key has version 0', { key: 'z', target: 'version', operator: '<', number: 1 }, true],
  [
    'a missing key has no value, not even another one',
    { key: 'z', target: 'value', operator: '!=', value: 'm' },
    false,
  ],
];
test.each(compares)('compare: %s', async (_name, compare, holds) => {
  const { client } = open();
  await client.put('a', '1');
  await client.put('b', '1');
  await client.put('a', 'm');
  const request: TxnRequest = {
    compare: [compare],
    success: [{ type: 'get', key: 'a' }],
    failure: [{ type: 'get', prefix: '' }],
  };
  const { succeeded, results } = await client.txn(request);
  expect([succeeded, results[0]!.entries.length]).toEqual([holds, holds ? 1 : 2]);
});

test('all writes of a transaction share one revision, and its reads see its writes', async () => {
  const { client } = open();
  await client.put('old', '1');
  const watch = client.watch({ prefix: '', fromRevision: 1 });
  const { revision, results } = await client.txn({
    compare: [],
    success: [
      { type: 'put', key: 'a', value: '1' },
      { type: 'delete', key: 'old' },
      { type: 'get', prefix: '' },
    ],
  });
  expect(revision).toBe(3);
  expect(results[1]!.deleted).toBe(1);
  expect(results[2]!.entries.map((entry) => entry.key)).toEqual(['a']);
  expect(await take(watch, 3)).toEqual(['2 put old1', '3 put a1', '3 delete old']);
});

const refused: [name: string, call: (client: KvstoreClient) => Promise<unknown>, code: string, message: string][] = [
  ['an empty key', (c) => c.put('', '1'), 'EMPTY_KEY', 'key is not provided'],
  [
    'one key put twice in a transaction',
    (c) =>
      c.txn({
        compare: [],
        success: [
          { type: 'put', key: 'a', value: '1' },
          { type: 'put', key: 'a', value: '2' },
        ],
      }),
    'DUPLICATE_KEY',
    'duplicate key given in txn request',
  ],
  [
    'a key put and deleted in one transaction, even in the branch not taken',
    (c) =>
      c.txn({
        compare: [],
        success: [],
        failure: [
          { type: 'put', key: 'a/b', value: '1' },
          { type: 'delete', prefix: 'a/' },
        ],
      }),
    'DUPLICATE_KEY',
    'duplicate key given in txn request',
  ],
  ['a lease never granted', (c) => c.put('a', '1', { leaseId: 7n }), 'LEASE_NOT_FOUND', 'requested lease not found'],
  ['keeping alive what is not', (c) => c.leaseKeepAlive(7n), 'LEASE_NOT_FOUND', 'requested lease not found'],
  ['a revision to come', (c) => c.get('a', { revision: 2 }), 'FUTURE_REVISION', 'is a future revision'],
  ['compacting what is to come', (c) => c.compact(2), 'FUTURE_REVISION', 'is a future revision'],
  ['keeping the value of what is not', (c) => c.put('a', '', { ignoreValue: true }), 'KEY_NOT_FOUND', 'key not found'],
  [
    'a value, and the one that is there',
    (c) => c.put('a', '1', { ignoreValue: true }),
    'VALUE_PROVIDED',
    'value is provided',
  ],
  [
    'more than 128 operations',
    (c) => c.txn({ compare: [], success: Array.from({ length: 129 }, () => ({ type: 'get', key: 'a' }) as const) }),
    'TOO_MANY_OPERATIONS',
    'too many operations in txn request',
  ],
  [
    'a nested transaction that puts what the outer one puts',
    (c) =>
      c.txn({
        compare: [],
        success: [
          { type: 'put', key: 'a', value: '1' },
          { type: 'txn', request: { compare: [], success: [], failure: [{ type: 'put', key: 'a', value: '2' }] } },
        ],
      }),
    'DUPLICATE_KEY',
    'duplicate key given in txn request',
  ],
];
test.each(refused)('refused, and nothing written: %s', async (_name, call, code, message) => {
  const { client, store } = open();
  await expect(call(client)).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
  expect(store.revision).toBe(1);
});

test('a closed client refuses calls and ends its watches; other clients go on', async () => {
  const { client, store } = open();
  const ended = take(client.watch({ prefix: '' }), 1);
  await client.close();
  expect(await ended).toEqual([]);
  await expect(client.get('a')).rejects.toMatchObject({ code: 'CLOSED' });
  expect(await store.client().put('a', '1')).toBe(2);
});

test('a lease that nobody keeps alive takes its keys with it, in one revision', async () => {
  const { client, clock, store } = open();
  const leaseId = await client.leaseGrant(10);
  await client.put('b', '1', { leaseId });
  await client.put('a', '1', { leaseId });
  await client.put('c', '1', { leaseId });
  await client.put('c', '2'); // a put without the lease takes c off it
  clock.now = 9n * SECOND;
  expect(await client.leaseKeepAlive(leaseId)).toBe(10);
  clock.now = 19n * SECOND - 1n;
  expect(await client.get('a')).toBeDefined();
  const watch = client.watch({ prefix: '' });
  clock.now = 19n * SECOND;
  store.expireLeases();
  expect(await take(watch, 2)).toEqual(['6 delete a', '6 delete b']);
  expect(shown(await client.get('c'))).toBe('c=2 c4 m5 v2');
  await expect(client.put('a', '1', { leaseId })).rejects.toMatchObject({ code: 'LEASE_NOT_FOUND' });
});

test('leases end in the order of their deadlines, also when one look finds several', async () => {
  const { client, clock } = open();
  const watch = client.watch({ prefix: '' });
  for (const [key, ttl] of [
    ['late', 30],
    ['early', 10],
    ['never', 1000],
  ] as const) {
    await client.put(key, '', { leaseId: await client.leaseGrant(ttl) });
  }
  clock.now = 60n * SECOND;
  expect(await client.get('late')).toBeUndefined();
  expect((await take(watch, 5)).slice(3)).toEqual(['5 delete early', '6 delete late']);
  expect(await client.get('never')).toBeDefined();
});

test('a revoked lease deletes its keys at once', async () => {
  const { client } = open();
  const leaseId = await client.leaseGrant(10);
  await client.put('a', '1', { leaseId });
  await client.leaseRevoke(leaseId);
  expect(await client.get('a')).toBeUndefined();
  await expect(client.leaseRevoke(leaseId)).rejects.toMatchObject({ code: 'LEASE_NOT_FOUND' });
});

test('a watch tells of one key or of a prefix, from a revision in the past or the future', async () => {
  const { client } = open();
  const future = take(client.watch({ key: 'a', fromRevision: 5 }), 1);
  await client.put('a', '1');
  await client.put('ab', '2');
  await client.put('b', '3');
  await client.put('a', '4');
  expect(await take(client.watch({ prefix: 'a', fromRevision: 3 }), 2)).toEqual(['3 put ab2', '5 put a4']);
  expect(await future).toEqual(['5 put a4']);
});

test('a watch can resume only from a revision still held', async () => {
  const { client } = open(2);
  for (let i = 2; i <= 6; i++) await client.put('a', `${i}`);
  await expect(take(client.watch({ key: 'a', fromRevision: 4 }), 1)).rejects.toMatchObject({
    code: 'COMPACTED',
    message: 'etcdserver: mvcc: required revision has been compacted (revision=4 compactRevision=5)',
  });
  expect(await take(client.watch({ key: 'a', fromRevision: 5 }), 2)).toEqual(['5 put a5', '6 put a6']);
});
