import { icmpEcho, udpDatagram } from '@ciliate/packet';
import { measureThroughput, replayConversations, synthesize, type TracePacket } from '@ciliate/replay';
import { encode } from 'dns-packet';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Cluster, playConnection, podYaml, setPolicies, startCluster } from './cluster.ts';

/** Small clusters and hand-made conversations: what the Death Star capture does not show. */
let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster(`
${podYaml('client', '10.0.0.1', { app: 'client' })}
${podYaml('server', '10.0.0.2', { app: 'server' })}
${podYaml('dns', '10.0.0.53', { app: 'dns' })}
apiVersion: v1
kind: Service
metadata: { name: server }
spec: { clusterIP: 10.96.0.1, selector: { app: server }, ports: [{ port: 8080, targetPort: 80 }] }
---
apiVersion: v1
kind: Service
metadata: { name: nobody }
spec: { clusterIP: 10.96.0.2, selector: { app: nobody }, ports: [{ port: 80 }] }
`);
});
afterAll(() => cluster.agent.stop());
beforeEach(() => cluster.agent.flushConntrack());

const CLIENT = 0x0a000001;
const SERVER = 0x0a000002;
const DNS = 0x0a000035;
const pod = (name: string) => cluster.agent.endpointOfPod(name)!;
const http = (text: string): Uint8Array => new TextEncoder().encode(text);
const REQUEST = http('GET / HTTP/1.1\r\nhost: server\r\n\r\n');
const RESPONSE = http('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');

const allowFrom = (server: string, client: string): string => `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: only-${client} }
spec:
  podSelector: { matchLabels: { app: ${server} } }
  ingress: [{ from: [{ podSelector: { matchLabels: { app: ${client} } } }] }]
`;

function packetsOf(frames: [sender: string, frame: Uint8Array][]): TracePacket[] {
  return frames.map(([sender, data], index) => ({
    number: index + 1,
    timestampNs: 1_000_000_000_000n + BigInt(index) * 1_000_000n,
    data,
    interfaceName: `default/${sender}`,
  }));
}

function lookup(name: string, address: string): [string, Uint8Array][] {
  const questions = [{ type: 'A' as const, name }];
  const query = encode({ type: 'query', id: 7, questions });
  const answers = [{ type: 'A' as const, name, data: address }];
  const answer = encode({ type: 'response', id: 7, questions, answers });
  return [
    ['client', udpDatagram({ src: CLIENT, dst: DNS, srcPort: 5000, dstPort: 53, payload: query })],
    ['dns', udpDatagram({ src: DNS, dst: CLIENT, srcPort: 53, dstPort: 5000, payload: answer })],
  ];
}

function connection(): [string, Uint8Array][] {
  const question = {
    client: pod('client'),
    server: { address: SERVER, port: 80 },
    answering: { pod: pod('server'), port: 80 },
    transport: 'TCP' as const,
    request: REQUEST,
    response: RESPONSE,
  };
  return synthesize(question).map(({ interfaceName, data }) => [interfaceName!.replace('default/', ''), data]);
}

const replay = (frames: [string, Uint8Array][]) => replayConversations(cluster.agent, packetsOf(frames));

test('a connection to an address that a DNS answer told takes place when the answer arrived', async () => {
  await setPolicies(cluster, '');
  const { rows } = await replay([...lookup('server.example', '10.0.0.2'), ...connection()]);
  expect(rows.map(({ asked, outcome }) => `${asked}: ${outcome}`)).toEqual([
    'A server.example: answered',
    'GET /: answered',
  ]);
});

test('it is never begun when the answer was denied, and its client says that the name does not resolve', async () => {
  await setPolicies(cluster, allowFrom('dns', 'server'));
  const { rows, flows } = await replay([...lookup('server.example', '10.0.0.2'), ...connection()]);
  expect(rows.map(({ asked, outcome, sees }) => `${asked}: ${outcome}, ${sees}`)).toEqual([
    'A server.example: dropped, time-out',
    'GET /: unresolved, name does not resolve',
  ]);
  expect(flows.some(({ l4 }) => l4?.protocol === 'TCP')).toBe(false);
});

