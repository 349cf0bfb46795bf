import { fileURLToPath } from 'node:url';
import { Agent, type Endpoint } from '@ciliate/agent';
import { cilFromContainer, Datapath, Skb, type Step } from '@ciliate/bpf';
import { loadObjects, ObjectStore } from '@ciliate/k8s';
import { EventRing } from '@ciliate/maps';
import { openCapture, parseFrame } from '@ciliate/packet';
import {
  measureThroughput,
  playTrace,
  type Row,
  replayConversations,
  TcpPlayer,
  type TracePacket,
} from '@ciliate/replay';
import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';

/** What the recorded capture becomes under each policy, row by row and byte by byte. */
const FOLDER = fileURLToPath(new URL('../examples/deathstar/', import.meta.url));

const agents: Agent[] = [];
afterEach(async () => {
  await Promise.all(agents.splice(0).map((agent) => agent.stop()));
});

async function agentWith(policies: string[], seed = 1): Promise<Agent> {
  const store = new ObjectStore();
  for (const object of loadObjects([FOLDER, ...policies.map((name) => `${FOLDER}policies/${name}`)]))
    store.apply(object);
  const agent = await Agent.start({ store, seed, log: pino({ level: 'silent' }) });
  agents.push(agent);
  return agent;
}

function capture(): TracePacket[] {
  const opened = openCapture(`${FOLDER}deathstar.pcapng`);
  return [...opened].map(({ number, timestampNs, data, interfaceId }) => ({
    number,
    timestampNs,
    data,
    interfaceName: opened.interfaces[interfaceId]?.name,
  }));
}

const requests = (rows: readonly Row[]): Row[] => rows.filter(({ destination }) => destination.includes('deathstar'));
const count = (rows: readonly Row[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const { source, outcome } of rows) counts[`${source} ${outcome}`] = (counts[`${source} ${outcome}`] ?? 0) + 1;
  return counts;
};

test('without policy every request and every lookup is answered', async () => {
  const { rows, unreplayed } = await replayConversations(await agentWith([]), capture());
  expect(rows).toHaveLength(27);
  expect(new Set(rows.map(({ outcome }) => outcome))).toEqual(new Set(['answered']));
  expect(unreplayed).toEqual([]);
});

test('under the L4 policy the xwing times out with 133 and the exhaust port is answered', async () => {
  const { rows } = await replayConversations(await agentWith(['l4.yaml']), capture());
  expect(count(requests(rows))).toEqual({ 'default/tiefighter answered': 11, 'default/xwing dropped': 5 });
  const exhaust = rows.find(({ source, asked }) => source === 'default/tiefighter' && asked === 'PUT /v1/exhaust-port');
  expect(exhaust?.sees).toBe('HTTP 503 Panic: deathstar exploded');
  const dropped = rows.filter(({ outcome }) => outcome === 'dropped');
  expect(new Set(dropped.map(({ dropCode, sees }) => `${dropCode} ${sees}`))).toEqual(new Set(['133 time-out']));
});

test('under the L7 policy POST request-landing is answered, everything else of the tiefighter gets 403', async () => {
  const { rows } = await replayConversations(await agentWith(['l7.yaml']), capture());
  const wanted = { 'default/tiefighter answered': 6, 'default/tiefighter http-403': 5, 'default/xwing dropped': 5 };
  expect(count(requests(rows))).toEqual(wanted);
  for (const { source, asked, outcome, sees } of requests(rows))
    if (source === 'default/tiefighter')
      expect([outcome, sees]).toEqual(
        asked === 'POST /v1/request-landing'
          ? ['answered', 'HTTP 200 Ship landed']
          : ['http-403', 'HTTP 403 Access denied'],
      );
});

test("a denied client's data is never taken for a reply, as it is when each packet is judged as it stands", async () => {
  const agent = await agentWith(['l4.yaml']);
  const packets = capture();
  const xwing = agent.endpointOfPod('xwing')!;
  const naive = judgeEach(agent, packets, xwing);
  expect(naive.dataDelivered).toBeGreaterThan(0); // after the server's recorded SYN-ACK, conntrack takes it for a reply
  agent.flushConntrack();

  const { players, flows } = await playTrace(agent, packets);
  const denied = players.filter(
    (player): player is TcpPlayer =>
      player instanceof TcpPlayer && player.conversation.client.address === xwing.address,
  );
  expect(denied).toHaveLength(5);
  for (const player of denied) {
    expect(player.drop?.code).toBe(133);
    expect(player.reached).toEqual({ proxy: 0, server: 0 });
    expect(player.atClient.isn).toBeUndefined();
  }
  const ofXwing = flows.filter(
    ({ source, destination, l4 }) => l4?.protocol === 'TCP' && [source.podName, destination.podName].includes('xwing'),
  );
  expect(ofXwing.filter(({ isReply }) => isReply)).toEqual([]);
  expect(new Set(ofXwing.map(({ summary }) => summary))).toEqual(new Set(['TCP Flags: SYN']));
});

