import { EmbeddedStore, type KvstoreClient, valueText } from '@ciliate/kvstore';
import { Labels } from '@ciliate/labels';
import { expect, test } from 'vitest';
import { IdentityAllocator, type IdentityAllocatorOptions, IdentityCache } from '../src/index.ts';

const SECOND = 1_000_000_000n;
const BASE = 'cilium/state/identities/v1';
const web = Labels.parse(['k8s:app=web', 'k8s:io.kubernetes.pod.namespace=default']);
const db = Labels.parse(['k8s:app=db']);
const settled = () => new Promise((resolve) => setImmediate(resolve));

function cluster() {
  const clock = { now: 0n };
  const store = new EmbeddedStore({ nowNs: () => clock.now });
  const client = store.client();
  const agent = async (node: string, options: Partial<IdentityAllocatorOptions> = {}) => {
    const cache = new IdentityCache();
    const waitMs = async () => {};
    const defaults = { client: store.client(), cache, node, random: () => 0, waitMs };
    return { cache, allocator: await IdentityAllocator.open({ ...defaults, ...options }) };
  };
  const dump = async () =>
    (await client.getPrefix(`${BASE}/`)).entries.map((e) => `${e.key.slice(BASE.length)} -> ${valueText(e)}`);
  return { clock, client, agent, dump };
}

test('keys stand in the store as Cilium writes them, and no lock is left', async () => {
  const { agent, client, dump } = cluster();
  const { allocator } = await agent('10.0.0.1');
  expect(await allocator.allocate(web)).toEqual({ identity: 256, isNew: true });
  expect(await dump()).toEqual([
    '/id/256 -> k8s:app=web;k8s:io.kubernetes.pod.namespace=default;',
    '/value/k8s:app=web;k8s:io.kubernetes.pod.namespace=default;/10.0.0.1 -> 256',
  ]);
  const { entries } = await client.getPrefix(BASE);
  expect(entries.map((entry) => entry.leaseId > 0n)).toEqual([false, true]); // only the slave key goes with the node
});

test('users of a label set are counted: the last one deletes the slave key, the master key stays', async () => {
  const { agent, client, dump } = cluster();
  const { allocator, cache } = await agent('n1');
  const { identity } = await allocator.allocate(web);
  const { revision } = await client.getPrefix(BASE);
  expect(await allocator.allocate(web)).toEqual({ identity, isNew: false });
  expect((await client.getPrefix(BASE)).revision).toBe(revision); // the second use is nobody else's business
  expect(await allocator.release(web)).toBe(false);
  expect(await allocator.release(web)).toBe(true);
  expect(await dump()).toEqual([`/id/${identity} -> ${web.sortedList()}`]);
  expect(cache.get(identity)!.equals(web)).toBe(true);
  expect(await allocator.allocate(web)).toEqual({ identity, isNew: false }); // the same number again
  await expect(allocator.release(db)).rejects.toMatchObject({ code: 'NOT_ALLOCATED' });
});

test('a number that nobody uses can be collected: it is free, and what the watch tells of the past changes nothing', async () => {
  const { agent, dump } = cluster();
  const [one, two] = [await agent('n1'), await agent('n2')];
  const { identity } = await one.allocator.allocate(web);
  await two.allocator.allocate(web);
  expect(await one.allocator.collect(web)).toBeUndefined(); // used here
  await one.allocator.release(web);
  expect(await one.allocator.collect(web)).toBeUndefined(); // used by the other
  await two.allocator.release(web);
  expect(await one.allocator.collect(web)).toBe(identity);
  await settled();
  expect([await dump(), one.cache.get(identity), two.cache.get(identity)]).toEqual([[], undefined, undefined]);
  expect(await one.allocator.allocate(db)).toEqual({ identity, isNew: true });
});

test('an agent on another node finds the number, with or without slave keys, and its cache learns of all', async () => {
  const { agent, dump } = cluster();
  const one = await agent('n1');
  const { identity } = await one.allocator.allocate(web);
  await one.allocator.release(web);
  const two = await agent('n2');
  expect(two.cache.get(identity)!.equals(web)).toBe(true);
  expect(await two.allocator.allocate(web)).toEqual({ identity, isNew: false });
  const other = await two.allocator.allocate(db);
  expect(other.isNew).toBe(true);
  await settled();
  expect(one.allocator.lookup(db)).toBe(other.identity);
  expect((await dump()).filter((line) => line.includes('/n2'))).toHaveLength(2);
});

test('an agent whose watch is far behind still finds the number of labels that nobody uses at the moment', async () => {
  const { agent, client } = cluster();
  const never: AsyncIterable<never> = { [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) };
  const late = await agent('n2', { client: withWatch(client, () => never) });
  const { allocator } = await agent('n1');
  const { identity } = await allocator.allocate(web);
  await allocator.release(web);
  expect(late.allocator.lookup(web)).toBeUndefined();
  expect(await late.allocator.allocate(web)).toEqual({ identity, isNew: false });
});

test('label lists that start alike are not taken for one another', async () => {
  const { agent } = cluster();
  const longer = Labels.parse(['k8s:app=db', 'k8s:tier=/x']);
  const one = await agent('n1');
  const first = await one.allocator.allocate(longer);
  const two = await agent('n2');
  expect((await two.allocator.allocate(db)).identity).not.toBe(first.identity);
});

test('reserved and well-known labels write nothing and need no release', async () => {
  const { agent, dump } = cluster();
  const { allocator } = await agent('n1');
  expect(await allocator.allocate(Labels.parse(['reserved:health']))).toEqual({ identity: 4, isNew: false });
  expect(await allocator.release(Labels.parse(['reserved:health']))).toBe(false);
  expect(await dump()).toEqual([]);
});

