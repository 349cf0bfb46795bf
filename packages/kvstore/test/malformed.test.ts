import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { Client, credentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EmbeddedStore, etcdClient, type KvstoreClient, KvstoreServer } from '../src/index.ts';

let server: KvstoreServer;
/** Has a connection of its own all along: it must be served on, whatever others send. */
let bystander: KvstoreClient;
let puts = 0;
beforeAll(async () => {
  server = await KvstoreServer.start({ store: new EmbeddedStore({ nowNs: () => 0n }), listen: '127.0.0.1:0' });
  bystander = etcdClient({ endpoints: [server.address] });
});
afterAll(async () => {
  await bystander.close();
  await server.stop();
});
/** Nothing was written but by the bystander. */
const serveOn = async () => {
  expect(await bystander.put('a', '1')).toBe(2 + puts++);
  expect((await bystander.getPrefix('')).entries.map(({ key }) => key)).toEqual(['a']);
};

const messages: [name: string, message: Buffer, code: number][] = [
  ['a field that ends in its middle', Buffer.from([0x0a, 0x7f, 1]), 13],
  ['a wire type that is none', Buffer.from([0x0f]), 13],
  ['a number without an end', Buffer.alloc(40, 0xff), 13],
  ['more than a message may have', Buffer.alloc(3 << 20, 0x0a), 8],
];
describe('messages that are none of a put', () => {
  test.each(messages)('%s: the call is refused and others are served on', async (_name, message, code) => {
    const raw = new Client(server.address, credentials.createInsecure());
    const same = (buffer: Buffer) => buffer;
    const error = await new Promise<{ code: number } | null>((resolve) => {
      raw.makeUnaryRequest('/etcdserverpb.KV/Put', same, same, message, (refusal) => resolve(refusal));
    });
    expect(error!.code).toBe(code);
    raw.close();
    await serveOn();
  });
});

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const h2 = (type: number, flags: number, stream: number, payload: Buffer, length = payload.length): Buffer => {
  const head = Buffer.alloc(9);
  head.writeUIntBE(length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
};
const SETTINGS = h2(4, 0, 0, Buffer.alloc(0));
const after = (...frames: Buffer[]) => Buffer.concat([PREFACE, SETTINGS, ...frames]);
const [DATA, HEADERS, RESET, PUSH, WINDOW, CONTINUATION] = [0, 1, 3, 5, 8, 9] as const;
const END_HEADERS = 4;
/** :method POST, :scheme http, :path /, from HPACK's static table. */
const REQUEST = Buffer.from([0x83, 0x86, 0x84]);

const garbage: [name: string, bytes: Buffer][] = [
  ['an HTTP/1 request', Buffer.from('GET / HTTP/1.1\r\nhost: x\r\n\r\n')],
  ['a TLS greeting', Buffer.from('16030100c8010000c403034a4f', 'hex')],
  ['zeros', Buffer.alloc(1000)],
  ['a preface with a wrong end', Buffer.from('PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n'.padEnd(60))],
  ['noise after the preface', after(Buffer.from('the quick brown fox jumps over the lazy dog'.repeat(20)))],
  ['a frame larger than any may be', after(h2(DATA, 0, 1, Buffer.alloc(0), 0xffffff), Buffer.alloc(20_000))],
  ['data on a stream that was never opened', after(h2(DATA, 0, 1, Buffer.from('x')))],
  ['a stream of an even number', after(h2(HEADERS, END_HEADERS, 2, REQUEST))],
  ['headers that HPACK does not know', after(h2(HEADERS, END_HEADERS, 1, Buffer.alloc(64, 0xff)))],
  ['a continuation of nothing', after(h2(CONTINUATION, END_HEADERS, 1, REQUEST))],
  ['a reset of an idle stream', after(h2(RESET, 0, 9, Buffer.alloc(4)))],
  ['a window that grows by nothing', after(h2(WINDOW, 0, 0, Buffer.alloc(4)))],
  ['a push from a client', after(h2(PUSH, END_HEADERS, 1, Buffer.from([0, 0, 0, 2])))],
  ['settings of a wrong size', after(h2(4, 0, 0, Buffer.alloc(5)))],
];
describe('bytes that are no HTTP/2', () => {
  test.each(garbage)('%s: the connection is closed and others are served on', async (_name, bytes) => {
    const [host, port] = server.address.split(':');
    const socket = connect(Number(port), host!);
    socket.on('error', () => {}); // it may be reset
    socket.resume();
    socket.write(bytes);
    await once(socket, 'close');
    await serveOn();
  });

  test('a connection cut in the middle of a frame: others are served on', async () => {
    const [host, port] = server.address.split(':');
    const socket = connect(Number(port), host!);
    await new Promise((resolve) => socket.write(after(h2(HEADERS, END_HEADERS, 1, REQUEST, 40)), resolve));
    socket.destroy();
    await serveOn();
  });
});

/** Over HTTP/2 as it should be, what gRPC does not know. @returns the status of HTTP and of gRPC */
async function ask(headers: Record<string, string>, body: Buffer): Promise<string> {
  const session = connectHttp2(`http://${server.address}`);
  const stream = session.request({ ':method': 'POST', 'content-type': 'application/grpc', ...headers });
  let answer: Record<string, unknown> = {};
  stream.on('response', (got) => Object.assign(answer, got));
  stream.on('trailers', (got) => {
    answer = { ...answer, ...got };
  });
  stream.resume();
  stream.end(body);
  await once(stream, 'close');
  session.close();
  return [answer[':status'], answer['grpc-status'], answer['grpc-message']]
    .filter((part) => part !== undefined)
    .join(' ');
}
const PUT = '/etcdserverpb.KV/Put';
const noGrpc: [name: string, headers: Record<string, string>, body: Buffer, answer: string][] = [
  ['no POST', { ':method': 'PUT', ':path': PUT }, Buffer.alloc(0), '415'],
  ['another content type', { ':path': PUT, 'content-type': 'text/plain' }, Buffer.alloc(0), '415'],
  [
    'a method that is none',
    { ':path': '/etcdserverpb.KV/Pat' },
    Buffer.alloc(5),
    '200 12 unknown method /etcdserverpb.KV/Pat',
  ],
  [
    'a method of another release',
    { ':path': '/etcdserverpb.Maintenance/Downgrade' },
    Buffer.alloc(5),
    '200 12 unknown method /etcdserverpb.Maintenance/Downgrade',
  ],
  ['no message', { ':path': PUT }, Buffer.alloc(0), '200 13 the request has no message'],
  ['half a message', { ':path': PUT }, Buffer.from([0, 0, 0, 0, 9, 1]), '200 13 the request has no message'],
  [
    'a compressed message',
    { ':path': PUT },
    Buffer.from([1, 0, 0, 0, 1, 0]),
    '200 12 compressed messages are not understood',
  ],
  [
    'the length of a message that is too large',
    { ':path': PUT },
    Buffer.from([0, 0x40, 0, 0, 0]),
    '200 8 the message has 1073741824 bytes, more than 2097152',
  ],
  ['an empty key', { ':path': PUT }, Buffer.alloc(5), '200 3 etcdserver: key is not provided'],
  [
    'a message of a watch that is none',
    { ':path': '/etcdserverpb.Watch/Watch' },
    Buffer.from([0, 0, 0, 0, 1, 0x0f]),
    '200 13 Error: invalid wire type 7 at offset 1',
  ],
];
describe('requests that are no gRPC of etcd', () => {
  test.each(noGrpc)('%s: it is said what is wrong, and others are served on', async (_name, headers, body, answer) => {
    expect(await ask(headers, body)).toBe(answer);
    await serveOn();
  });
});
