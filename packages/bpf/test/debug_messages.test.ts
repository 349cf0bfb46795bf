import { expect, test } from 'vitest';
import { cilFromContainer, runScenario, type Step, World } from '../src/index.ts';
import { address, build, icmp } from './frames.ts';
import { scenarios } from './scenarios.ts';

/** Numbers of bpf/lib/dbg.h that the rows are about, and DBG_CAPTURE_DELIVERY as -4. Arguments in hex, as they lie in the struct. */
const rows: [sentence: string, scenario: string, packet: number, messages: string[]][] = [
  ['a slot of a service is looked up: slot, port', 'svc-random-2be-v4', 0, ['32 2 5000 0']],
  ['of an IPv6 service by a number of its own', 'svc-affinity-vxlan-v6', 0, ['24 1 5000 0']],
  [
    'an answer is written back: id, then address and port',
    'svc-stale-entry-v6',
    4,
    ['28 3d00 0 0', '29 61000000 901f 0'],
  ],
  [
    'a pod that is its own backend: which source for which',
    'svc-loopback-v4only',
    0,
    ['32 1 5000 0', '38 b01f40a 12afea9 0'],
  ],
  [
    'and in its answer the other way round',
    'svc-loopback-v4only',
    1,
    ['36 1400 0 0', '37 1400600a 5000 0', '39 12afea9 b01f40a 0'],
  ],
  ['the L7 load balancer: client, service, proxy port', 'svc-l7lb-v4', 0, ['65 b01f40a 5a00600a 3a98']],
  ['a packet without a hop left is answered to its device', 'ttl-native-v6', 0, ['14 0 0 0', '-4 b']],
];

test.each(rows)('%s', (_sentence, name, packet, messages) => {
  const steps: Step[] = [];
  runScenario(scenarios.find((one) => one.name === name)!, ({ datapath }, at) => {
    datapath.steps = at === packet ? steps : null;
  });
  expect(texts(steps)).toEqual(messages);
});

test('a neighbour solicitation: its type, the end of the target, and the answer', () => {
  const { datapath, skb } = new World(scenarios.find(({ name }) => name === 'ttl-native-v6')!);
  const program = datapath.program(101)!;
  const router = address('fd00:10:244:1::fe');
  const l4 = icmp(135, 0, 0, router);
  skb.load(build({ src: address('fd00:10:244:1::b'), dst: router, protocol: 1, l4 }), program.ifindex);
  const steps: Step[] = [];
  datapath.steps = steps;
  cilFromContainer(datapath, program, skb);
  expect(texts(steps)).toEqual(['11 87 0 0', '13 0 fe000000 0', `-4 ${program.ifindex.toString(16)}`]);
});

const OTHERS = [15, 16];

/** Without those that tell of conntrack, policy and delivery between pods. */
function texts(steps: readonly Step[]): string[] {
  const hex = (value: number): string => value.toString(16);
  return steps.flatMap((step) => {
    if (step.kind === 'debug-capture') return step.subType === 4 && step.arg1 > 0 ? [`-4 ${hex(step.arg1)}`] : [];
    if (step.kind !== 'debug' || step.subType < 11 || OTHERS.includes(step.subType)) return [];
    if (step.subType > 39 && step.subType < 65) return [];
    return [`${step.subType} ${hex(step.arg1)} ${hex(step.arg2)} ${hex(step.arg3)}`];
  });
}
