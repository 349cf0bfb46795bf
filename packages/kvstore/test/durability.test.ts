import { expect, test } from 'vitest';
import { type DurableStoreOptions, EmbeddedStore } from '../src/index.ts';
import { SimDisk } from './sim_disk.ts';

const SECOND = 1_000_000_000n;
const everything = { key: '\0', end: '\0' };

async function open(disk: SimDisk, more: Partial<DurableStoreOptions> = {}) {
  const clock = { now: 0n };
  let salt = 0;
  const store = await EmbeddedStore.open({ disk, nowNs: () => clock.now, salt: () => ++salt, ...more });
  return { store, clock, client: store.client() };
}

const log = 'log-0000000000000001';
const shown = async (store: EmbeddedStore) =>
  (await store.range(everything)).entries.map(
    (v) => `${v.key}=${v.value} c${v.createRevision} m${v.modRevision} v${v.version}`,
  );

async function history(store: EmbeddedStore, fromRevision: number): Promise<string[]> {
  const watch = store.watch({ ...everything, fromRevision, prevKv: true });
  const batch = await watch.next();
  watch.close();
  return batch!.events.map(({ version: v, prev }) => `${v.modRevision} ${v.key}=${v.value} before ${prev?.value}`);
}

for (const [name, snapshotBytes] of [
  ['the log', 1 << 20],
  ['a snapshot and the log after it', 400],
] as const) {
  test(`from ${name}: pairs, history, leases and the compaction are there again`, async () => {
    const disk = new SimDisk();
    const before = await open(disk, { snapshotBytes });
    const leaseId = await before.client.leaseGrant(10);
    const ended = await before.client.leaseGrant(10);
    await before.client.put('leased', '1', { leaseId });
    await before.client.put('gone', '1', { leaseId: ended });
    for (let i = 0; i < 20; i++) await before.client.put('a', `${i}`.padEnd(20));
    await before.client.compact(20);
    await before.client.leaseRevoke(ended);
    await before.client.put('b', 'é', { leaseId });
    const pairs = await shown(before.store);
    const events = await history(before.store, 21);
    const revision = before.store.revision;
    await before.store.close();
    expect(disk.list().some((file) => file.startsWith('snapshot'))).toBe(snapshotBytes === 400);

    const after = await open(disk, { snapshotBytes });
    expect(await shown(after.store)).toEqual(pairs);
    expect(await history(after.store, 21)).toEqual(events);
    expect(after.store.revision).toBe(revision);
    await expect(after.client.get('a', { revision: 19 })).rejects.toMatchObject({ code: 'COMPACTED' });
    // Its time starts anew: nobody could keep it alive while the store was down.
    expect(await after.client.leaseInfo(leaseId)).toEqual({
      leaseId,
      ttlSeconds: 10,
      grantedTtlSeconds: 10,
      keys: ['b', 'leased'],
    });
    expect(await after.client.leaseInfo(ended)).toBeUndefined();
    expect(await after.client.leaseGrant(10)).toBe(ended + 1n);
    after.clock.now = 10n * SECOND;
    await after.client.put('later', '1');
    expect(await after.client.get('leased')).toBeUndefined();
  });
}

test('a write is answered when it is on the disk, and nobody sees it earlier', async () => {
  const disk = new SimDisk();
  let synced = Promise.resolve();
  const create = disk.create.bind(disk);
  disk.create = (name) => {
    const file = create(name);
    const sync = file.sync.bind(file);
    file.sync = () => synced.then(sync);
    return file;
  };
  const { store, client } = await open(disk);
  const { promise, resolve } = Promise.withResolvers<void>();
  synced = promise;
  const seen: string[] = [];
  const answered = Promise.all([client.put('a', '0'), client.put('a', '1')]).then(() => seen.push('answered'));
  await new Promise((done) => setImmediate(done));
  seen.push(`read ${(await client.get('a')) === undefined ? 'nothing' : 'it'} at ${store.revision}`);
  resolve();
  await answered;
  seen.push(`read ${(await client.get('a')) === undefined ? 'nothing' : 'it'} at ${store.revision}`);
  expect(seen).toEqual(['read nothing at 1', 'answered', 'read it at 3']);
});

