import { TCP_ACK, TCP_FIN, TCP_PSH, TCP_SYN, tcpSegment } from '@ciliate/packet';
import { replayConversations } from '@ciliate/replay';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { clientHello } from '../packages/envoy/test/hello.ts';
import { type Cluster, podYaml, setPolicies, startCluster } from './cluster.ts';

/** Recordings as they come out of real networks, segment by segment, and what a client then sees behind the proxy. */
let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster(
    podYaml('client', '10.0.0.1', { app: 'client' }) + podYaml('server', '10.0.0.2', { app: 'server' }),
  );
});
afterAll(() => cluster.agent.stop());
beforeEach(() => cluster.agent.flushConntrack());

const CLIENT = 0x0a000001;
const SERVER = 0x0a000002;
const NONE = '';
const ingress = (...rules: string[]): string => `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: api }
spec:
  endpointSelector: { matchLabels: { app: server } }
  ingress:
${rules.map((rule) => `    - ${rule}\n`).join('')}
`;
const ONLY_API = '{ toPorts: [{ ports: [{ port: "80", protocol: TCP }], rules: { http: [{ path: "/api.*" }] } }] }';
const L7 = ingress(ONLY_API);

const request = (path: string, headers = '', body = ''): string =>
  `GET ${path} HTTP/1.1\r\nhost: server\r\n${headers}\r\n${body}`;
const response = (body: string): string => `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`;

type Move = [from: 'client' | 'server', flags: number, text?: string];
const OPEN: Move[] = [
  ['client', TCP_SYN],
  ['server', TCP_SYN | TCP_ACK],
  ['client', TCP_ACK],
];
const CLOSE: Move[] = [
  ['client', TCP_FIN | TCP_ACK],
  ['server', TCP_FIN | TCP_ACK],
  ['client', TCP_ACK],
];
const says = (from: 'client' | 'server', text: string): Move[] => [
  [from, TCP_ACK | TCP_PSH, text],
  [from === 'client' ? 'server' : 'client', TCP_ACK],
];

/** The frames of one connection, its sequence numbers counted; every segment acknowledges all before it. */
function record(moves: Move[], isn = 1000): [string, Uint8Array][] {
  const next = { client: isn, server: isn + 500_000 };
  return moves.map(([from, flags, text = '']) => {
    const payload = Buffer.from(text, 'latin1');
    const [ends, other] =
      from === 'client'
        ? [{ src: CLIENT, dst: SERVER, srcPort: 40_000, dstPort: 80 }, next.server]
        : [{ src: SERVER, dst: CLIENT, srcPort: 80, dstPort: 40_000 }, next.client];
    const frame = tcpSegment({ ...ends, seq: next[from], ack: flags & TCP_ACK ? other : 0, flags, payload });
    next[from] += payload.length + (flags & (TCP_SYN | TCP_FIN) ? 1 : 0);
    return [from, frame];
  });
}

/** @returns each row as `asked: outcome, sees` */
async function replay(policy: string, frames: [string, Uint8Array][]): Promise<string[]> {
  await setPolicies(cluster, policy);
  const packets = frames.map(([sender, data], index) => ({
    number: index + 1,
    timestampNs: 1_000_000_000_000n + BigInt(index) * 1_000_000n,
    data,
    interfaceName: `default/${sender}`,
  }));
  const { rows } = await replayConversations(cluster.agent, packets);
  return rows.map(({ asked, outcome, sees }) => `${asked}: ${outcome}, ${sees}`);
}

const GET_API = [...says('client', request('/api')), ...says('server', response('ok'))];
const plain = record([...OPEN, ...GET_API, ...CLOSE]);

