import { Client, credentials } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { EmbeddedStore, etcdClient, KvstoreServer } from '../src/index.ts';

const bytes: [name: string, message: Buffer, code: number][] = [
  ['a field that ends in its middle', Buffer.from([0x0a, 0x7f, 1]), 13],
  ['a wire type that is none', Buffer.from([0x0f]), 13],
  ['more than the transport takes', Buffer.alloc(3 << 20, 0x0a), 8],
];
test.each(bytes)('%s: the call is refused and others are served on', async (_name, message, code) => {
  const server = await KvstoreServer.start({ store: new EmbeddedStore({ nowNs: () => 0n }), listen: '127.0.0.1:0' });
  const raw = new Client(server.address, credentials.createInsecure());
  const same = (buffer: Buffer) => buffer;
  const error = await new Promise<{ code: number } | null>((resolve) => {
    raw.makeUnaryRequest('/etcdserverpb.KV/Put', same, same, message, (refusal) => resolve(refusal));
  });
  expect(error!.code).toBe(code);
  const client = etcdClient({ endpoints: [server.address] });
  expect(await client.put('a', '1')).toBe(2);
  await client.close();
  raw.close();
  await server.stop();
});
