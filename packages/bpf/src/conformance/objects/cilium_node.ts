import {
  BPF_MAP_TYPE_PERF_EVENT_ARRAY,
  BPF_MAP_TYPE_PROG_ARRAY,
  type BpfMap,
  EventRing,
  NULL,
  openMap,
  pinned,
  Scratch,
} from '@ciliate/maps';
import { type BpfObject, type Image, type LinkedFunction, SKB, Vm, withVariables } from '@ciliate/vm';
import { BpfInputError } from '../../engines/input_error.ts';
import { CTX_ACT_DROP, CTX_ACT_REDIRECT } from '../../lib/common.ts';
import { bytesOfHex, hexOf } from '../addresses.ts';
import { type Player, redirectText, tellEvents } from '../runner.ts';
import type { PacketInput, Scenario } from '../scenario.ts';
import { hostRoutes, World } from '../world.ts';
import { Recorder } from './recorder.ts';
import { hostVariables, lxcVariables, overlayVariables, type Variables } from './variables.ts';

/** Cilium's programs for one configuration. */
export interface CiliumObjects {
  lxc: BpfObject;
  host: BpfObject;
  /** Only with a tunnel. */
  overlay?: BpfObject;
}

const MEMORY_BYTES = 256 * 1024 * 1024;
const EVENT_BYTES = 1 << 20;
/** Of maps that the scenarios' own programs do not have. */
const MAX_ENTRIES = 1024;
const CPUS = 2;
/** As the objects are loaded for each endpoint: what each of them has for itself. */
const OWN = ['cilium_calls', 'cilium_tail_call_buffer4', 'cilium_tail_call_buffer6'];
const POLICY = 'cilium_policy_v2';
const EVENTS = 'cilium_events';
const SIGNALS = 'cilium_signals';
const FIXED_SIZE: readonly number[] = [BPF_MAP_TYPE_PROG_ARRAY, BPF_MAP_TYPE_PERF_EVENT_ARRAY];
/** Ethernet types begin here; what is less is a length. */
const ETH_P_802_3_MIN = 0x0600;
const ETH_P_802_2 = 0x0400;

/** A scenario's node on which Cilium's own programs run: on the same maps as ours. */
export class CiliumNode implements Player {
  readonly world: World;
  private readonly vm: Vm;
  private readonly recorder: Recorder;
  private readonly events: EventRing;
  private readonly signals: EventRing;
  /** Of all objects, but for their own. */
  private readonly maps = new Map<string, BpfMap>();
  private readonly lxc = new Map<number, Image>();
  private readonly host: Image | undefined;
  private readonly overlay: Image | undefined;

  constructor(scenario: Scenario, objects: CiliumObjects) {
    this.world = new World(scenario, {}, { memory: MEMORY_BYTES });
    const { memory } = this.world;
    this.recorder = new Recorder(hostRoutes(memory, scenario));
    this.vm = new Vm({ memory, engine: 'interpreter', cpus: CPUS, helpers: this.recorder.helpers() });
    this.events = EventRing.create(memory, EVENT_BYTES);
    this.signals = EventRing.create(memory, EVENT_BYTES);
    const { node, endpoints, steps } = scenario;
    for (const endpoint of endpoints) {
      const policy = this.world.open(`policy:${endpoint.id}`);
      const image = this.load(objects.lxc, lxcVariables(node, endpoint), policy);
      this.lxc.set(endpoint.id, image);
      this.put('cilium_call_policy', endpoint.id, image.functions.get('cil_lxc_policy')?.index);
      this.put('cilium_egresscall_policy', endpoint.id, image.functions.get('cil_lxc_policy_egress')?.index);
    }
    const hooks = new Set(steps.map((step) => (step.op === 'packet' ? step.hook : undefined)));
    if (hooks.has('from-netdev') || hooks.has('to-netdev') || hooks.has('from-host'))
      this.host = this.load(objects.host, hostVariables(node));
    if (hooks.has('from-overlay') && objects.overlay !== undefined)
      this.overlay = this.load(objects.overlay, overlayVariables(node));
    this.put(EVENTS, 0, this.events.address);
    this.put(SIGNALS, 0, this.signals.address);
  }