test('what cannot be allocated is refused by name', async () => {
  const { agent } = cluster();
  const { allocator } = await agent('n1');
  await expect(allocator.allocate(Labels.none)).rejects.toMatchObject({ code: 'INVALID' });
  await expect(allocator.allocate(Labels.parse(['cidr:10.0.0.0/8', 'reserved:world']))).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    message: expect.stringContaining('identities local to a node are not supported yet'),
  });
});

test('when every number is taken, one more label set is refused; known ones go on', async () => {
  const { agent } = cluster();
  const range = { min: 256, max: 257 };
  const { allocator } = await agent('n1', { range });
  const two = await agent('n2', { range });
  await allocator.allocate(web);
  await two.allocator.allocate(db);
  await expect(allocator.allocate(Labels.parse(['k8s:app=third']))).rejects.toMatchObject({
    code: 'EXHAUSTED',
    message: 'no more available identities (min=256 max=257)',
  });
  expect((await allocator.allocate(db)).isNew).toBe(false);
});

test('a number whose master key is deleted can be handed out again', async () => {
  const { agent, client } = cluster();
  const { allocator, cache } = await agent('n1', { range: { min: 256, max: 256 } });
  await allocator.allocate(web);
  await allocator.release(web);
  await client.delete(`${BASE}/id/256`); // as the operator's garbage collection does
  await settled();
  expect(cache.get(256)).toBeUndefined();
  expect(await allocator.allocate(db)).toEqual({ identity: 256, isNew: true });
});

test('a master key that was lost while a node uses the number is written again, with the same number', async () => {
  const { agent, client, dump } = cluster();
  const one = await agent('n1', { random: () => 0.5 });
  const { identity } = await one.allocator.allocate(web);
  await client.deletePrefix(`${BASE}/id/`);
  const two = await agent('n2');
  expect(await two.allocator.allocate(web)).toEqual({ identity, isNew: false });
  expect(await dump()).toContain(`/id/${identity} -> ${web.sortedList()}`);
});

test('a node silent for 900 s loses its slave keys, gets them back when it wakes, and allocates on', async () => {
  const { agent, clock, dump } = cluster();
  const { allocator } = await agent('n1');
  const { identity } = await allocator.allocate(web);
  clock.now = 800n * SECOND;
  await allocator.keepAlive();
  clock.now = 1600n * SECOND;
  expect(await dump()).toHaveLength(2);
  clock.now = 1700n * SECOND;
  expect(await dump()).toEqual([`/id/${identity} -> ${web.sortedList()}`]);
  await allocator.allocate(db); // finds the lease gone
  expect((await dump()).filter((line) => line.startsWith('/value/'))).toHaveLength(2);
});

test('keys that no allocator wrote are left alone', async () => {
  const { agent, client } = cluster();
  for (const [key, value] of [
    ['1', 'k8s:app=evil;'], // a reserved number
    ['16777216', 'k8s:app=evil;'], // more than 24 bits
    ['300', ''],
    ['300/x', 'k8s:app=evil;'],
    ['no', 'k8s:app=evil;'],
  ] as const) {
    await client.put(`${BASE}/id/${key}`, value);
  }
  const { cache } = await agent('n1');
  expect(cache.entries()).toEqual(new IdentityCache().entries());
});

test('a cache tells its observers what is there and what changes', () => {
  const cache = new IdentityCache();
  const heard: string[] = [];
  const end = cache.subscribe({
    onAdd: (identity, labels) => identity >= 256 && heard.push(`+${identity} ${labels}`),
    onRemove: (identity, labels) => heard.push(`-${identity} ${labels}`),
  });
  cache.add(256, web);
  cache.add(256, Labels.parse(web.toStrings())); // nothing new
  cache.add(256, db);
  cache.remove(256);
  end();
  cache.add(256, db);
  expect(heard).toEqual([`+256 ${web}`, `-256 ${web}`, `+256 ${db}`, `-256 ${db}`]);
});

test('an allocator that no longer follows the store says so and why', async () => {
  const { client, agent } = cluster();
  const lost = () => {
    throw new Error('connection lost');
  };
  const { allocator } = await agent('n1', { client: withWatch(client, lost) });
  await settled();
  await expect(allocator.allocate(web)).rejects.toMatchObject({
    code: 'OUT_OF_SYNC',
    cause: expect.objectContaining({ message: 'connection lost' }),
  });
});

test('an allocator that fell behind what the store holds lists again', async () => {
  const store = new EmbeddedStore({ nowNs: () => 0n, heldEvents: 1 });
  const client = store.client();
  const cache = new IdentityCache();
  const allocator = await IdentityAllocator.open({ client, cache, node: 'n1', random: () => 0 });
  const one = client.put(`${BASE}/id/300`, 'k8s:a=;'); // one go: the watch cannot read in between
  const rest = ['k8s:b=;', 'k8s:c=;', 'k8s:d=;'].map((labels, i) => client.put(`${BASE}/id/${301 + i}`, labels));
  await Promise.all([one, ...rest, client.delete(`${BASE}/id/300`)]);
  await settled();
  expect([300, 301, 302, 303].map((identity) => `${cache.get(identity)}`)).toEqual([
    'undefined',
    'k8s:b',
    'k8s:c',
    'k8s:d',
  ]);
  await allocator.close();
});

function withWatch(client: KvstoreClient, watch: () => unknown): KvstoreClient {
  return new Proxy(client, {
    get: (target, name) => (name === 'watch' ? watch : Reflect.get(target, name, target).bind(target)),
  });
}
