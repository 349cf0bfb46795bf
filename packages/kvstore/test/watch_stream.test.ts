import { Client, credentials } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { clientMethod } from '../src/grpc/methods.ts';
import { toNumber, type WatchResponse } from '../src/grpc/schema.ts';
import { EmbeddedStore, KvstoreServer } from '../src/index.ts';

/** One stream as etcd's clients use it, and what came back, each answer as a short line. */
async function open() {
  const store = new EmbeddedStore({ nowNs: () => 0n });
  const server = await KvstoreServer.start({ store, listen: '127.0.0.1:0' });
  const raw = new Client(server.address, credentials.createInsecure());
  const { path, encode, decode } = clientMethod('Watch', 'Watch');
  const stream = raw.makeBidiStreamRequest(path, encode, decode);
  const told: string[] = [];
  stream.on('data', (response: WatchResponse) => told.push(shown(response)));
  stream.on('error', () => {}); // the server is stopped under it
  const until = async (count: number) => {
    while (told.length < count) await new Promise((resolve) => setImmediate(resolve));
    return told;
  };
  const create = (key: string, more: object = {}) =>
    stream.write({ create_request: { key: Buffer.from(key), ...more } });
  const stop = async () => {
    stream.cancel();
    raw.close();
    await server.stop();
  };
  return { client: store.client(), stream, create, until, stop };
}

function shown(response: WatchResponse): string {
  const { created, canceled, cancel_reason: reason, events } = response;
  const flags = [created && 'created', canceled && 'canceled', reason].filter(Boolean).join(' ');
  const keys = events.map(({ kv }) => Buffer.from(kv.key).toString()).join(' ');
  return [`#${toNumber(response.watch_id)}`, `r${toNumber(response.header.revision)}`, flags, keys]
    .filter(Boolean)
    .join(' ');
}

test('many watches on one stream, each with its id, until it is cancelled', async () => {
  const { client, stream, create, until, stop } = await open();
  create('a');
  create('b');
  create('a', { watch_id: 7 });
  await until(3);
  await client.put('a', '1');
  await until(5);
  stream.write({ cancel_request: { watch_id: 0 } });
  await until(6);
  await client.put('a', '2');
  await client.put('b', '1');
  expect(await until(8)).toEqual([
    '#0 r1 created',
    '#1 r1 created',
    '#7 r1 created',
    '#0 r2 a',
    '#7 r2 a',
    '#0 r2 canceled',
    '#7 r3 a',
    '#1 r4 b',
  ]);
  await stop();
});

test('an id that is taken and a range without keys are refused; the stream goes on', async () => {
  const { client, create, until, stop } = await open();
  create('a', { watch_id: 7 });
  create('b', { watch_id: 7 });
  create('b', { range_end: Buffer.from('a') });
  await until(3);
  await client.put('a', '1');
  expect(await until(4)).toEqual([
    '#7 r1 created',
    '#-1 r1 created canceled mvcc: duplicate watch ID provided on the WatchStream',
    '#-1 r1 created canceled mvcc: watcher range is empty',
    '#7 r2 a',
  ]);
  await stop();
});

test('progress is told when all up to its revision was', async () => {
  const { client, stream, create, until, stop } = await open();
  create('a');
  await until(1);
  await client.put('other', '1');
  await client.put('a', '1');
  await client.put('other', '2');
  stream.write({ progress_request: {} });
  expect((await until(3)).slice(1)).toEqual(['#0 r3 a', '#-1 r4']);
  await stop();
});