  /** @throws VmError FAULT, BAD_INPUT if there is no such program */
  run(input: PacketInput): Record<string, string> {
    const { machine } = this.vm;
    const { packet } = machine;
    this.setPacket(input);
    this.recorder.reset(input.tunnel_key_in?.tunnel_id);
    const ret = this.vm.run(this.program(input)) | 0;
    const outcome: Record<string, string> = { ret: `${ret}` };
    if (ret !== CTX_ACT_DROP) {
      outcome.packet = hexOf(packet.bytes());
      outcome.mark = `${machine.memory.u32[(machine.context + SKB.mark) >> 2]!}`;
    }
    const { redirect, tunnel, changeType } = this.recorder;
    if (ret === CTX_ACT_REDIRECT && redirect !== undefined)
      outcome.redirect = redirectText(redirect.helper, redirect.ifindex, redirect.flags, redirect.tcIndex);
    if (tunnel !== undefined) outcome.tunnel_key = tunnel;
    if (changeType !== undefined) outcome.change_type = `${changeType}`;
    tellEvents(outcome, this.events, this.signals);
    return outcome;
  }

  private setPacket(input: PacketInput): void {
    const { machine } = this.vm;
    const data = bytesOfHex(input.packet_hex);
    machine.packet.load('tc', data);
    const set = (field: number, value: number): void =>
      machine.memory.view.setUint32(machine.context + field, value, true);
    set(SKB.mark, input.mark);
    set(SKB.ifindex, input.ifindex);
    set(SKB.ingressIfindex, input.ingress_ifindex);
    for (const [i, word] of input.cb.entries()) set(SKB.cb + 4 * i, word);
    set(SKB.wireLen, data.length);
    const type = (data[12]! << 8) | data[13]!;
    set(SKB.protocol, type >= ETH_P_802_3_MIN ? data[12]! | (data[13]! << 8) : ETH_P_802_2);
  }

  private program({ hook, endpoint = 0 }: PacketInput): LinkedFunction {
    const [image, name] = {
      'from-container': [this.lxc.get(endpoint), 'cil_from_container'] as const,
      'to-container': [this.lxc.get(endpoint), 'cil_to_container'] as const,
      policy: [this.lxc.get(endpoint), 'cil_lxc_policy'] as const,
      'from-netdev': [this.host, 'cil_from_netdev'] as const,
      'to-netdev': [this.host, 'cil_to_netdev'] as const,
      'from-host': [this.host, 'cil_from_host'] as const,
      'from-overlay': [this.overlay, 'cil_from_overlay'] as const,
    }[hook];
    const program = image?.functions.get(name);
    if (program === undefined)
      throw new BpfInputError(`${image?.object.name ?? 'bpf_overlay.o'}: no program ${name}`, {});
    return program;
  }

  private load(object: BpfObject, variables: Variables, policy?: BpfMap): Image {
    const known = new Map([...variables].filter(([name]) => object.variables.has(name)));
    const image = this.vm.load(small(withVariables(object, known)), this.existing(object, policy));
    for (const [name, map] of image.maps)
      if (!OWN.includes(name) && name !== POLICY && !name.startsWith('.')) this.maps.set(name, map);
    return image;
  }

  /** What the agent pins, and what another object has brought. */
  private existing(object: BpfObject, policy: BpfMap | undefined): Map<string, BpfMap> {
    const { memory } = this.world;
    const found = new Map<string, BpfMap>();
    for (const name of object.maps.keys()) {
      if (OWN.includes(name)) continue;
      const address = pinned(memory, name);
      const isPinned = address !== NULL && name !== EVENTS && name !== SIGNALS;
      const map = name === POLICY ? policy : (this.maps.get(name) ?? (isPinned ? openMap(memory, address) : undefined));
      if (map !== undefined) found.set(name, map);
    }
    return found;
  }

  /** Into a map of u32s; a configuration may have no such map, an object no such program. */
  private put(name: string, index: number, value: number | undefined): void {
    const map = this.maps.get(name);
    if (map === undefined || value === undefined) return;
    const { memory } = this.world;
    const scratch = Scratch.create(memory, 16);
    const at = scratch.take(16);
    memory.u32[at >> 2] = index;
    memory.u32[(at + 8) >> 2] = value;
    const result = map.update(at, at + 8);
    scratch.destroy();
    if (result !== 0) throw new BpfInputError(`${name} does not take entry ${index}`, { errno: -result });
  }
}

/** Maps that are made for the scenario alone need not be as large as a node's. */
function small(object: BpfObject): BpfObject {
  const maps = [...object.maps].map(([name, def]) => {
    const maxEntries = FIXED_SIZE.includes(def.type) ? def.maxEntries : Math.min(def.maxEntries || CPUS, MAX_ENTRIES);
    return [name, { ...def, maxEntries }] as const;
  });
  return { ...object, maps: new Map(maps) };
}