test('a datagram is answered only if it was delivered', async () => {
  const frames: [string, Uint8Array][] = [
    ['client', udpDatagram({ src: CLIENT, dst: SERVER, srcPort: 4000, dstPort: 9000, payload: http('ping') })],
    ['server', udpDatagram({ src: SERVER, dst: CLIENT, srcPort: 9000, dstPort: 4000, payload: http('pong!') })],
  ];
  await setPolicies(cluster, '');
  expect((await replay(frames)).rows).toMatchObject([{ transport: 'UDP', outcome: 'answered', sees: '5 bytes' }]);
  cluster.agent.flushConntrack();
  await setPolicies(cluster, allowFrom('server', 'dns'));
  const denied = await replay(frames);
  expect(denied.rows).toMatchObject([{ outcome: 'dropped', dropCode: 133 }]);
  expect(denied.flows.some(({ isReply }) => isReply)).toBe(false);
});

test('an echo request is answered when allowed and times out when denied', async () => {
  const frames: [string, Uint8Array][] = [
    ['client', icmpEcho({ src: CLIENT, dst: SERVER, id: 9, sequence: 1 })],
    ['server', icmpEcho({ src: SERVER, dst: CLIENT, id: 9, sequence: 1, reply: true })],
  ];
  await setPolicies(cluster, allowFrom('server', 'client'));
  expect((await replay(frames)).rows).toMatchObject([{ transport: 'ICMP', outcome: 'answered', sees: 'echo reply' }]);
  cluster.agent.flushConntrack();
  await setPolicies(cluster, allowFrom('server', 'dns'));
  expect((await replay(frames)).rows).toMatchObject([{ outcome: 'dropped', dropCode: 133 }]);
});

test('echo requests of both ways between two pods, and of two programs, are conversations of their own', async () => {
  const echo = (from: string, src: number, dst: number, id: number, reply = false): [string, Uint8Array] => [
    from,
    icmpEcho({ src, dst, id, sequence: 1, reply }),
  ];
  await setPolicies(cluster, '');
  const { rows } = await replay([
    echo('client', CLIENT, SERVER, 9),
    echo('server', SERVER, CLIENT, 8),
    echo('client', CLIENT, SERVER, 53),
    echo('server', SERVER, CLIENT, 9, true),
    echo('client', CLIENT, SERVER, 8, true),
  ]);
  expect(rows.map(({ source, sourcePort, outcome }) => `${source}:${sourcePort} ${outcome}`)).toEqual([
    'default/client:9 answered',
    'default/server:8 answered',
    'default/client:53 no-answer',
  ]);
});

test('a replay gives back the shared memory it took for packets and events', async () => {
  await setPolicies(cluster, '');
  const { memory } = cluster.agent;
  await replay(connection());
  const before = memory.usedBytes;
  for (let round = 0; round < 5; round++) await replay(connection());
  expect(memory.usedBytes - before).toBeLessThan(5 * 1024);
});

test('a packet whose source is no pod is left out and told', async () => {
  const stranger = udpDatagram({ src: 0x08080808, dst: CLIENT, srcPort: 1, dstPort: 2 });
  const packets = packetsOf([['nobody', stranger]]).map((packet) => ({ ...packet, interfaceName: undefined }));
  const { rows, unreplayed } = await replayConversations(cluster.agent, packets);
  expect(rows).toEqual([]);
  expect(unreplayed).toMatchObject([{ reason: 'its source is no pod of the cluster' }]);
});