/** Mode packets: every recorded packet through the programs, whatever became of the ones before. */
function judgeEach(agent: Agent, packets: readonly TracePacket[], client: Endpoint): { dataDelivered: number } {
  const { memory, seed } = agent;
  const steps: Step[] = [];
  const datapath = new Datapath(memory, { shard: 0, events: EventRing.create(memory, 65_536), seed });
  datapath.steps = steps;
  const skb = new Skb(memory);
  let dataDelivered = 0;
  for (const { data, timestampNs, interfaceName } of packets) {
    const pod = agent.endpointOfPod(interfaceName!)!;
    memory.nowNs = timestampNs;
    skb.load(data, pod.ifindex);
    steps.length = 0;
    cilFromContainer(datapath, datapath.program(pod.id)!, skb);
    const { tcp, payload } = parseFrame(data);
    const asReply = steps.some((step) => step.kind === 'conntrack' && step.status === 'reply');
    const delivered = steps.some(({ kind }) => kind === 'to-endpoint');
    if (pod.id === client.id && tcp !== undefined && payload.length > 0 && asReply && delivered) dataDelivered++;
  }
  return { dataDelivered };
}

test('where the proxy ends the connection, sequence numbers are its own and the server answers once per request', async () => {
  const { players } = await playTrace(await agentWith(['l7.yaml']), capture());
  const proxied = players.filter(
    (player): player is TcpPlayer => player instanceof TcpPlayer && player.proxied !== undefined,
  );
  expect(proxied).toHaveLength(8);
  for (const player of proxied) {
    expect(player.atClient.isn).toBeDefined();
    expect(player.atClient.isn).not.toBe(player.conversation.streams.server.isn);
    const types = player.proxied!.log.map(({ record }) => record.entryType);
    const passed = types.filter((type) => type === 'Request').length;
    const responses = types.filter((type) => type === 'Response').length;
    expect(responses).toBe(player.exchanges.length);
    expect(player.reached.server > 0).toBe(passed > 0);
    const seen = new TextDecoder().decode(player.atClient.bytes);
    expect(seen.match(/Ship landed/g) ?? []).toHaveLength(passed);
  }
});

test('a request that is split over two segments is judged whole', async () => {
  const { players } = await playTrace(await agentWith(['l7.yaml']), capture());
  const split = players.filter(
    (player): player is TcpPlayer =>
      player instanceof TcpPlayer &&
      player.exchanges.length === 1 &&
      player.conversation.packets.filter(({ from, packet }) => from === 'client' && packet.parsed.payload.length > 0)
        .length === 2,
  );
  expect(split).toHaveLength(1);
  expect(split[0]!.proxied!.log.map(({ record }) => record.entryType)).toEqual(['Request', 'Response']);
});

test('the backend is the one the emulator chose, and the client still sees the service', async () => {
  const { players } = await playTrace(await agentWith([], 7), capture());
  const direct = players.filter((player): player is TcpPlayer => player instanceof TcpPlayer);
  const recorded = direct.map(
    ({ conversation }) => conversation.packets.find(({ from }) => from === 'server')!.packet.sender!.address,
  );
  expect(direct.some((player, index) => player.backend!.address !== recorded[index])).toBe(true);
  for (const player of direct)
    expect(player.atClient.bytes.length).toBe(player.conversation.streams.server.bytes.length);
});

test('the same seed gives the same rows and flows, another one other choices', async () => {
  const run = async (seed: number): Promise<string> => {
    const { rows, flows } = await replayConversations(await agentWith(['l7.yaml'], seed), capture());
    return JSON.stringify([rows, flows], (_key, value) => (typeof value === 'bigint' ? `${value}` : value));
  };
  const first = await run(3);
  expect(await run(3)).toBe(first);
  expect(await run(4)).not.toBe(first);
});

test('throughput: one worker and two give the same verdicts on the shared maps', async () => {
  const agent = await agentWith(['l7.yaml']);
  const result = await measureThroughput(agent, capture(), { durationMs: 40, workers: 2 });
  expect(result.packets.packets).toBe(160);
  expect(result.lookups.questions).toBeGreaterThan(100);
  expect(result.lookups.parallel.workers).toBe(2);
  for (const { perSecond } of [result.lookups.single, result.packets.single, result.packets.parallel])
    expect(perSecond).toBeGreaterThan(0);
});
