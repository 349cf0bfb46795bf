import { expect, test } from 'vitest';
import { cilFromOverlay, type Scenario, World } from '../src/index.ts';
import { scenarios } from './scenarios.ts';

/**
 * Who sent a packet that arrives in the tunnel: the VNI says so, or the ipcache. Source: bpf/bpf_overlay.c.
 */
const VNI = 10003;
const IPCACHE = 20001;
const MARK_MAGIC_DECRYPT = 0x0d00;
const REMOTE_NODE = 6;
const [TRACE_FROM_STACK, TRACE_FROM_OVERLAY] = [8, 9];
const [CILIUM_NOTIFY_TRACE, CILIUM_NOTIFY_POLICY_VERDICT] = [4, 5];
/** Of both notifications: where they came from, as an identity. */
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

const packetOf = ({ steps }: Scenario): Uint8Array => {
  for (const step of steps)
    if (step.op === 'packet' && step.hook === 'from-overlay') return Buffer.from(step.packet_hex, 'hex');
  throw new Error('no packet of a tunnel');
};

const flows = ['icmp-vxlan-noagg-v4', 'icmp-vxlan-noagg-v6', 'ingress-verdicts-vxlan-v4', 'ingress-verdicts-vxlan-v6'];

/** Every notification is sent. */
function talkative(scenario: Scenario): Scenario {
  const defines = scenario.config.defines.map((define) =>
    define.replace(/^MONITOR_AGGREGATION=.*/, 'MONITOR_AGGREGATION=0'),
  );
  return { ...scenario, config: { ...scenario.config, defines } };
}

test.each(flows.flatMap((flow) => senders.map((row) => [flow, ...row] as const)))(
  '%s: a packet %s',
  (flow, _name, mark, vni, point, traced, judged) => {
    const scenario = talkative(scenarios.find(({ name }) => name === flow)!);
    const { datapath, skb, events } = new World(scenario);
    skb.load(packetOf(scenario), scenario.node.cilium_vxlan.ifindex);
    skb.mark = mark;
    skb.tunnelIdIn = vni;
    cilFromOverlay(datapath, skb);
    const heard: Uint8Array[] = [];
    events.drain((event) => heard.push(event));
    const of = (type: number): Buffer => Buffer.from(heard.find((event) => event[0] === type)!);
    const trace = of(CILIUM_NOTIFY_TRACE);
    expect([trace[1], trace.readUInt32LE(SOURCE_LABEL)]).toEqual([point, traced]);
    expect(of(CILIUM_NOTIFY_POLICY_VERDICT).readUInt32LE(SOURCE_LABEL)).toBe(judged);
  },
);
