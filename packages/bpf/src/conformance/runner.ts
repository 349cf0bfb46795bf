import type { EventRing } from '@ciliate/maps';
import { cilFromHost, cilFromNetdev, cilToNetdev } from '../bpf_host.ts';
import { cilFromContainer, cilLxcPolicy, cilToContainer } from '../bpf_lxc.ts';
import { cilFromOverlay } from '../bpf_overlay.ts';
import type { Step } from '../explain.ts';
import { CTX_ACT_DROP, CTX_ACT_REDIRECT } from '../lib/common.ts';
import { bytesOfHex, hexOf } from './addresses.ts';
import { affinityText, changes, counters, ctText, type Snapshot, snapshot } from './observe.ts';
import type { Expected, PacketInput, Scenario } from './scenario.ts';
import { START_SECONDS, World } from './world.ts';

/** Something that runs packets on a scenario's node. */
export interface Player {
  readonly world: World;
  /** Of one packet. @returns what it left behind, but for what maps tell */
  run(input: PacketInput): Record<string, string>;
}

type Watch = (world: World, index: number) => void;

/** What a packet step left behind, by aspect: text that two runs can be compared by. */
export type Outcome = Readonly<Record<string, string>>;

export interface StepResult {
  readonly index: number;
  readonly expected: Outcome;
  readonly actual: Outcome;
  readonly agrees: boolean;
}

/**
 * Plays a scenario through the programs and compares what its README calls deterministic, packet by packet.
 * @param watch gets the node before each packet, and the step's index in the scenario
 */
export function runScenario(scenario: Scenario, watch?: Watch): StepResult[] {
  return compareRun(scenario, play(scenario, new Programs(new World(scenario)), watch));
}

/** What was recorded beside what was played. */
export function compareRun(scenario: Scenario, actual: readonly Outcome[]): StepResult[] {
  const wanted = scenario.steps.flatMap((step) => (step.op === 'packet' ? [step.expect] : []));
  const runs = scenario.acceptable_runs?.map(({ steps }) => steps) ?? [wanted];
  const compared = runs.map((run) => compare(scenario, run, actual));
  const agreed = (results: StepResult[]): number => results.filter(({ agrees }) => agrees).length;
  return compared.reduce((best, results) => (agreed(results) > agreed(best) ? results : best));
}

/** What the programs did with the packet of one step, played once more. @param index of the step in the scenario */
export function pathOf(scenario: Scenario, index: number): Step[] {
  const path: Step[] = [];
  play(scenario, new Programs(new World(scenario)), ({ datapath }, at) => {
    datapath.steps = at === index ? path : null;
  });
  return path;
}

function compare(scenario: Scenario, wanted: readonly Expected[], actual: readonly Outcome[]): StepResult[] {
  const packets = scenario.steps.flatMap((step, index) => (step.op === 'packet' ? [index] : []));
  return packets.map((index, n) => {
    const expected = expectedOutcome(wanted[n]!);
    const have = actual[n]!;
    const agrees = Object.keys({ ...expected, ...have }).every((name) => expected[name] === have[name]);
    return { index, expected, actual: have, agrees };
  });
}

/** @returns what each packet step left behind */
export function play(scenario: Scenario, player: Player, watch?: Watch): Outcome[] {
  const { world } = player;
  const { memory } = world;
  let now = START_SECONDS;
  let before = snapshot(world);
  let counted = counters(world);
  const outcomes: Outcome[] = [];
  for (const [index, step] of scenario.steps.entries()) {
    if (step.op === 'advance_clock') now += step.seconds;
    else if (step.op === 'map_set') world.set(step.map, step.key_hex, step.value_hex);
    else if (step.op === 'map_delete') world.delete(step.map, step.key_hex);
    else {
      watch?.(world, index);
      memory.nowNs = BigInt(now) * 1_000_000_000n;
      const outcome = player.run(step);
      const after = snapshot(world);
      const afterCounters = counters(world);
      for (const [key, text] of [...changes(before, after), ...difference(counted, afterCounters)]) outcome[key] = text;
      outcomes.push(outcome);
      before = after;
      counted = afterCounters;
    }
  }
  return outcomes;
}

/** Runs the packet through the program at its hook. @returns the program's answer */
export function runHook({ datapath: dp, skb }: Pick<World, 'datapath' | 'skb'>, input: PacketInput): number {
  skb.load(bytesOfHex(input.packet_hex), input.ifindex, input.mark);
  skb.ingressIfindex = input.ingress_ifindex;
  if (input.tunnel_key_in !== undefined) skb.tunnelIdIn = input.tunnel_key_in.tunnel_id;
  const program = input.endpoint === undefined ? undefined : dp.program(input.endpoint);
  const [srcLabel = 0, redirect = 0, , fromHost = 0, fromTunnel = 0] = input.cb;
  switch (input.hook) {
    case 'from-container':
      return cilFromContainer(dp, program!, skb);
    case 'to-container':
      return cilToContainer(dp, program!, skb);
    case 'policy':
      return cilLxcPolicy(
        dp,
        program!,
        skb,
        srcLabel,
        redirect !== 0,
        fromHost !== 0,
        dp.config.tunnelMode && fromTunnel !== 0,
      );
    case 'from-netdev':
      return cilFromNetdev(dp, skb);
    case 'to-netdev':
      return cilToNetdev(dp, skb);
    case 'from-host':
      return cilFromHost(dp, skb);
    case 'from-overlay':
      return cilFromOverlay(dp, skb);
  }
}

/** The programs of this package. */
class Programs implements Player {
  readonly world: World;

  constructor(world: World) {
    this.world = world;
  }

  run(input: PacketInput): Record<string, string> {
    return observed(this.world, runHook(this.world, input));
  }
}

