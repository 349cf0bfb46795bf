import { expect, test } from 'vitest';
import type { PacketInput } from '../src/conformance/scenario.ts';
import { cilFromOverlay, World } from '../src/index.ts';
import { scenarios } from './scenarios.ts';

/**
 * Who sent a packet that arrives in the tunnel: the VNI says so, or the ipcache, for the first packet of a flow and for one
 * of a known connection, which goes another way (lib/known.ts). Source: bpf/bpf_overlay.c.
 */
const VNI = 10003;
const IPCACHE = 20001;
const REMOTE_NODE = 6;
const MARK_MAGIC_DECRYPT = 0x0d00;
const CILIUM_NOTIFY_TRACE = 4;
const [TRACE_FROM_STACK, TRACE_FROM_OVERLAY] = [8, 9];
/** Of traces, drops and policy verdicts: who sent the packet, as an identity. */
const SOURCE_LABEL = 16;

const senders: [name: string, mark: number, vni: number | undefined, point: number, traced: number, judged: number][] =
  [
    ['in a tunnel is of whom the VNI names', 0, VNI, TRACE_FROM_OVERLAY, VNI, VNI],
    [
      'in a tunnel of another node is of whom the ipcache names',
      0,
      REMOTE_NODE,
      TRACE_FROM_OVERLAY,
      REMOTE_NODE,
      IPCACHE,
    ],
    [
      'that the kernel decrypted has no VNI: it comes from the stack, and is of whom the ipcache names',
      MARK_MAGIC_DECRYPT,
      undefined,
      TRACE_FROM_STACK,
      0,
      IPCACHE,
    ],
  ];

const flows: [name: string, scenario: string, isKnown: boolean][] = [
  ['ICMP', 'icmp-vxlan-noagg-v4', false],
  ['ICMPv6', 'icmp-vxlan-noagg-v6', false],
  ['TCP of a known connection', 'tunnel-vxlan-noagg-v4', true],
  ['TCP of a known connection, IPv6', 'tunnel-vxlan-noagg-v6', true],
];

function send({ datapath, skb }: World, packet: PacketInput, mark: number, vni: number | undefined): void {
  skb.load(Buffer.from(packet.packet_hex, 'hex'), packet.ifindex, mark);
  skb.tunnelIdIn = vni;
  cilFromOverlay(datapath, skb);
}

const rows = flows.flatMap(([flow, ...scenario]) =>
  senders.map(([sentence, ...sender]) => [`${flow}: a packet ${sentence}`, ...scenario, ...sender] as const),
);

test.each(rows)('%s', (_, wanted, isKnown, mark, vni, point, traced, judged) => {
  const scenario = scenarios.find(({ name }) => name === wanted)!;
  const world = new World(scenario);
  const packets = scenario.steps.filter(
    (step) => step.op === 'packet' && step.hook === 'from-overlay',
  ) as PacketInput[];
  const [first, second, third] = packets as [PacketInput, PacketInput, PacketInput];
  if (isKnown) for (const packet of [first, second]) send(world, packet, packet.mark, packet.tunnel_key_in!.tunnel_id);
  const heard: Buffer[] = [];
  world.events.drain(() => {});
  send(world, isKnown ? third : first, mark, vni);
  world.events.drain((event) => heard.push(Buffer.from(event)));
  const [came, went] = heard as [Buffer, Buffer];
  expect([came[0], came[1], came.readUInt32LE(SOURCE_LABEL)]).toEqual([CILIUM_NOTIFY_TRACE, point, traced]);
  expect(went.readUInt32LE(SOURCE_LABEL)).toBe(judged);
});
