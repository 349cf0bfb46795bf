import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  encodeDiscoveryResponse,
  encodePreamble,
  encodeSecretsResponse,
  isHttpLog,
  type L7Parser,
  type LoggedRequest,
  type PortNetworkPolicyRule,
  type ProxyConnection,
  ProxyServer,
  type Secret,
} from '../src/index.ts';
import { clientHello } from './hello.ts';
import { Client, LOOPBACK, PATIENT, Scope, tcpServer } from './live_support.ts';
import { ALLIANCE, connection, EMPIRE, httpRules, policyOf, SEED } from './support.ts';

/** Certificates: `proxy` and `server` are for deathstar.empire.test, `other` is for other.test; who signed them, in `...Ca`. */
const TLS = JSON.parse(readFileSync(new URL('fixtures/tls.json', import.meta.url), 'utf8')) as {
  readonly proxyCa: string;
  readonly serverCa: string;
} & Readonly<Record<'proxy' | 'server' | 'other', { certificateChain: string; privateKey: string }>>;
const NAME = 'deathstar.empire.test';
const LAND = 'POST /v1/request-landing HTTP/1.1\r\nHost: deathstar\r\n\r\n';
const EXHAUST = 'PUT /v1/exhaust-port HTTP/1.1\r\nHost: deathstar\r\n\r\n';

const PROXY_SECRET: Secret = { name: 'cilium-secrets/default-proxy', tlsCertificate: TLS.proxy };
const CA_SECRET: Secret = { name: 'cilium-secrets/default-ca', validationContext: { trustedCa: TLS.serverCa } };
const ENDS = { downstreamTlsContext: { tlsSdsSecret: PROXY_SECRET.name } };
const BEGINS = { upstreamTlsContext: { validationContextSdsSecret: CA_SECRET.name } };

const scope = new Scope();
afterEach(() => scope.close());

/** The rules are about every port: the server listens anywhere. */
const policy = (...rules: PortNetworkPolicyRule[]) => policyOf(rules, 0);

async function httpsServer(
  which: 'server' | 'other' = 'server',
): Promise<{ port: number; names: unknown[]; protos: unknown[] }> {
  const names: unknown[] = [];
  const protos: unknown[] = [];
  const { certificateChain: cert, privateKey: key } = TLS[which];
  const server: Server = createServer({ cert, key }, (request, response) => {
    protos.push(request.headers['x-forwarded-proto']);
    names.push((request.socket as TLSSocket & { servername: unknown }).servername);
    request.resume().on('end', () => response.end('Ship landed\n'));
  });
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket));
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  scope.onClose(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, names, protos };
}

interface TlsClientOptions extends Partial<ProxyConnection> {
  /** Asked for; null: none. */
  readonly name?: string | null;
  /** Whom it trusts. */
  readonly ca?: string;
}

/** A client that speaks TLS through the proxy. */
class TlsClient {
  received = '';
  /** How it ended, for the client: `closed`, or the code of an error. */
  ended: string | undefined;
  readonly #socket: TLSSocket;

  constructor(proxyPort: number, server: number, { name = NAME, ca = TLS.proxyCa, ...over }: TlsClientOptions = {}) {
    const socket = connect(proxyPort, '127.0.0.1');
    socket.write(encodePreamble({ connection: about(server, over), via: undefined }));
    // Whoever asks for no name says nothing about whom it means.
    const asks = name === null ? { checkServerIdentity: () => undefined } : { servername: name };
    this.#socket = connectTls({ socket, ca, ...asks });
    scope.onClose(() => this.#socket.destroy());
    this.#socket.setEncoding('latin1').on('data', (text: string) => {
      this.received += text;
    });
    // A reset that comes before the first flight has left is told as a broken pipe, to the socket below alone, or as an
    // end before the handshake's.
    const failed = ({ code, message }: Error & { code?: string }): void => {
      this.ended ??= code === 'EPIPE' ? 'ECONNRESET' : (code ?? message);
    };
    socket.on('error', failed);
    this.#socket.on('error', failed);
    this.#socket.once('secureConnect', () =>
      this.#socket.on('end', () => {
        this.ended ??= 'closed';
      }),
    );
  }

  send(text: string): this {
    this.#socket.write(text, 'latin1');
    return this;
  }

  end(): this {
    this.#socket.end();
    return this;
  }

  async gets(what: RegExp): Promise<string> {
    await expect.poll(() => this.received || this.ended, PATIENT).toMatch(what);
    return this.received;
  }

  async ends(how: string): Promise<void> {
    await expect.poll(() => this.ended, PATIENT).toBe(how);
  }
}