const scenarios: [name: string, policy: string, frames: [string, Uint8Array][], rows: string[]][] = [
  ['a SYN that is repeated opens one connection', L7, [plain[0]!, ...plain], ['GET /api: answered, HTTP 200 ok']],
  [
    'a capture of both directions at both ends is the same as one of what each pod sent',
    L7,
    plain.flatMap(([, frame]): [string, Uint8Array][] => [
      ['client', frame],
      ['server', frame],
    ]),
    ['GET /api: answered, HTTP 200 ok'],
  ],
  [
    'a request in the SYN reaches the proxy',
    L7,
    record([['client', TCP_SYN, request('/api')], ...OPEN.slice(1), ...says('server', response('ok')), ...CLOSE]),
    ['GET /api: answered, HTTP 200 ok'],
  ],
  [
    'ports used again after a connection without end are another connection',
    L7,
    [
      ...record([...OPEN, ...GET_API]),
      ...record([...OPEN, ...says('client', request('/no')), ...says('server', response('no')), ...CLOSE], 77_000),
    ],
    ['GET /api: answered, HTTP 200 ok', 'GET /no: http-403, HTTP 403 Access denied'],
  ],
  [
    'a client that waits for "100 Continue" gets it from the proxy and sends the body',
    L7,
    record([
      ...OPEN,
      ...says('client', request('/api', 'expect: 100-continue\r\ncontent-length: 4\r\n')),
      ...says('server', 'HTTP/1.1 100 Continue\r\n\r\n'),
      ...says('client', 'body'),
      ...says('server', response('stored')),
      ...GET_API,
      ...CLOSE,
    ]),
    ['GET /api: answered, HTTP 200 stored', 'GET /api: answered, HTTP 200 ok'],
  ],
  [
    'a response that ends with the connection is whole when the server closes',
    L7,
    record([
      ...OPEN,
      ...says('client', request('/api')),
      ['server', TCP_ACK | TCP_PSH, 'HTTP/1.1 200 OK\r\n\r\nall of it'],
      ['server', TCP_FIN | TCP_ACK],
      ['client', TCP_FIN | TCP_ACK],
      ['server', TCP_ACK],
    ]),
    ['GET /api: answered, HTTP 200 all of it'],
  ],
  [
    'a request behind a 403 that closed the connection finds it closed',
    L7,
    record([
      ...OPEN,
      ...says('client', request('/no', 'content-length: 4\r\n')),
      ...says('client', 'body'),
      ...says('server', response('no')),
      ...GET_API,
      ...CLOSE,
    ]),
    ['GET /no: http-403, HTTP 403 Access denied', 'GET /api: reset, connection closed'],
  ],
  [
    'TLS to a port with HTTP rules is answered 400 by the proxy, not by the server',
    L7,
    record([...OPEN, ...says('client', '\x16\x03\x01\x02'), ...says('server', '\x16\x03\x03'), ...CLOSE]),
    ['connect: http-400, HTTP 400 Bad Request'],
  ],
  [
    'HTTP/2 to a port with HTTP rules is not judged from a recording, and that is said',
    L7,
    record([
      ...OPEN,
      ...says('client', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0'),
      ...says('server', '\0\0\0\x04\0\0\0\0\0'),
      ...CLOSE,
    ]),
    ['connect: no-answer, what the proxy says to HTTP/2'],
  ],
  [
    'HTTP/2 to a port without HTTP rules is a connection like any other',
    NONE,
    record([
      ...OPEN,
      ...says('client', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0'),
      ...says('server', '\0\0\0\x04\0\0\0\0\0'),
      ...CLOSE,
    ]),
    ['connect: answered, connected, 9 bytes'],
  ],
  [
    'an answer 101 is an answer',
    NONE,
    record([
      ...OPEN,
      ...says('client', request('/api', 'upgrade: websocket\r\nconnection: upgrade\r\n')),
      ...says('server', 'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n'),
      ...says('client', '\x81\0'),
      ...CLOSE,
    ]),
    ['GET /api: answered, HTTP 101'],
  ],
  [
    'who may do everything passes the proxy of a port that HTTP rules hold others to',
    ingress('{ fromEndpoints: [{ matchLabels: { app: client } }] }', ONLY_API),
    record([...OPEN, ...says('client', request('/no')), ...says('server', response('served')), ...CLOSE]),
    ['GET /no: answered, HTTP 200 served'],
  ],
  [
    'and does not where another one may do everything',
    ingress('{ fromEndpoints: [{ matchLabels: { app: server } }] }', ONLY_API),
    record([...OPEN, ...says('client', request('/no')), ...says('server', response('served')), ...CLOSE]),
    ['GET /no: http-403, HTTP 403 Access denied'],
  ],
];
test.each(scenarios)('%s', async (_name, policy, frames, rows) => {
  expect(await replay(policy, frames)).toEqual(rows);
});

const tlsRule = (field: string): string =>
  ingress(`{ toPorts: [{ ports: [{ port: "80", protocol: TCP }], ${field} }] }`);
const HELLO = Buffer.from(clientHello('server.test')).toString('latin1');
const TLS = record([...OPEN, ...says('client', HELLO), ...says('server', 'hello'), ...CLOSE]);

test('a TLS client that policy sends to the proxy is refused by name: its bytes are for another server', async () => {
  await expect(replay(tlsRule('serverNames: [server.test]'), TLS)).rejects.toMatchObject({
    code: 'BAD_INPUT',
    message:
      'default/client speaks TLS through the proxy: recorded bytes cannot be replayed there, live pods can try it',
  });
});

test('a TLS client is reset while the certificate for it is missing', async () => {
  const ended = tlsRule('terminatingTLS: { secret: { namespace: default, name: none } }, rules: { http: [{}] }');
  expect(await replay(ended, TLS)).toEqual(['connect: reset, connection reset']);
});

test('packets of which the capture kept only a part are left out and told', async () => {
  await setPolicies(cluster, NONE);
  const packets = plain.map(([sender, data], index) => ({
    number: index + 1,
    timestampNs: BigInt(index),
    data: data.subarray(0, 60),
    interfaceName: `default/${sender}`,
  }));
  const { unreplayed } = await replayConversations(cluster.agent, packets);
  expect(unreplayed).toMatchObject([
    { packet: { number: 4 }, reason: expect.stringMatching(/^the capture kept 46 of the \d+ bytes/) },
    { packet: { number: 6 }, reason: expect.stringMatching(/^the capture kept 46 of the \d+ bytes/) },
  ]);
});

test('a recording that begins in the middle of a connection says so', async () => {
  await setPolicies(cluster, NONE);
  const packets = plain.slice(3).map(([sender, data], index) => ({
    number: index + 1,
    timestampNs: BigInt(index),
    data,
    interfaceName: `default/${sender}`,
  }));
  const { rows } = await replayConversations(cluster.agent, packets);
  expect(rows).toMatchObject([{ verdict: 'NOT SENT', why: expect.stringContaining('begins in the middle') }]);
});
