import { IPPROTO_TCP, TCP_SYN, tcpSegment } from '@ciliate/packet';
import { expect, test } from 'vitest';
import { cilFromContainer, DebugNotifications, runScenario, type Step, World } from '../src/index.ts';
import { differences, scenarios } from './scenarios.ts';

const hex = (bytes: Uint8Array | undefined): string | undefined => bytes && Buffer.from(bytes).toString('hex');

/** One of each configuration, and one of each family where there are two. */
const sample = [...new Map(scenarios.map((one) => [`${one.config.name} ${one.name.slice(-2)}`, one])).values()];

test.each(sample.map((scenario) => [scenario.name, scenario] as const))(
  'whoever watches the steps changes nothing: %s',
  (_name, scenario) => {
    const steps: Step[] = [];
    const results = runScenario(scenario, ({ datapath }) => {
      datapath.steps = steps;
    });
    expect(results.filter(({ agrees }) => !agrees).flatMap(differences)).toEqual([]);
    expect(steps.length).toBeGreaterThan(0);
  },
);

/** The first packet of a connection from a pod to another one on its node, which policy allows. */
const scenario = scenarios.find(({ name }) => name === 'tcp-local-native-v4')!;
const SYN = tcpSegment({ src: 0x0af4010b, dst: 0x0af4010c, srcPort: 40_000, dstPort: 80, seq: 1, flags: TCP_SYN });

function firstPacket(prepare: (world: World) => void): World {
  const world = new World(scenario);
  world.memory.nowNs = 100_000_000_000_000n;
  const client = world.datapath.program(101)!;
  world.skb.load(SYN, client.ifindex);
  prepare(world);
  cilFromContainer(world.datapath, client, world.skb);
  return world;
}

test('a new connection: what was looked up, in order, and what was written', () => {
  const steps: Step[] = [];
  firstPacket(({ datapath }) => {
    datapath.steps = steps;
  });
  const accesses = steps.flatMap((step) =>
    step.kind === 'map'
      ? [`${step.access} ${step.map} ${hex(step.key)}${step.value === undefined ? '' : ' found'}`]
      : [],
  );
  expect(accesses).toEqual([
    'lookup cilium_lb4_services_v2 0af4010c0050000000000000',
    'lookup cilium_ct4_global 0af4010c0af4010b9c4000500601',
    'lookup cilium_ct4_global 0af4010b0af4010c00509c400600',
    'lookup cilium_ipcache_v2 40000000000000010af4010c000000000000000000000000 found',
    'lookup cilium_policy_v2_00101 400000001227000001060050 found',
    'lookup cilium_policy_v2_00101 400000000000000001060050',
    'update cilium_ct_any4_global 0af4010b0af4010c000000000102 found',
    'update cilium_ct4_global 0af4010b0af4010c00509c400600 found',
    'lookup cilium_lxc 0af4010c00000000000000000000000001000000 found',
    'lookup cilium_ct4_global 0af4010c0af4010b9c4000500600',
    'lookup cilium_ct4_global 0af4010b0af4010c00509c400601',
    'lookup cilium_policy_v2_00102 400000001127000000060050 found',
    'lookup cilium_policy_v2_00102 400000000000000000060050',
    'update cilium_ct_any4_global 0af4010b0af4010c000000000103 found',
    'update cilium_ct4_global 0af4010b0af4010c00509c400601 found',
  ]);
});

test('a trie answers with the key of the longest prefix, other maps with none', () => {
  const steps: Step[] = [];
  firstPacket(({ datapath }) => {
    datapath.steps = steps;
  });
  const found = steps.filter((step) => step.kind === 'map' && step.access === 'lookup' && step.value !== undefined);
  for (const step of found) {
    if (step.kind !== 'map') continue;
    const isTrie = /ipcache|policy/.test(step.map);
    expect([step.map, step.matched !== undefined]).toEqual([step.map, isTrie]);
  }
  const policy = found.find((step) => step.kind === 'map' && step.map === 'cilium_policy_v2_00101');
  expect(policy).toMatchObject({ matched: Uint8Array.from(Buffer.from('400000001227000001060050', 'hex')) });
});

/** Of the sender's program; struct debug_msg: 02, message, source le16, hash, three arguments le32. */
const messages: [name: string, bytes: string][] = [
  ['conntrack looks up: addresses, and both ports in one word', '0230 6500 00000000 0af4010b 0af4010c 409c5000'],
  ['protocol and flags, the direction, and that both are meant', '0231 6500 00000000 01060000 00000000 02000000'],
  ['it is new', '020f 6500 00000000 00000000 00000000 00000000'],
  ['the ipcache knows the destination', '023a 6500 00000000 0af4010c 12270000 00000000'],
  [
    'an entry for the identity allows it: identities, port and protocol',
    '0237 6500 00000000 12270000 11270000 06000050',
  ],
  ['a conntrack entry is made', '0232 6500 00000000 00000000 11270000 00000000'],
  ['it goes to a pod here', '0202 6500 00000000 66000000 11270000 00000000'],
];

test('DebugNotifications sends the messages of DEBUG between the other notifications, byte for byte', () => {
  const world = firstPacket(({ datapath, skb }) => {
    const notifications = new DebugNotifications(datapath, skb);
    notifications.source = 101;
    datapath.steps = notifications;
  });
  const events: string[] = [];
  world.events.drain((event) => void events.push(hex(event)!));
  const ofSender = events.filter((event) => event.startsWith('02') && event.slice(4, 8) === '6500');
  expect(ofSender).toEqual(messages.map(([, bytes]) => bytes.replaceAll(' ', '')));
  const types = events.map((event) => Number.parseInt(event.slice(0, 2), 16));
  expect(types.filter((type) => type !== 2)).toEqual([5, 5, 4]); // two verdicts and a trace, as without DEBUG
  expect(types.indexOf(5)).toBeGreaterThan(0);
});

test('without DEBUG there are no such messages', () => {
  const world = firstPacket(() => {});
  const types: number[] = [];
  world.events.drain((event) => void types.push(event[0]!));
  expect(types).toEqual([5, 5, 4]);
});

test('a policy step names protocol and port as they were asked', () => {
  const steps: Step[] = [];
  firstPacket(({ datapath }) => {
    datapath.steps = steps;
  });
  const asked = steps.filter((step) => step.kind === 'policy');
  expect(asked.map(({ direction, protocol, dport }) => [direction, protocol, dport])).toEqual([
    ['egress', IPPROTO_TCP, 80],
    ['ingress', IPPROTO_TCP, 80],
  ]);
});
