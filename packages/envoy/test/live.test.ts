import { connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { type AccessLog, encodeDiscoveryResponse, encodePreamble, isHttpLog, readPreamble } from '../src/index.ts';
import { Client, httpServer, LOOPBACK, liveProxy, PATIENT, Scope, tcpServer } from './live_support.ts';
import { ALLIANCE, connection, httpRules, LANDING, policyOf } from './support.ts';

const LAND = 'POST /v1/request-landing HTTP/1.1\r\nHost: deathstar\r\n\r\n';
const EXHAUST = 'PUT /v1/exhaust-port HTTP/1.1\r\nHost: deathstar\r\n\r\n';
const FREE = policyOf([{ name: 'free', httpRules: httpRules({}) }]);
/** The server may listen anywhere: policy is about the port that the client meant. */
const MEANT = connection().localPort;

/** `destination` is where the server is; the rules are about every port. */
const onEveryPort = (policy: typeof LANDING) => ({
  ...policy,
  ingressPerPortPolicies: policy.ingressPerPortPolicies!.map((entry) => ({ ...entry, port: 0 })),
});

const scope = new Scope();
afterEach(() => scope.close());

async function deathstar(policy = LANDING, options = {}) {
  const seen: string[] = [];
  const server = await httpServer(scope, (request, response) => {
    seen.push(`${request.method} ${request.url}`);
    request.resume().on('end', () => response.end('Ship landed\n'));
  });
  const live = await liveProxy(scope, [onEveryPort(policy)], options);
  return { ...live, seen, server, client: (over = {}) => new Client(scope, live.port, server, over) };
}

const wordsOf = (record: AccessLog): string =>
  isHttpLog(record) ? [record.entryType, record.method, record.status].join(' ') : record.entryType;

describe('a connection on real sockets', () => {
  test('an allowed request reaches the server, its answer the client; a denied one is answered, and the connection stays', async () => {
    const { client, seen, log } = await deathstar();
    const xwing = client();
    expect(await xwing.send(LAND).until(/Ship landed/)).toContain('server: envoy');
    expect(await xwing.send(EXHAUST).until(/denied/)).toContain('403 Forbidden');
    await xwing.send(LAND).until(/Ship landed[\s\S]*Ship landed/);
    expect(seen).toEqual(['POST /v1/request-landing', 'POST /v1/request-landing']);
    await expect
      .poll(() => log.map(({ record }) => wordsOf(record)), PATIENT)
      .toEqual([
        ...['Request POST ', 'Response POST 200', 'Denied PUT ', 'Response PUT 403'],
        ...['Request POST ', 'Response POST 200'],
      ]);
  });

  test('pipelined requests are judged one by one, also after a 403', async () => {
    const { client, seen } = await deathstar();
    const got = await client()
      .send(EXHAUST + LAND + EXHAUST + LAND)
      .until(/landed[\s\S]*landed/);
    expect(got.match(/HTTP\/1.1 \d+/g)).toEqual(['403', '200', '403', '200'].map((code) => `HTTP/1.1 ${code}`));
    expect(seen).toHaveLength(2);
  });

  test('who may not connect is reset', async () => {
    const { client, seen } = await deathstar();
    await client({ remoteIdentity: ALLIANCE }).send(LAND).until('reset');
    expect(seen).toEqual([]);
  });

  test('what is no preamble is reset', async () => {
    const { port } = await deathstar();
    const socket = connect(port, '127.0.0.1').on('error', () => {});
    scope.onClose(() => socket.destroy());
    socket.write(LAND);
    await new Promise((resolve) => socket.on('close', resolve));
  });

  test('on egress the rules of egress count, and the log has the endpoint as source', async () => {
    const server = await httpServer(scope, (_request, response) => response.end('out'));
    const egress = { ...policyOf([]), ingressPerPortPolicies: [] };
    const rules = [{ name: 'out', remotePolicies: [ALLIANCE], httpRules: httpRules({ path: '/out' }) }];
    const live = await liveProxy(scope, [
      { ...egress, egressPerPortPolicies: [{ port: MEANT, endPort: 65535, rules }] },
    ]);
    const over = { ingress: false, remoteIdentity: ALLIANCE, localIdentity: 77 };
    const got = await new Client(scope, live.port, server, over)
      .send('GET /in HTTP/1.1\r\nHost: a\r\n\r\nGET /out HTTP/1.1\r\nHost: a\r\n\r\n')
      .until(/out$/);
    expect(got.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 403', 'HTTP/1.1 200']);
    await expect
      .poll(() => live.log.at(-1)?.record, PATIENT)
      .toMatchObject({ isIngress: false, sourceIdentity: 77, destinationIdentity: ALLIANCE, status: 200 });
    await new Client(scope, live.port, server, { remoteIdentity: ALLIANCE }).until('reset');
  });
});

describe('policy', () => {
  test('a new version counts at once, also on open connections; a bad one is refused and the last stays', async () => {
    const { client, proxy } = await deathstar(LANDING, { workers: 2 });
    const tie = client();
    await tie.send(LAND).until(/landed/);
    const bad = onEveryPort(policyOf([{ httpRules: { httpRules: [] } }]));
    expect(await proxy.applyPolicy(encodeDiscoveryResponse('2', [bad]))).toMatchObject({
      ack: false,
      reason: expect.stringContaining('http_rules: empty'),
    });
    await tie.send(LAND).until(/landed[\s\S]*landed/);
    const other = onEveryPort(policyOf([{ httpRules: httpRules({ path: '/other' }) }]));
    expect(await proxy.applyPolicy(encodeDiscoveryResponse('3', [other]))).toEqual({ ack: true });
    await tie.send(LAND).until(/denied/);
    await client({ remoteIdentity: ALLIANCE })
      .send('GET /other HTTP/1.1\r\nHost: a\r\n\r\n')
      .until(/landed/);
  });
});

describe('servers that fail', () => {
  test('a 5xx is tried again three times, with the same request; then the client gets it', async () => {
    const bodies: string[] = [];
    const server = await httpServer(scope, async (request, response) => {
      let body = '';
      for await (const part of request) body += part;
      bodies.push(body);
      response.writeHead(bodies.length < 6 ? 503 : 200).end(`${bodies.length}`);
    });
    const { port } = await liveProxy(scope, [onEveryPort(FREE)]);
    const client = new Client(scope, port, server);
    const post = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi';
    expect(await client.send(post).until(/4\r\n0\r\n\r\n$/)).toContain('503 Service Unavailable');
    expect(bodies).toEqual(['hi', 'hi', 'hi', 'hi']);
    expect(await client.send(post).until(/6\r\n0\r\n\r\n$/)).toContain('200 OK');
  });

  test('nobody listening: 503 after the retries', async () => {
    const { port } = await liveProxy(scope, [onEveryPort(FREE)]);
    const closed = await tcpServer(scope, () => {});
    await scope.close();
    const again = await liveProxy(scope, [onEveryPort(FREE)]);
    expect(port).not.toBe(0);
    const got = await new Client(scope, again.port, closed).send(LAND).until(/reason: .*$/);
    expect(got).toMatch(/^HTTP\/1.1 503 [\s\S]*retried and the latest reset reason: remote connection failure$/);
  });

  test('a server that resets inside its answer ends the connection', async () => {
    const server = await tcpServer(scope, (socket) => {
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc');
        setTimeout(() => socket.resetAndDestroy(), 20);
      });
    });
    const { port } = await liveProxy(scope, [onEveryPort(FREE)]);
    const client = new Client(scope, port, server).send(LAND);
    await client.until('closed');
    expect(client.received).toMatch(/abc$/);
  });
});

