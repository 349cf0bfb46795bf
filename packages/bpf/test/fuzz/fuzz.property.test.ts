import { IPPROTO_TCP } from '@ciliate/packet';
import { describe, expect, test } from 'vitest';
import type { PacketInput, Scenario } from '../../src/conformance/scenario.ts';
import { cilToHost, type Skb } from '../../src/index.ts';
import { withHostFirewall } from '../host_firewall.ts';
import { fuzzRuns, Random } from '../random.ts';
import { scenarios } from '../scenarios.ts';
import { frameOf, packetsOf, randomInput, withFrame } from './mutate.ts';
import { Twins } from './twins.ts';

/**
 * Any bytes in, a verdict out: no exception, no byte read or written outside of the packet. CILIATE_FUZZ_RUNS sets the
 * number of packets; a failure prints the packets that led to it, and the seed brings it back.
 */
const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
console.log(`seed ${seed}`);

/** One scenario of each configuration and family, the first that has the most hooks. */
const recordedOnes = [
  ...Map.groupBy(scenarios, ({ config, name }) => `${config.name} ${name.endsWith('v6')}`).values(),
].map((group) => group.reduce((best, one) => (hooksOf(one) > hooksOf(best) ? one : best)));

/** The host firewall is in no recording. */
const withFirewall = ['masq-v4', 'rnd-0088-eproutes', 'tcp-local-native-v4', 'verdicts-kubeproxy-vxlan-v4'].map(
  (name) =>
    withHostFirewall(name, [
      { protocol: IPPROTO_TCP, port: 80 },
      { egress: true, protocol: IPPROTO_TCP, proxyPort: 10_000 },
    ]),
);
const chosen = [...recordedOnes, ...withFirewall];

function hooksOf(scenario: Scenario): number {
  return new Set(packetsOf(scenario).map(({ hook }) => hook)).size;
}

/** Sends and says, where something is wrong, what was sent. */
function send(twins: Twins, input: PacketInput): number {
  try {
    return twins.send(input);
  } catch (cause) {
    throw new Error(`${JSON.stringify({ ...input, expect: undefined })}: ${(cause as Error).message}`, { cause });
  }
}

const EVERY = 500;

describe.each(chosen.map((scenario, n) => [`${scenario.config.name}: ${scenario.name}`, scenario, n] as const))(
  '%s',
  (_, scenario, n) => {
    test('any bytes at any hook get a verdict, and nothing around them is read or written', () => {
      const random = new Random(seed + n);
      const recorded = packetsOf(scenario);
      const twins = new Twins(scenario);
      const seen = new Set<number>();
      const count = Math.ceil(fuzzRuns / chosen.length);
      for (let i = 0; i < count; i++) {
        if (random.oneIn(20)) twins.advance(random.of([1, 6, 61, 8001]));
        seen.add(send(twins, randomInput(random, scenario, recorded)));
        if (i % EVERY === 0) twins.compareMemories();
      }
      twins.compareMemories();
      expect(seen.size).toBeGreaterThan(1);
    });

    test('a packet that ends at any byte gets a verdict', () => {
      const twins = new Twins(scenario);
      for (const step of scenario.steps) {
        if (step.op === 'advance_clock') twins.advance(step.seconds);
        else if (step.op === 'map_set') twins.set(step.map, step.key_hex, step.value_hex);
        else if (step.op === 'map_delete') twins.delete(step.map, step.key_hex);
        else {
          const frame = frameOf(step);
          for (let length = 0; length <= frame.length; length++)
            send(twins, withFrame(step, frame.subarray(0, length)));
        }
      }
      twins.compareMemories();
    });
  },
);

test.each(withFirewall)('any bytes on their way to the node get a verdict, $name', (scenario) => {
  const random = new Random(seed);
  const recorded = packetsOf(scenario);
  const twins = new Twins(scenario, ({ datapath, skb }, input) => {
    skb.load(frameOf(input), input.ifindex, input.mark);
    return cilToHost(datapath, skb);
  });
  for (let i = 0; i < fuzzRuns / 50; i++) send(twins, randomInput(random, scenario, recorded));
  twins.compareMemories();
});

test('the sample reaches policy, services, NAT, proxies and tunnels', () => {
  expect(chosen.length).toBeGreaterThan(20);
  expect(new Set(chosen.flatMap(packetsOf).map(({ hook }) => hook)).size).toBe(7);
});

const faults: [name: string, fault: (skb: Skb) => number, want: RegExp][] = [
  ['reads behind', ({ memory, data, len }) => (memory.u8[data + len] === 0 ? 0 : 2), /what lies around/],
  ['reads in front of', ({ memory, data }) => (memory.u8[data - 1] === 0 ? 0 : 2), /what lies around/],
  ['writes behind', ({ memory, data, len }) => memory.u8.fill(1, data + len, data + len + 1)[0]! & 2, /between 60 and/],
  ['writes in front of', ({ memory, data }) => memory.u8.fill(1, data - 1, data)[0]! & 2, /and 0$/],
  ['has no verdict for', () => -134, /no verdict/],
];

test.each(faults)('a program that %s its packet is found out', (_, fault, want) => {
  const twins = new Twins(scenarios[0]!, ({ skb }, input) => {
    skb.load(frameOf(input), input.ifindex);
    return fault(skb);
  });
  expect(() => twins.send(withFrame(packetsOf(scenarios[0]!)[0]!, new Uint8Array(60)))).toThrow(want);
});

test('a program that copies what lies behind its packet into a map is found out', () => {
  const twins = new Twins(scenarios[0]!, ({ datapath, skb }, input) => {
    skb.load(frameOf(input), input.ifindex);
    skb.memory.u8[datapath.stack.matchKey] = skb.memory.u8[skb.data + skb.len]!;
    return 0;
  });
  twins.send(withFrame(packetsOf(scenarios[0]!)[0]!, new Uint8Array(60)));
  expect(() => twins.compareMemories()).toThrow('the memories differ');
});