const syncs: [name: string, syncMs: number, together: number, how: string][] = [
  ['one after the other, on a quick disk: each on the spot', 0.2, 1, 'now now now now'],
  ['one after the other, on a slow disk: by another thread, after the first one', 5, 1, 'now later later later'],
  ['two at a time: by another thread, and one for both', 0.2, 2, 'later later later later'],
];
test.each(syncs)('puts are synced before they are answered, %s', async (_name, syncMs, together, how) => {
  const disk = new SimDisk();
  let now = 0n;
  const done: string[] = [];
  const create = disk.create.bind(disk);
  disk.create = (name) => {
    const file = create(name);
    const { sync, syncNow } = { sync: file.sync.bind(file), syncNow: file.syncNow.bind(file) };
    const takeTime = (): void => {
      now += BigInt(syncMs * 1e6);
    };
    file.sync = async () => {
      await sync();
      takeTime();
      done.push('later');
    };
    file.syncNow = () => {
      syncNow();
      takeTime();
      done.push('now');
    };
    return file;
  };
  const { client } = await open(disk, { nowNs: () => now });
  done.length = 0; // the segment's own
  for (let i = 1; i <= 4; i++) {
    await Promise.all(Array.from({ length: together }, () => client.put('a', `${i}`)));
    expect(done.length).toBe(i);
  }
  expect(done.join(' ')).toBe(how);
});

async function written(): Promise<SimDisk> {
  const disk = new SimDisk();
  const { store, client } = await open(disk);
  for (const value of ['1', '2', '3']) await client.put('a', value);
  await store.close();
  return disk;
}

test('a torn tail is cut off, and writing goes on there', async () => {
  const disk = await written();
  disk.rot(log, (bytes) => bytes.subarray(0, usedOf(bytes) - 3));
  const { store, client } = await open(disk);
  expect(await shown(store)).toEqual(['a=2 c2 m3 v2']);
  await client.put('a', '4');
  await store.close();
  expect(await shown((await open(disk)).store)).toEqual(['a=4 c2 m4 v3']);
});

/** Without the zeros behind. */
const usedOf = (bytes: Buffer): number => bytes.findLastIndex((byte) => byte !== 0) + 1;

const flip = (at: (used: number) => number) => (bytes: Buffer) => {
  bytes[at(usedOf(bytes))]! ^= 0x10;
  return bytes;
};
const damages: [name: string, file: string, change: (bytes: Buffer) => Buffer, message: string][] = [
  ['a bit in the header', log, flip(() => 3), 'log-0000000000000001 is damaged: the header'],
  ['a bit in the middle', log, flip(() => 34), 'frame 1 does not match its checksum, but frame 2 at byte'],
  [
    'a bit in the last write, which is there in full',
    log,
    flip((used) => used - 1),
    'frame 3 is there in full and does not match its checksum',
  ],
];
test.each(damages)('damage is refused: %s', async (_name, file, change, message) => {
  const disk = await written();
  disk.rot(file, change);
  await expect(open(disk)).rejects.toMatchObject({ code: 'CORRUPT', message: expect.stringContaining(message) });
  disk.rot(file, change); // back again: refusing left it as it was
  expect(await shown((await open(disk)).store)).toEqual(['a=3 c2 m4 v3']);
});

test('damage is refused: a snapshot, whole or gone', async () => {
  const disk = new SimDisk();
  const { store, client } = await open(disk, { snapshotBytes: 300 });
  for (let i = 0; i < 20; i++) await client.put('a', `${i}`.padEnd(30));
  await store.close();
  const snapshot = disk.list().find((name) => name.startsWith('snapshot'))!;
  disk.rot(
    snapshot,
    flip((used) => used >> 1),
  );
  await expect(open(disk)).rejects.toMatchObject({ code: 'CORRUPT', message: expect.stringContaining(snapshot) });
  disk.remove(snapshot);
  await expect(open(disk)).rejects.toMatchObject({ code: 'CORRUPT', message: expect.stringContaining('is missing') });
});

test('a full disk: writes are refused, reads go on, and nothing acknowledged is lost', async () => {
  const disk = new SimDisk({ capacity: 600_000 });
  const { store, client } = await open(disk);
  let acknowledged = 0;
  const refused = await (async () => {
    for (;;) {
      try {
        acknowledged = await client.put('a', 'v'.repeat(5000));
      } catch (error) {
        return error;
      }
    }
  })();
  expect(refused).toMatchObject({
    code: 'NO_SPACE',
    message: expect.stringContaining('etcdserver: mvcc: database space exceeded'),
  });
  expect((await client.get('a'))!.modRevision).toBe(acknowledged);
  await expect(client.leaseGrant(10)).rejects.toMatchObject({ code: 'NO_SPACE' });
  await store.close();
  disk.faults.capacity = 1_000_000;
  const after = await open(disk);
  expect(after.store.revision).toBe(acknowledged);
  expect(await after.client.put('a', '1')).toBe(acknowledged + 1);
});
