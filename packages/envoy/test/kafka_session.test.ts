import { afterEach, describe, expect, test } from 'vitest';
import type { SessionSink } from '../src/carrier.ts';
import {
  type AccessLog,
  CompiledPolicy,
  decodeNetworkPolicy,
  encodeNetworkPolicy,
  kafkaRuleToNpds,
} from '../src/index.ts';
import { KafkaSession } from '../src/kafka/session.ts';
import { answer, denial, heartbeat, int, message, metadata, name } from './kafka_bytes.ts';
import { Client, liveProxy, Scope, tcpServer } from './live_support.ts';
import { ALLIANCE, bytes, connection, EMPIRE, NOW, policyOf, text } from './support.ts';

/** The empire may write to `plans`. */
const rule = kafkaRuleToNpds({ role: 'produce', apiKey: '', apiVersion: '', clientID: '', topic: 'plans' });
const POLICY = policyOf(
  [{ name: 'plans', remotePolicies: [EMPIRE], l7Proto: 'kafka', kafkaRules: { kafkaRules: [rule] } }],
  0,
);

function dial(over = {}) {
  const policy = new CompiledPolicy(decodeNetworkPolicy(encodeNetworkPolicy(POLICY)));
  const said: string[] = [];
  const log: string[] = [];
  const sink: SessionSink = {
    logs: true,
    isFull: () => false,
    bytes: (to, value) =>
      said.push(`${to === 'upstream' ? '>' : '<'}${typeof value === 'string' ? value : text(value)}`),
    add: (type) => said.push(type),
    secure: () => {},
    log: (_request, record) => log.push(wordsOf(record)),
  };
  const session = new KafkaSession(connection(over), undefined, () => policy, sink);
  session.open(NOW);
  return {
    client: (value: string) => session.data('downstream', bytes(value), NOW),
    server: (value: string) => session.data('upstream', bytes(value), NOW),
    log,
    /** All that was said since, side by side with what goes the same way. */
    take: () =>
      said.splice(0).reduce<string[]>((all, one) => {
        if (all.at(-1)?.[0] === one[0] && '<>'.includes(one[0]!)) all[all.length - 1] += one.slice(1);
        else all.push(one);
        return all;
      }, []),
  };
}

const wordsOf = (record: AccessLog): string =>
  'apiKey' in record
    ? `${record.entryType} ${record.apiKey} ${record.correlationId} '${record.topic}'`
    : record.entryType;

describe('requests of a Kafka client', () => {
  test('a client that no rule names is reset', () => {
    const { take, log } = dial({ remoteIdentity: ALLIANCE });
    expect(take()).toEqual(['resetDownstream']);
    expect(log).toEqual(['Denied']);
  });

  test('the log has an entry for each topic of a request, and of an answer no more than its number', () => {
    const { client, server, log } = dial();
    client(metadata(1, 'plans') + metadata(2, 'plans', 'secrets') + heartbeat(3));
    for (const byte of answer(1)) server(byte);
    client(message(int(4, 1)));
    expect(log).toEqual([
      "Request metadata 1 'plans'",
      ...["Denied metadata 2 'plans'", "Denied metadata 2 'secrets'", "Denied heartbeat 3 ''"],
      ...["Response produce 1 ''", "Denied produce 0 ''"],
    ]);
  });

  test('an allowed request goes on as it is, a denied one is answered with error 29, and the connection stays', () => {
    const { client, take } = dial();
    client(metadata(1, 'plans') + metadata(2, 'secrets') + metadata(3, 'plans'));
    const [first, second, third] = take();
    expect([first, third]).toEqual([`>${metadata(1, 'plans')}`, `>${metadata(3, 'plans')}`]);
    expect(second).toBe(`<${denial(2, 'secrets')}`);
  });

  test('a denied request that was not read to its end is dropped without an answer', () => {
    const { client, take } = dial();
    client(heartbeat(4));
    expect(take()).toEqual([]);
  });

  test('however its bytes are cut, nothing of a denied request goes on', () => {
    const { client, take } = dial();
    for (const byte of metadata(1, 'secrets') + metadata(2, 'plans')) client(byte);
    expect(take().filter((one) => one.startsWith('>'))).toEqual([`>${metadata(2, 'plans')}`]);
  });

  test("a denial waits for the end of the server's answer under way, also inside its size", () => {
    for (const cut of [2, 4, 9]) {
      const { client, server, take } = dial();
      client(metadata(1, 'plans'));
      take();
      server(answer(1).slice(0, cut));
      client(metadata(2, 'secrets'));
      server(answer(1).slice(cut));
      expect(take()).toEqual([`<${answer(1)}${denial(2, 'secrets')}`]);
    }
  });

  test.each([
    ['HTTP', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['a size beyond all bounds', '\x7f\xff\xff\xff\0\x03\0\x01'],
    ['a request that is shorter than its header', message(int(4, 1))],
    ['a list that goes beyond its end', message(int(2, 3), int(2, 1), int(4, 1), name('c'), int(4, 1000))],
  ])('%s ends the connection, and nothing goes on', (_what, value) => {
    const { client, take } = dial();
    client(value);
    expect(take()).toEqual(['closeDownstream']);
  });
});

describe('on sockets', () => {
  const scope = new Scope();
  afterEach(() => scope.close());

  test('a broker behind the proxy gets what is allowed', async () => {
    let got = '';
    const server = await tcpServer(scope, (socket) => {
      socket.on('data', (part) => {
        got += part.toString('latin1');
        socket.write(answer(1), 'latin1');
      });
    });
    const { port } = await liveProxy(scope, [POLICY], {}, 'kafka');
    const client = new Client(scope, port, server).send(metadata(2, 'secrets') + metadata(1, 'plans'));
    expect(await client.until(/from the server/)).toBe(denial(2, 'secrets') + answer(1));
    expect(got).toBe(metadata(1, 'plans'));
  });
});
