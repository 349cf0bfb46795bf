import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LiveCluster } from '@ciliate/live';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { answer, denial, heartbeat, metadata } from '../packages/envoy/test/kafka_bytes.ts';
import { playConnection, startCluster } from './cluster.ts';
import { podYaml } from './law.ts';
import { ROOT, startLive } from './live.ts';
import { PodSocket, toldOf } from './socks.ts';

/** Clients that speak Kafka's wire, through the datapath and the proxy, to a broker that is a command of the user's. */
const GOT = join(mkdtempSync(join(tmpdir(), 'ciliate-')), 'got');
const BROKER = `GOT=${GOT} exec ${process.execPath} ${ROOT}test/fixtures/kafka_broker.ts`;
const PODS =
  podYaml('ship', '10.0.0.1', { app: 'ship' }) +
  podYaml('trader', '10.0.0.2', { app: 'trader' }) +
  podYaml('xwing', '10.0.0.3', { app: 'xwing' }) +
  podYaml('kafka', '10.0.0.9', { app: 'kafka' }, `ciliate.io/server: command:9092, ciliate.io/command: ${BROKER}`);
const POLICY = `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: kafka }
spec:
  endpointSelector: { matchLabels: { app: kafka } }
  ingress:
    - fromEndpoints: [{ matchLabels: { app: ship } }]
      toPorts: [{ ports: [{ port: "9092", protocol: TCP }], rules: { kafka: [{ role: produce, topic: plans }] } }]
    - fromEndpoints: [{ matchLabels: { app: trader } }]
      toPorts: [{ ports: [{ port: "9092", protocol: TCP }], rules: { kafka: [{ topic: goods }] } }]
`;

let cluster: LiveCluster;
beforeAll(async () => {
  cluster = await startLive([], PODS + POLICY);
});
afterAll(() => cluster.stop());

const dial = (pod: string): PodSocket => new PodSocket(cluster, pod, '10.0.0.9', 9092);
const ends = (text: string): RegExp => new RegExp(`${text.replace(/[^\w]/g, (char) => `\\x${hex(char)}`)}$`);
const hex = (char: string): string => char.charCodeAt(0).toString(16).padStart(2, '0');

test('what a topic rule allows reaches the broker, what it denies is answered with error 29, and both are in the flow log', async () => {
  const before = cluster.flows.count;
  const ship = dial('ship').send(metadata(1, 'plans'));
  await ship.until(ends(answer(1, 'from the broker')));
  ship.send(metadata(2, 'goods'));
  await ship.until(ends(denial(2, 'goods')));
  ship.send(heartbeat(3) + metadata(4, 'plans'));
  expect(await ship.until(ends(answer(4, 'from the broker')))).toBe(
    answer(1, 'from the broker') + denial(2, 'goods') + answer(4, 'from the broker'),
  );
  ship.close();
  const trader = dial('trader').send(metadata(5, 'plans'));
  expect(await trader.until(ends(denial(5, 'plans')))).toBe(denial(5, 'plans'));
  trader.close();

  const got = readFileSync(GOT, 'latin1').trim().split('\n');
  expect(got).toEqual(
    [metadata(1, 'plans'), metadata(4, 'plans')].map((one) => Buffer.from(one, 'latin1').toString('hex')),
  );
  await toldOf(cluster, before, /correlation id 5/);
  const log = cluster.flows.since(before).filter((line) => line.includes('kafka-'));
  expect(log.map((line) => line.replace(/^.*?default/, 'default').replace(/:\d+ \(ID:\d+\)/g, ''))).toEqual([
    "default/ship -> default/kafka kafka-request FORWARDED (Kafka request metadata correlation id 1 topic 'plans')",
    "default/ship <- default/kafka kafka-response FORWARDED (Kafka response produce correlation id 1 topic '' return code 0)",
    "default/ship -> default/kafka kafka-request DROPPED (Kafka request metadata correlation id 2 topic 'goods')",
    "default/ship -> default/kafka kafka-request DROPPED (Kafka request heartbeat correlation id 3 topic '')",
    "default/ship -> default/kafka kafka-request FORWARDED (Kafka request metadata correlation id 4 topic 'plans')",
    "default/ship <- default/kafka kafka-response FORWARDED (Kafka response produce correlation id 4 topic '' return code 0)",
    "default/trader -> default/kafka kafka-request DROPPED (Kafka request metadata correlation id 5 topic 'plans')",
  ]);
});

test('what is no Kafka ends the connection; whom no rule names is dropped', async () => {
  const before = cluster.flows.count;
  await dial('ship').send('GET / HTTP/1.1\r\nHost: a\r\n\r\n').until('closed');
  const xwing = dial('xwing');
  expect(await toldOf(cluster, before, /xwing.*DROPPED/)).toContain('Policy denied DROPPED (TCP Flags: SYN)');
  expect(xwing.connected).toBe(false);
  xwing.close();
});

test('a capture of such a connection is refused by name: only live brokers answer', async () => {
  const replayed = await startCluster(PODS + POLICY);
  try {
    const [client, pod] = ['ship', 'kafka'].map((name) => replayed.agent.endpointOfPod(name)!);
    const question = { server: { address: pod!.address, port: 9092 }, answering: { pod: pod!, port: 9092 } } as const;
    await expect(playConnection(replayed, { client: client!, transport: 'TCP', ...question })).rejects.toMatchObject({
      code: 'BAD_INPUT',
      message: expect.stringContaining('default/ship speaks Kafka through the proxy'),
    });
  } finally {
    await replayed.agent.stop();
  }
});