test('a capture of which no packet is from a pod cannot be measured', async () => {
  const stranger = udpDatagram({ src: 0x08080808, dst: CLIENT, srcPort: 1, dstPort: 2 });
  const packets = packetsOf([['nobody', stranger]]).map((packet) => ({ ...packet, interfaceName: undefined }));
  const measured = measureThroughput(cluster.agent, packets, { durationMs: 1, workers: 1 });
  await expect(measured).rejects.toMatchObject({ code: 'BAD_INPUT' });
});

test('a pod that sends from an address that is not its own is dropped with 132', async () => {
  await setPolicies(cluster, '');
  const forged = udpDatagram({ src: DNS, dst: SERVER, srcPort: 4000, dstPort: 9000 });
  expect((await replay([['client', forged]])).rows).toMatchObject([{ outcome: 'dropped', dropCode: 132 }]);
});

test('a service without backends drops with 158', async () => {
  await setPolicies(cluster, '');
  const toNobody = { client: pod('client'), server: { address: 0x0a600002, port: 80 }, answering: undefined };
  const player = await playConnection(cluster, { ...toNobody, transport: 'TCP' });
  expect(player.drop?.code).toBe(158);
});

test('what leaves the node is forwarded', async () => {
  await setPolicies(cluster, '');
  const world = { client: pod('client'), server: { address: 0x08080808, port: 443 }, answering: undefined };
  const player = await playConnection(cluster, { ...world, transport: 'TCP' });
  expect(player.first?.kind).toBe('stack');
});

test('a pod that reaches itself through its service is answered whatever policy says', async () => {
  await setPolicies(cluster, allowFrom('server', 'dns'));
  const player = await playConnection(cluster, {
    client: pod('server'),
    server: { address: 0x0a600001, port: 8080 },
    answering: { pod: pod('server'), port: 80 },
    transport: 'TCP',
    request: REQUEST,
    response: RESPONSE,
  });
  expect(player.first?.kind).toBe('delivered');
  expect(player.reached.server).toBe(REQUEST.length);
});

test('a connection that is not HTTP goes through the proxy to nowhere: the proxy answers 400 and closes', async () => {
  await setPolicies(
    cluster,
    `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: http-only }
spec:
  endpointSelector: { matchLabels: { app: server } }
  ingress: [{ toPorts: [{ ports: [{ port: "80", protocol: TCP }], rules: { http: [{ method: GET }] } }] }]
`,
  );
  const player = await playConnection(cluster, {
    client: pod('client'),
    server: { address: SERVER, port: 80 },
    answering: { pod: pod('server'), port: 80 },
    transport: 'TCP',
    request: http('\x16\x03\x01 this is no HTTP\r\n\r\n'),
    response: http('neither is this'),
  });
  expect(new TextDecoder().decode(player.atClient.bytes)).toMatch(/^HTTP\/1\.1 400 /);
  expect(player.reached.server).toBe(0);
});

test('a request that the proxy answers before policy does not shift the answers of those behind it', async () => {
  await setPolicies(
    cluster,
    `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: http-only }
spec:
  endpointSelector: { matchLabels: { app: server } }
  ingress: [{ toPorts: [{ ports: [{ port: "80", protocol: TCP }], rules: { http: [{ path: /b }] } }] }]
`,
  );
  const get = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: server\r\n\r\n`;
  const answer = (body: string): string => `HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n${body}`;
  const packets = synthesize({
    client: pod('client'),
    server: { address: SERVER, port: 80 },
    answering: { pod: pod('server'), port: 80 },
    transport: 'TCP',
    request: http(get('/a%2Fx') + get('/a') + get('/b')),
    response: http(answer('1') + answer('2') + answer('3')),
  });
  const { rows } = await replayConversations(cluster.agent, packets);
  expect(rows.map(({ asked, sees }) => `${asked}: ${sees}`)).toEqual([
    'GET /a%2Fx: HTTP 307',
    'GET /a: HTTP 403 Access denied',
    'GET /b: HTTP 200 3',
  ]);
});
