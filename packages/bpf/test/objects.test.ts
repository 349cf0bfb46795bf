import { existsSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { loadObject } from '@ciliate/vm';
import { expect, test } from 'vitest';
import type { PacketInput, Step } from '../src/conformance/scenario.ts';
import { type CiliumObjects, runScenarioWithObjects, type Scenario } from '../src/index.ts';

const SCENARIOS: Scenario[] = gunzipSync(readFileSync(new URL('fixtures/scenarios.jsonl.gz', import.meta.url)))
  .toString()
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line));

const own = loadObject(
  readFileSync(new URL('../../vm/test/fixtures/datapath.bpf.o', import.meta.url)),
  'datapath.bpf.o',
);
const OWN: CiliumObjects = { lxc: own, host: own, overlay: own };
const PACKET = `020000000001020000000002${'0800'}${'00'.repeat(50)}`;
const TO_NODE2 = `020000000205${PACKET.slice(12)}`;

const packet = (input: Partial<PacketInput>): Step => ({
  ...{
    op: 'packet',
    hook: 'from-container',
    endpoint: 101,
    ifindex: 11,
    ingress_ifindex: 0,
    mark: 0,
    cb: [0, 0, 0, 0, 0],
  },
  ...{ packet_hex: PACKET, ...input },
  expect: {
    ...{ ret: 0, packet_hex_out: '', mark_out: 0, events: [], signals: [], ct: [], metrics_by_reason_dir: [] },
    policy_stats: [],
  },
});

const rows: [sentence: string, input: Partial<PacketInput>, outcome: Record<string, string>][] = [
  [
    'variables of the endpoint, an event without its place in the sources, a redirect',
    {},
    {
      ret: '7',
      ...{ packet: PACKET, mark: '10001', redirect: 'redirect to 11, flags 0, tc_index 0' },
      'events[0]': `010b${'00'.repeat(25)}0900000009`,
    },
  ],
  [
    'the policy program of the endpoint by tail call; counters of two lines are one',
    { hook: 'to-container' },
    { ret: '2', 'metrics reason 133 dir 1': '2 packets, 128 bytes' },
  ],
  [
    'a route of the node, and its neighbour',
    { hook: 'from-netdev' },
    { ret: '7', packet: TO_NODE2, mark: '0', redirect: 'redirect_neigh to 5, flags 0, tc_index 0' },
  ],
  [
    'a tunnel key and a packet type that a program sets',
    { hook: 'to-netdev', mark: 5 },
    { ret: '0', packet: PACKET, mark: '5', tunnel_key: '1 to 0200000a000000000000000000000000', change_type: '3' },
  ],
  [
    'the tunnel key that a packet came with',
    { hook: 'from-overlay', tunnel_key_in: { tunnel_id: 3 } },
    { ret: '0', packet: PACKET, mark: '3' },
  ],
  ['no tunnel key', { hook: 'from-overlay' }, { ret: '0', packet: PACKET, mark: '7' }],
];

test.each(rows)('a program sees %s', (_sentence, input, outcome) => {
  const scenario = {
    ...(SCENARIOS.find(({ name }) => name === 'tcp-local-native-v4') ?? SCENARIOS[0]!),
    steps: [packet(input)],
  };
  delete scenario.acceptable_runs;
  const [result] = runScenarioWithObjects(scenario, OWN);
  expect(result!.actual).toEqual(outcome);
  expect(result!.agrees).toBe(false); // with what the row does not expect
});

test('an object without a program for the hook is refused by name', () => {
  const scenario = { ...SCENARIOS[0]!, steps: [packet({ hook: 'from-host' })] };
  expect(() => runScenarioWithObjects(scenario, OWN)).toThrow('datapath.bpf.o: no program cil_from_host');
});

const folder = process.env.CILIATE_CILIUM_OBJECTS;
if (folder === undefined) console.log("skipped: Cilium's own objects, without CILIATE_CILIUM_OBJECTS");
else {
  const read = (path: string) => (existsSync(path) ? loadObject(readFileSync(path), path) : undefined);
  const configurations = [...new Set(SCENARIOS.map(({ config }) => config.name))];
  test.each(configurations)(
    "Cilium's own objects of %s leave what was recorded",
    (name) => {
      const [lxc, host, overlay] = ['lxc', 'host', 'overlay'].map((of) => read(`${folder}/${name}/bpf_${of}.o`));
      const objects: CiliumObjects = { lxc: lxc!, host: host!, ...(overlay === undefined ? {} : { overlay }) };
      for (const scenario of SCENARIOS.filter(({ config }) => config.name === name))
        for (const { index, expected, actual, agrees } of runScenarioWithObjects(scenario, objects))
          if (!agrees) expect({ scenario: scenario.name, index, ...actual }).toEqual({ ...expected });
    },
    120_000,
  );
}
