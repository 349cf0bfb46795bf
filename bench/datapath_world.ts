import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { cilFromContainer, cilFromOverlay, type EndpointProgram, type Scenario, type Skb, World } from '@ciliate/bpf';
import { type Address, POLICY_KEY } from '@ciliate/maps';

/** A packet that the conformance set `datapath` timed in a kernel, and the times it found (nanoseconds per run). */
export interface TimedPacket {
  readonly label: string;
  readonly mode: string;
  readonly hook: string;
  readonly endpoint: number | null;
  readonly ifindex: number;
  readonly tunnel_id: number | null;
  readonly packet_hex: string;
  readonly return_codes: readonly string[];
  readonly best_ns: number;
  readonly median_ns: number;
}

/** A packet that comes before the timed ones. */
export type PreparePacket = Pick<TimedPacket, 'hook' | 'endpoint' | 'ifindex' | 'tunnel_id' | 'packet_hex'> & {
  readonly ret: string;
};

/** Maps and packets of one row of the kernel's times. */
export interface TimedScenario {
  readonly name: string;
  readonly description: string;
  readonly config: Scenario['config'];
  readonly endpoints: readonly (Scenario['endpoints'][number] & { entries: number })[];
  readonly ipcache: Scenario['ipcache'];
  readonly lxc_map: Scenario['lxc_map'];
  readonly services: Scenario['services'];
  readonly prepare: readonly PreparePacket[];
  readonly measurements: readonly TimedPacket[];
}

const { node, scenarios } = JSON.parse(
  gunzipSync(readFileSync(new URL('fixtures/datapath.json.gz', import.meta.url))).toString(),
) as { node: Scenario['node']; scenarios: TimedScenario[] };

export const timedScenarios: readonly TimedScenario[] = scenarios;
export const timedScenario = (name: string): TimedScenario => scenarios.find((scenario) => scenario.name === name)!;

/** Return codes of programs, as the kernel's times name them. */
export const RETURN_CODES: Readonly<Record<string, number>> = { TC_ACT_OK: 0, TC_ACT_SHOT: 2, TC_ACT_REDIRECT: 7 };

/** Maps and programs as they were before the first packet. */
export function wholeScenario({ name, config, ipcache, lxc_map, services, ...timed }: TimedScenario): Scenario {
  const endpoints = timed.endpoints.map((e) => ({ ...e, policy: [...generated(e), ...e.policy] }));
  return { name, config, node, endpoints, ipcache, lxc_map, services, auth_map: [], node_map: [], steps: [] };
}

/**
 * A node as it was when the kernel's times were taken: maps filled, the packets sent that came before the timed one.
 * @param readsEvents whether somebody reads the events
 */
export function timedWorld(scenario: TimedScenario, readsEvents = true): World {
  const world = new World(wholeScenario(scenario), CT_ENTRIES, readsEvents ? {} : { events: NO_READER_BYTES });
  world.memory.nowNs = BigInt(START_SECONDS) * 1_000_000_000n;
  for (const { ret, ...packet } of scenario.prepare) {
    const got = new Run(world, packet).once();
    if (got !== RETURN_CODES[ret]) throw new Error(`${scenario.name}: a packet that prepares gives ${got}, not ${ret}`);
  }
  world.events.drain(() => {});
  return world;
}

/** In such a ring no event finds room: that is how a program finds a perf event array without a reader. */
const NO_READER_BYTES = 64;
/** No connection is given up for another: each new one makes up to three entries. */
const CT_ENTRIES = { cilium_ct4_global: 16_384, cilium_ct_any4_global: 16_384 };
const START_SECONDS = 100_000;
const ETH_AND_IPV4 = 34;

/** Entries for other identities, so that a map has as many as when the times were taken. */
function generated({ entries, policy }: TimedScenario['endpoints'][number]): Scenario['ipcache'] {
  const egress = policy[0]?.key_hex.slice((POLICY_KEY.egress as number) * 2, POLICY_KEY.egress * 2 + 2) ?? '00';
  return Array.from({ length: entries - policy.length }, (_, i) => {
    const key = Buffer.alloc(POLICY_KEY.size);
    key.writeUInt32LE(64, 0);
    key.writeUInt32LE(50_000 + 3 * i, POLICY_KEY.secLabel);
    key.write(egress, POLICY_KEY.egress, 'hex');
    key[POLICY_KEY.protocol] = 6;
    key.writeUInt16BE(80 + (i % 7), POLICY_KEY.dport);
    return { key_hex: key.toString('hex'), value_hex: '0000c00000000000' };
  });
}

/** One packet at its hook, from a place in the memory, as often as wanted. */
export class Run {
  readonly #world: World;
  readonly #skb: Skb;
  readonly #packet: Pick<TimedPacket, 'hook' | 'endpoint' | 'ifindex' | 'tunnel_id'>;
  /** Of the pod that sends it; undefined: it comes out of the tunnel. */
  readonly #program: EndpointProgram | undefined;
  readonly #length: number;
  /** Address of the frame. */
  readonly at: Address;

  constructor(world: World, packet: Pick<TimedPacket, 'hook' | 'endpoint' | 'ifindex' | 'tunnel_id' | 'packet_hex'>) {
    const frame = Buffer.from(packet.packet_hex, 'hex');
    this.#world = world;
    this.#skb = world.skb;
    this.#packet = packet;
    this.#program = packet.hook === 'from-container' ? world.datapath.program(packet.endpoint!) : undefined;
    this.#length = frame.length;
    this.at = world.memory.alloc(frame.length + 2) + 2;
    world.memory.u8.set(frame, this.at);
  }

  /** @returns what the program returned */
  once(): number {
    this.load();
    const { datapath } = this.#world;
    if (this.#program !== undefined) return cilFromContainer(datapath, this.#program, this.#skb);
    this.#skb.tunnelIdIn = this.#packet.tunnel_id ?? undefined;
    return cilFromOverlay(datapath, this.#skb);
  }

  /** Of a TCP or UDP packet; checksums are not kept, as no program looks at them. @param port host order */
  setSourcePort(port: number): void {
    const { u8 } = this.#world.memory;
    const l4 = this.at + ETH_AND_IPV4;
    u8[l4] = port >> 8;
    u8[l4 + 1] = port & 0xff;
  }

  /** What a run costs beside the program. */
  load(): void {
    this.#skb.loadFrom(this.at, this.#length, this.#packet.ifindex);
  }
}
