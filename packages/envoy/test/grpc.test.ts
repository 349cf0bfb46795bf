import {
  Client,
  credentials,
  type handleBidiStreamingCall,
  Metadata,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type ServiceError,
} from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isHttpLog } from '../src/index.ts';
import { type Live, LOOPBACK, liveProxy, PATIENT, Client as RawClient, Scope } from './live_support.ts';
import { connection, EMPIRE, httpRules, policyOf } from './support.ts';

const same = (bytes: Buffer): Buffer => bytes;
const METHOD = { requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same };
const SERVICE: ServiceDefinition = {
  land: { ...METHOD, path: '/empire.DeathStar/RequestLanding', requestStream: false, responseStream: false },
  exhaust: { ...METHOD, path: '/empire.DeathStar/ExhaustPort', requestStream: false, responseStream: false },
  fail: { ...METHOD, path: '/empire.DeathStar/Fail', requestStream: false, responseStream: false },
  radio: { ...METHOD, path: '/empire.DeathStar/Radio', requestStream: true, responseStream: true },
};
const RULES = httpRules({ method: 'POST', path: '/empire.DeathStar/(RequestLanding|Radio|Fail|Nothing)' });

/** A real gRPC client, a real gRPC server, and rules about methods between them. */
describe('gRPC', () => {
  const scope = new Scope();
  const calls: string[] = [];
  let live: Live;
  let client: Client;
  let serverPort = 0;

  beforeAll(async () => {
    const server = new Server();
    const radio: handleBidiStreamingCall<Buffer, Buffer> = (call) => {
      call.on('data', (bytes: Buffer) => call.write(Buffer.from(`${bytes}, over`)));
      call.on('end', () => call.end());
    };
    server.addService(SERVICE, {
      land: (call: { request: Buffer }, done: (error: null, answer: Buffer) => void) => {
        calls.push(`land ${call.request}`);
        done(null, Buffer.from('Ship landed'));
      },
      exhaust: (_call: unknown, done: (error: null, answer: Buffer) => void) => {
        calls.push('exhaust');
        done(null, Buffer.from('boom'));
      },
      fail: (_call: unknown, done: (error: object) => void) => {
        const metadata = new Metadata();
        metadata.set('x-why', 'shields');
        done({ code: 9, details: 'shields are up', metadata });
      },
      radio,
    });
    serverPort = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve(port) : reject(error),
      );
    });
    scope.onClose(() => server.forceShutdown());
    live = await liveProxy(scope, [policyOf([{ name: 'landing', httpRules: RULES }], 0)]);
    const assumed = connection({ remoteIdentity: EMPIRE, destination: { ip: LOOPBACK, port: serverPort } });
    const port = await live.proxy.listen({ name: 'empire', assume: { connection: assumed, via: undefined } });
    client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
    scope.onClose(() => client.close());
  });
  afterAll(() => scope.close());

  const unary = (path: string, request: string): Promise<string | ServiceError> =>
    new Promise((resolve) =>
      client.makeUnaryRequest(path, same, same, Buffer.from(request), (error, answer) => resolve(error ?? `${answer}`)),
    );

  test('an allowed method reaches the server', async () => {
    expect(await unary('/empire.DeathStar/RequestLanding', 'xwing')).toBe('Ship landed');
    expect(calls).toEqual(['land xwing']);
  });

  test('a denied method is PERMISSION_DENIED, and the server does not hear of it', async () => {
    const error = (await unary('/empire.DeathStar/ExhaustPort', 'torpedo')) as ServiceError;
    expect([error.code, error.details]).toEqual([7, 'Access denied\r\n']);
    expect(calls).not.toContain('exhaust');
    await expect
      .poll(
        () =>
          live.log.slice(-2).map(({ record }) => isHttpLog(record) && [record.entryType, record.path, record.status]),
        PATIENT,
      )
      .toEqual([
        ['Denied', '/empire.DeathStar/ExhaustPort', undefined],
        ['Response', '/empire.DeathStar/ExhaustPort', 200], // as Envoy sends it
      ]);
  });

  test.each([
    ['an error of the server comes as it is', '/empire.DeathStar/Fail', 9, 'shields are up'],
    ['a method that the server does not have, too', '/empire.DeathStar/Nothing', 12, expect.any(String)],
  ])('%s', async (_name, path, code, details) => {
    const error = (await unary(path, '')) as ServiceError;
    expect([error.code, error.details]).toEqual([code, details]);
    if (code === 9) expect(error.metadata.get('x-why')).toEqual(['shields']);
  });

  test('a conversation: messages pass one by one, both ways', async () => {
    const call = client.makeBidiStreamRequest('/empire.DeathStar/Radio', same, same);
    const heard: string[] = [];
    const ended = new Promise((resolve) => call.on('status', ({ code }: { code: number }) => resolve(code)));
    for (const word of ['red five', 'standing by']) {
      call.write(Buffer.from(word));
      const [answer] = await new Promise<Buffer[]>((resolve) => call.once('data', (...args) => resolve(args)));
      heard.push(`${answer}`);
    }
    call.on('data', () => {});
    call.end();
    expect(await ended).toBe(0);
    expect(heard).toEqual(['red five, over', 'standing by, over']);
  });

  test('nobody listening: UNAVAILABLE', async () => {
    const closed = connection({ destination: { ip: LOOPBACK, port: 1 } });
    const port = await live.proxy.listen({ name: 'nobody', assume: { connection: closed, via: undefined } });
    const other = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
    const error = await new Promise<ServiceError | null>((resolve) =>
      other.makeUnaryRequest('/empire.DeathStar/RequestLanding', same, same, Buffer.from(''), resolve),
    );
    other.close();
    expect(error).toMatchObject({ code: 14, details: expect.stringContaining('remote connection failure') });
  });

  test('over HTTP/1 the denial has the same form', async () => {
    const raw = new RawClient(scope, live.port, serverPort);
    raw.send('POST /empire.DeathStar/ExhaustPort HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc+proto\r\n\r\n');
    const got = await raw.until(/content-length: 0\r\n\r\n$/);
    expect(got).toMatch(/^HTTP\/1.1 200 OK\r\ncontent-type: application\/grpc\r\ngrpc-status: 7\r\n/);
    expect(got).toContain('grpc-message: Access denied%0D%0A\r\n');
  });
});