function observed({ skb, events, signals }: World, ret: number): Record<string, string> {
  const outcome: Record<string, string> = { ret: `${ret}` };
  if (ret !== CTX_ACT_DROP) {
    outcome.packet = hexOf(skb.frame());
    outcome.mark = `${skb.mark}`;
  }
  if (ret === CTX_ACT_REDIRECT)
    outcome.redirect = redirectText(skb.redirectHelper, skb.redirectIfindex, skb.redirectFlags, skb.tcIndex);
  if (skb.tunnelId !== undefined) {
    outcome.tunnel_key = `${skb.tunnelId} to ${hexOf(new Uint8Array(skb.tunnelRemote.buffer))}`;
  }
  if (skb.packetType !== undefined) outcome.change_type = `${skb.packetType}`;
  tellEvents(outcome, events, signals);
  return outcome;
}

/** Empties both rings. */
export function tellEvents(outcome: Record<string, string>, events: EventRing, signals: EventRing): void {
  let n = 0;
  events.drain((event) => {
    outcome[`events[${n++}]`] = eventText(hexOf(event));
  });
  n = 0;
  signals.drain((signal) => {
    outcome[`signals[${n++}]`] = signalText(hexOf(signal));
  });
}

export const redirectText = (helper: string, ifindex: number, flags: number, tcIndex: number): string =>
  `${helper} to ${ifindex}, flags ${flags}, tc_index ${tcIndex}`;

/** A drop's place in Cilium's sources (line, file) is nobody's business. */
function eventText(raw: string): string {
  return raw.startsWith('01') ? `${raw.slice(0, 56)}000000${raw.slice(62)}` : raw;
}

/** The kernel pads a sample; the signal itself has 16 bytes. */
const signalText = (raw: string): string => raw.slice(0, 32);

function expectedOutcome(expect: Expected): Outcome {
  const outcome: Record<string, string> = { ret: `${expect.ret}` };
  if (expect.ret !== CTX_ACT_DROP) {
    outcome.packet = expect.packet_hex_out;
    outcome.mark = `${expect.mark_out}`;
  }
  if (expect.ret === CTX_ACT_REDIRECT && expect.redirect !== undefined) {
    const { helper, ifindex, flags, tc_index } = expect.redirect;
    outcome.redirect = redirectText(helper, ifindex, flags, tc_index);
  }
  if (expect.tunnel_key !== undefined)
    outcome.tunnel_key = `${expect.tunnel_key.tunnel_id} to ${expect.tunnel_key.remote_hex}`;
  if (expect.change_type !== undefined) outcome.change_type = `${expect.change_type}`;
  for (const [n, { raw_hex }] of (expect.events ?? []).entries()) outcome[`events[${n}]`] = eventText(raw_hex);
  for (const [n, { raw_hex }] of (expect.signals ?? []).entries()) outcome[`signals[${n}]`] = signalText(raw_hex);
  for (const { map, key_hex, value } of expect.ct ?? [])
    outcome[`${map} ${key_hex}`] = value === null ? 'deleted' : ctText(value);
  for (const change of (expect.other_maps ?? []) as unknown as OtherChange[]) {
    const key = change.key_hex ?? change.key?.key_hex;
    outcome[`${change.map} ${key}`] = otherText(change);
  }
  for (const { reason, dir, count, bytes } of expect.metrics_by_reason_dir ?? [])
    outcome[`metrics reason ${reason} dir ${dir}`] = `${count} packets, ${bytes} bytes`;
  for (const row of expect.policy_stats ?? []) outcome[statsName(row)] = `${row.packets} packets, ${row.bytes} bytes`;
  return outcome;
}

interface OtherChange {
  map: string;
  key_hex?: string;
  key?: { key_hex?: string };
  value_hex?: string;
  value_time_masked_hex?: string;
  value?: Record<string, number> | null;
}

function otherText(change: OtherChange): string {
  if (change.value === null) return 'deleted';
  if (change.value_time_masked_hex !== undefined) return change.value_time_masked_hex;
  if (change.value_hex !== undefined) return change.value_hex;
  return affinityText(change.value!.backend_id!, change.value!.last_used_rel_s!);
}

/** Increments of the counters, under the names that the set uses: it knows no line and file of a drop. */
function difference(
  before: ReadonlyMap<string, readonly [number, number]>,
  after: ReadonlyMap<string, readonly [number, number]>,
): Snapshot {
  const sums = new Map<string, [number, number]>();
  for (const [name, [count, bytes]] of after) {
    const [countBefore, bytesBefore] = before.get(name) ?? [0, 0];
    if (count === countBefore && bytes === bytesBefore) continue;
    const [packets, octets] = sums.get(counterName(name)) ?? [0, 0];
    sums.set(counterName(name), [packets + count - countBefore, octets + bytes - bytesBefore]);
  }
  return new Map([...sums].map(([name, [packets, bytes]]) => [name, `${packets} packets, ${bytes} bytes`]));
}

function counterName(name: string): string {
  const [map = '', hex = ''] = name.split(' ');
  const key = bytesOfHex(hex);
  const view = new DataView(key.buffer);
  if (map === 'cilium_metrics') return `metrics reason ${key[0]} dir ${key[1]! & 3}`;
  return statsName({
    endpoint_id: view.getUint16(0, true),
    prefix_len: key[3]!,
    sec_label: view.getUint32(4, true),
    egress: key[8]! & 1,
    protocol: key[9]!,
    dport: view.getUint16(10),
  });
}

function statsName(row: Record<string, number>): string {
  const { endpoint_id, prefix_len, sec_label, egress, protocol, dport } = row;
  return `policystats ep ${endpoint_id} ${egress ? 'egress' : 'ingress'} ${sec_label}:${protocol}:${dport}/${prefix_len}`;
}