let ids = 1000;
const about = (server: number, over: object) =>
  connection({ id: ++ids, destination: { ip: LOOPBACK, port: server }, ...over });

/** One proxy for all tests. */
let proxy: ProxyServer;
const log: LoggedRequest[] = [];
const ports = new Map<L7Parser, number>();
beforeAll(async () => {
  proxy = await ProxyServer.start({ seed: SEED, onAccessLog: (entries) => log.push(...entries) });
  for (const parser of ['http', 'tls'] as const)
    ports.set(parser, await proxy.listen({ name: `cilium-${parser}-ingress`, parser }));
});
afterAll(() => proxy.stop());

async function proxyWith(rules: PortNetworkPolicyRule[], parser: L7Parser, secrets = [PROXY_SECRET, CA_SECRET]) {
  expect(await proxy.applySecrets(encodeSecretsResponse('1', secrets))).toEqual({ ack: true });
  expect(await proxy.applyPolicy(encodeDiscoveryResponse('1', [policy(...rules)]))).toEqual({ ack: true });
  log.length = 0;
  return { proxy, log, port: ports.get(parser)! };
}

describe('names of servers, without an end of TLS', () => {
  const RULES = [
    { serverNames: ['*.empire.test'], remotePolicies: [EMPIRE] },
    { serverNames: ['other.test'], remotePolicies: [ALLIANCE] },
  ];

  test('a name that a rule has goes to the server as it is; it sees the name and the client its certificate', async () => {
    const { port } = await proxyWith(RULES, 'tls');
    const server = await httpsServer();
    const client = new TlsClient(port, server.port, { ca: TLS.serverCa }).send(LAND);
    await client.gets(/200 OK[\s\S]*Ship landed/);
    expect(server.names).toEqual([NAME]);
  });

  test.each([
    ['a name that no rule has', 'other.test', EMPIRE],
    ['a name that a rule about somebody else has', NAME, ALLIANCE],
    ['no name', undefined, EMPIRE],
    ['nobody knows this identity', NAME, 4711],
  ])('%s: reset, and the server hears nothing', async (_why, name, remoteIdentity) => {
    const { port } = await proxyWith(RULES, 'tls');
    let connections = 0;
    const server = await tcpServer(scope, () => connections++);
    const client = new Client(scope, port, server, { remoteIdentity });
    client.socket.write(clientHello(name));
    await client.until('reset');
    expect(connections).toBe(0);
  });

  test('what is not TLS is reset', async () => {
    const { port } = await proxyWith(RULES, 'tls');
    await new Client(scope, port, await tcpServer(scope, () => {})).send(LAND).until('reset');
  });

  test('the first flight may come byte by byte, in records of any size', async () => {
    const { port } = await proxyWith(RULES, 'tls');
    const got: number[] = [];
    const server = await tcpServer(scope, (socket) => socket.on('data', (part: Buffer) => got.push(...part)));
    const client = new Client(scope, port, server);
    const hello = clientHello(NAME, 3);
    for (const byte of hello) {
      client.socket.write(new Uint8Array([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await expect.poll(() => got, PATIENT).toEqual([...hello]);
  });

  test('a rule without names lets also others through', async () => {
    const { port } = await proxyWith([...RULES, { remotePolicies: [EMPIRE] }], 'tls');
    const server = await tcpServer(scope, (socket) => socket.end('hello'));
    await new Client(scope, port, server).send('any').until(/hello/);
  });

  test('each side may end before the other', async () => {
    const { port } = await proxyWith(RULES, 'tls');
    const server = await tcpServer(scope, (socket) => {
      let bytes = 0;
      socket.on('data', (part: Buffer) => {
        bytes += part.length;
      });
      socket.on('end', () => socket.end(`${bytes} bytes`));
    });
    const client = new Client(scope, port, server);
    const hello = clientHello(NAME);
    client.socket.end(hello);
    expect(await client.until('closed')).toBe(`${hello.length} bytes`);
  });

  test('a server that resets is a reset for the client', async () => {
    const { port } = await proxyWith(RULES, 'tls');
    const server = await tcpServer(scope, (socket) => socket.once('data', () => socket.resetAndDestroy()));
    const client = new Client(scope, port, server);
    client.socket.write(clientHello(NAME));
    await client.until('reset');
  });
});

describe('TLS that ends at the proxy', () => {
  const RULE = { ...ENDS, httpRules: httpRules({ method: 'POST', path: '/v1/request-landing' }) };

  test('rules see inside: the server gets what they allow, the client its 403 inside TLS', async () => {
    const { port, log } = await proxyWith([{ name: 'inside', ...RULE, ...BEGINS }], 'http');
    const server = await httpsServer();
    const client = new TlsClient(port, server.port);
    await client.send(LAND).gets(/200 OK[\s\S]*Ship landed/);
    await client.send(EXHAUST).gets(/403 Forbidden[\s\S]*Access denied/);
    await client.send(LAND).gets(/landed[\s\S]*landed/);
    expect(server.names).toEqual([NAME, NAME]);
    expect(server.protos).toEqual(['https', 'https']);
    await expect
      .poll(
        () =>
          log.map(({ record }) =>
            isHttpLog(record) ? [record.entryType, record.method, record.status, record.rule].join(' ') : '',
          ),
        PATIENT,
      )
      .toEqual([
        ...['Request POST  inside', 'Response POST 200 inside', 'Denied PUT  ', 'Response PUT 403 '],
        ...['Request POST  inside', 'Response POST 200 inside'],
      ]);
  });

  test('without a rule that begins it anew the server gets it in the clear', async () => {
    const { port } = await proxyWith([RULE], 'http');
    const server = await tcpServer(scope, (socket) =>
      socket.once('data', (part: Buffer) =>
        socket.end(`HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n${part.toString().split('\r\n')[0]}`),
      ),
    );
    await new TlsClient(port, server).send(LAND).gets(/POST \/v1\/request-landing HTTP/);
  });

  test('a client that speaks no TLS is judged all the same, and so is its server', async () => {
    const { port } = await proxyWith([{ ...RULE, ...BEGINS }], 'http');
    const server = await tcpServer(scope, (socket) =>
      socket.once('data', (part: Buffer) => socket.end(`HTTP/1.1 200 OK\r\n\r\n${part.toString().split(' ')[0]}`)),
    );
    const client = new Client(scope, port, server);
    await client.send(EXHAUST).until(/403/);
    await client.send(LAND).until(/POST/);
  });

  test('with names, other ones are reset before any certificate is shown', async () => {
    const { port } = await proxyWith([{ ...RULE, ...BEGINS, serverNames: [NAME] }], 'http');
    const server = await httpsServer();
    await new TlsClient(port, server.port, { name: 'other.test' }).ends('ECONNRESET');
    await new TlsClient(port, server.port).send(LAND).gets(/Ship landed/);
  });

  test('a client that does not trust the CA goes away', async () => {
    const { port } = await proxyWith([RULE], 'http');
    await new TlsClient(port, 1, { ca: TLS.serverCa }).ends('UNABLE_TO_VERIFY_LEAF_SIGNATURE');
  });

  test('without HTTP rules what is inside is passed on', async () => {
    const { port } = await proxyWith([{ ...ENDS, ...BEGINS }], 'tls');
    const server = await httpsServer();
    await new TlsClient(port, server.port).send(LAND).gets(/Ship landed/);
  });

  test('and in the clear, to a server that speaks first and ends first', async () => {
    const { port } = await proxyWith([ENDS], 'tls');
    const server = await tcpServer(scope, (socket) => socket.end('220 ready\r\n'));
    const client = new TlsClient(port, server);
    await client.gets(/220 ready/);
    await client.ends('closed');
  });

  test('a server that resets, or is not there, ends the client, and the proxy lives on', async () => {
    const { port } = await proxyWith([ENDS], 'tls');
    const resets = await tcpServer(scope, (socket) => socket.once('data', () => socket.resetAndDestroy()));
    await new TlsClient(port, resets).send('hi').ends('ECONNRESET');
    await new TlsClient(port, 1).ends('closed');
    const server = await tcpServer(scope, (socket) => socket.end('220 ready\r\n'));
    await new TlsClient(port, server).gets(/220 ready/);
  });

  test('a client that breaks off its handshake is forgotten', async () => {
    const { port } = await proxyWith([{ ...RULE, ...BEGINS }], 'http');
    const client = new Client(scope, port, 1);
    client.socket.write(clientHello(NAME));
    client.socket.write('this is no TLS any more');
    await expect.poll(() => client.ended, PATIENT).not.toBe('open');
    const server = await httpsServer();
    await new TlsClient(port, server.port).send(LAND).gets(/Ship landed/);
  });

  test('its bodies are bounded by who reads: a large one passes both ways', async () => {
    const { port } = await proxyWith([{ ...ENDS, ...BEGINS }], 'http');
    const { certificateChain: cert, privateKey: key } = TLS.server;
    const echo = createServer({ cert, key }, (request, response) => request.pipe(response)).listen(0, '127.0.0.1');
    await new Promise((resolve) => echo.once('listening', resolve));
    scope.onClose(() => echo.close());
    const body = 'x'.repeat(3 << 20);
    const client = new TlsClient(port, (echo.address() as AddressInfo).port);
    client.send(`PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    await client.gets(/\r\n0\r\n\r\n$/);
    expect(client.received.length).toBeGreaterThan(body.length);
  });
});

describe('servers that are not who they should be', () => {
  const RULES = [{ ...ENDS, ...BEGINS }];
  const VERIFY =
    /^HTTP\/1.1 503 [\s\S]*reset reason: remote connection failure, transport failure reason: TLS_error:.*CERTIFICATE_VERIFY_FAILED/;

  test('signed by the trusted CA, but for another name', async () => {
    const { port } = await proxyWith(RULES, 'http');
    const server = await httpsServer('other');
    await new TlsClient(port, server.port).send(LAND).gets(VERIFY);
    expect(server.names).toEqual([]);
  });

  test('signed by another CA', async () => {
    const { port } = await proxyWith(RULES, 'http', [
      PROXY_SECRET,
      { ...CA_SECRET, validationContext: { trustedCa: TLS.proxyCa } },
    ]);
    const server = await httpsServer();
    await new TlsClient(port, server.port).send(LAND).gets(VERIFY);
    expect(server.names).toEqual([]);
  });

  test('no TLS at all', async () => {
    const { port } = await proxyWith(RULES, 'http');
    const server = await tcpServer(scope, (socket) => socket.end('HTTP/1.1 200 OK\r\n\r\nin the clear'));
    await new TlsClient(port, server).send(LAND).gets(/^HTTP\/1.1 503 [\s\S]*TLS_error:/);
  });

  test('nobody there', async () => {
    const { port } = await proxyWith(RULES, 'http');
    await new TlsClient(port, 1).send(LAND).gets(/^HTTP\/1.1 503 [\s\S]*remote connection failure$/);
  });

  test('a client that asked for no name trusts whoever the CA signed', async () => {
    const { port } = await proxyWith(RULES, 'http');
    const server = await httpsServer('other');
    await new TlsClient(port, server.port, { name: null }).send(LAND).gets(/Ship landed/);
  });
});

describe('secrets', () => {
  test('while the certificate is missing the client is reset; it is there as soon as it comes', async () => {
    const { port, proxy } = await proxyWith([{ ...ENDS, ...BEGINS }], 'http', [CA_SECRET]);
    const server = await httpsServer();
    await new TlsClient(port, server.port).ends('ECONNRESET');
    await proxy.applySecrets(encodeSecretsResponse('2', [CA_SECRET, PROXY_SECRET]));
    await new TlsClient(port, server.port).send(LAND).gets(/Ship landed/);
    await proxy.applySecrets(encodeSecretsResponse('3', [CA_SECRET]));
    await new TlsClient(port, server.port).ends('ECONNRESET');
  });

  test('while the CA is missing no server can be reached', async () => {
    const { port } = await proxyWith([{ ...ENDS, ...BEGINS }], 'http', [PROXY_SECRET]);
    const server = await httpsServer();
    await new TlsClient(port, server.port).send(LAND).gets(/503[\s\S]*transport failure reason: Socket is not ready$/);
    expect(server.names).toEqual([]);
  });

  test.each([
    [
      'a key of another certificate',
      { ...TLS.proxy, privateKey: TLS.other.privateKey },
      'the private key is not that of the certificate',
    ],
    ['no key', { ...TLS.proxy, privateKey: '' }, 'missing private key'],
    ['no certificate', { ...TLS.proxy, certificateChain: '' }, 'missing certificate chain'],
  ])('with %s are refused, and the last ones stay', async (_what, tlsCertificate, reason) => {
    const { proxy, port } = await proxyWith([{ ...ENDS, ...BEGINS }], 'http');
    expect(await proxy.applySecrets(encodeSecretsResponse('2', [{ ...PROXY_SECRET, tlsCertificate }]))).toEqual({
      ack: false,
      reason: `secret cilium-secrets/default-proxy: ${reason}`,
    });
    const server = await httpsServer();
    await new TlsClient(port, server.port).send(LAND).gets(/Ship landed/);
  });
});