describe('time-outs', () => {
  const SECOND = 1_000_000_000n;

  test('a head that does not end: 408', async () => {
    const { client } = await deathstar(LANDING, { http: { streamIdleTimeoutNs: SECOND / 10n } });
    const slow = client().send('GET / HTTP/1.1\r\nHost:');
    await slow.until('closed');
    expect(slow.received).toMatch(/^HTTP\/1.1 408 [\s\S]*connection: close[\s\S]*stream timeout$/);
  });

  test('a body that does not end: 408', async () => {
    const { client } = await deathstar(FREE, { http: { routeIdleTimeoutNs: SECOND / 10n } });
    const slow = client().send('PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab');
    await slow.until('closed');
    expect(slow.received).toMatch(/^HTTP\/1.1 408 /);
  });

  test('a server that does not answer: 504, and the connection goes on', async () => {
    const server = await httpServer(scope, (request, response) => {
      if (request.url === '/go') response.end('on');
    });
    const { port } = await liveProxy(scope, [onEveryPort(FREE)], { http: { requestTimeoutNs: SECOND / 10n } });
    const client = new Client(scope, port, server);
    expect(await client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n').until(/timeout$/)).toMatch(/^HTTP\/1.1 504 /);
    await client.send('GET /go HTTP/1.1\r\nHost: a\r\n\r\n').until(/on$/);
  });

  test('an idle connection between requests stays', async () => {
    const { client } = await deathstar(LANDING, { http: { streamIdleTimeoutNs: 1n, routeIdleTimeoutNs: 1n } });
    const tie = client();
    await tie.send(LAND).until(/landed/);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    await tie.send(LAND).until(/landed[\s\S]*landed/);
  });
});

describe('streams', () => {
  const MIB = 1 << 20;

  test('bodies pass both ways at once, more than anybody keeps in memory', async () => {
    const server = await httpServer(scope, (request, response) => request.pipe(response));
    const { port } = await liveProxy(scope, [onEveryPort(FREE)]);
    const client = new Client(scope, port, server);
    const piece = 'x'.repeat(MIB);
    client.send(`PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: ${4 * MIB}\r\n\r\n`);
    for (let n = 0; n < 4; n++) client.send(piece);
    await client.until(/0\r\n\r\n$/);
    expect(client.received.length).toBeGreaterThan(4 * MIB);
  });

  test('a client that does not read holds the server back', async () => {
    let written = 0;
    const server = await httpServer(scope, (_request, response) => {
      const piece = Buffer.alloc(MIB);
      const more = (): void => {
        while (written < 256 * MIB) {
          written += MIB;
          if (!response.write(piece)) return;
        }
      };
      response.on('drain', more);
      more();
    });
    const { port } = await liveProxy(scope, [onEveryPort(FREE)]);
    const client = new Client(scope, port, server).send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.until(/200 OK/);
    client.socket.pause();
    for (let before = -1; before !== written; ) {
      before = written;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    expect(written).toBeLessThan(128 * MIB);
  });

  test('a client that asks and asks and does not read is not read', async () => {
    const { client } = await deathstar();
    const flood = client();
    flood.socket.pause();
    let sent = 0;
    for (; sent < 400 && flood.socket.write(EXHAUST.repeat(2000)); sent++)
      await new Promise((resolve) => setTimeout(resolve, 1));
    expect(sent).toBeLessThan(400);
  });
});

test('a worker that dies takes its own connections along and is replaced, with ports and policies', async () => {
  const died: string[] = [];
  const { client } = await deathstar(LANDING, {
    workers: 2,
    http: { connectTimeoutNs: undefined as never }, // which breaks a worker that connects to a server
    onWorkerDied: (error: Error) => died.push(error.message),
  });
  const others = Array.from({ length: 16 }, () => client());
  for (const other of others) await other.send(EXHAUST).until(/denied/);
  const fatal = client().send(LAND);
  await fatal.until('closed').catch(() => fatal.until('reset'));
  await expect.poll(() => died, PATIENT).toEqual([expect.stringContaining('BigInt')]);
  const again = others.map((other) => other.send(EXHAUST).until(/denied[\s\S]*denied/));
  const served = (await Promise.allSettled(again)).filter(({ status }) => status === 'fulfilled');
  expect(served.length).toBeGreaterThan(0); // all on the dead one: once in 65,536 runs
  for (let n = 0; n < 8; n++)
    await client()
      .send(EXHAUST)
      .until(/denied/);
});

test('another address to connect to gets the preamble, too', async () => {
  let first = new Uint8Array(0);
  const via = await tcpServer(scope, (socket) =>
    socket.once('data', (bytes) => {
      first = new Uint8Array(bytes as Buffer);
      socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    }),
  );
  const { port } = await liveProxy(scope, [FREE]);
  const socket = connect(port, '127.0.0.1');
  scope.onClose(() => socket.destroy());
  const about = connection({ id: 4242 });
  socket.write(encodePreamble({ connection: about, via: { ip: LOOPBACK, port: via } }));
  socket.write(LAND);
  await new Promise((resolve) => socket.once('data', resolve));
  const read = readPreamble(first);
  expect(read).toMatchObject({
    kind: 'preamble',
    preamble: { connection: { id: 4242, destination: about.destination } },
  });
});
