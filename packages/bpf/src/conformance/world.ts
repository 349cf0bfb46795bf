import {
  ArrayMap,
  type BpfMap,
  EventRing,
  type LpmTrie,
  Memory,
  NULL,
  openMap,
  PolicyMap,
  pinned,
  policyMapName,
  Scratch,
} from '@ciliate/maps';
import { configOfDefines, type DatapathConfig, DEFAULT_NODE } from '../config.ts';
import { Datapath } from '../datapath.ts';
import type { Family } from '../lib/family.ts';
import type { FibEntry } from '../lib/fib.ts';
import { createDatapathMaps, type MapName } from '../maps.ts';
import { Skb } from '../skb.ts';
import { be32Of, bytesOfHex, bytesOfIpv6, bytesOfMac, wordsOfIpv6 } from './addresses.ts';
import type { Scenario } from './scenario.ts';

/** Of a scenario; a program's own maps are small here, so that a scenario starts fast. */
const MEMORY_BYTES = 96 * 1024 * 1024;
const ENTRIES = 4096;
const OWN_MAPS: readonly MapName[] = [
  ...(['cilium_ct4_global', 'cilium_ct_any4_global', 'cilium_ct6_global', 'cilium_ct_any6_global'] as const),
  ...(['cilium_policystats', 'cilium_nodeport_neigh4', 'cilium_nodeport_neigh6'] as const),
];
const EVENT_BYTES = 1 << 20;
/** The virtual start of time: far enough from 0 that nothing seems to have been reported lately. */
export const START_SECONDS = 100_000;

/** The node of a scenario: its maps filled, its programs loaded. */
export class World {
  readonly memory: Memory;
  readonly events: EventRing;
  readonly signals: EventRing;
  readonly datapath: Datapath;
  readonly skb: Skb;
  readonly #scratch: Scratch;
  readonly #key: number;
  readonly #value: number;

  /**
   * @param maxEntries of maps that shall have another size than usual
   * @param bytes of the memory, and of the ring of events in it
   */
  constructor(
    scenario: Scenario,
    maxEntries: Partial<Record<MapName, number>> = {},
    bytes: { memory?: number; events?: number } = {},
  ) {
    const memory = Memory.create(bytes.memory ?? MEMORY_BYTES);
    this.memory = memory;
    const sizes: Partial<Record<MapName, number>> = {};
    for (const name of OWN_MAPS) sizes[name] = ENTRIES;
    const maglevTableSize = scenario.node.maglev.table_size;
    createDatapathMaps(memory, { shards: 1, maxEntries: { ...sizes, ...maxEntries }, maglevTableSize });
    this.#scratch = Scratch.create(memory, 256);
    this.#key = this.#scratch.take(64);
    this.#value = this.#scratch.take(128);
    this.events = EventRing.create(memory, bytes.events ?? EVENT_BYTES);
    this.signals = EventRing.create(memory, 4096);
    for (const { id, policy } of scenario.endpoints) {
      PolicyMap.create(memory, id);
      for (const row of policy) this.set(`policy:${id}`, row.key_hex, row.value_hex);
    }
    for (const row of scenario.ipcache) this.set('cilium_ipcache_v2', row.key_hex, row.value_hex);
    for (const row of scenario.lxc_map) this.set('cilium_lxc', row.key_hex, row.value_hex);
    for (const row of scenario.auth_map) this.set('cilium_auth_map', row.key_hex, row.value_hex);
    for (const row of scenario.node_map) this.set('cilium_node_map_v2', row.key_hex, row.value_hex);
    for (const { raw } of scenario.services) for (const row of raw) this.set(row.map, row.key_hex, row.value_hex);
    const config = configOf(scenario);
    const fib = hostRoutes(memory, scenario);
    this.datapath = new Datapath(memory, {
      shard: 0,
      events: this.events,
      signals: this.signals,
      seed: 1,
      config,
      fib,
    });
    this.#loadPrograms(scenario);
    this.skb = new Skb(memory);
  }

  /** @param map a Cilium map's name, or `policy:` and an endpoint's id */
  set(map: string, keyHex: string, valueHex: string): void {
    const { u8 } = this.memory;
    u8.set(bytesOfHex(keyHex), this.#key);
    if (map.endsWith('_maglev')) this.#setTable(map, bytesOfHex(valueHex));
    else u8.set(bytesOfHex(valueHex), this.#value);
    const result = this.open(map).update(this.#key, this.#value);
    if (result !== 0) throw new Error(`cannot set ${map} ${keyHex}: ${result}`);
  }

  delete(map: string, keyHex: string): void {
    this.memory.u8.set(bytesOfHex(keyHex), this.#key);
    this.open(map).delete(this.#key);
  }

  open(map: string): BpfMap {
    const endpoint = /^policy:(\d+)$/.exec(map)?.[1];
    return openMap(this.memory, pinned(this.memory, endpoint === undefined ? map : policyMapName(Number(endpoint))));
  }

  /** A Maglev table becomes an inner map of its own, whose address is the value. */
  #setTable(_map: string, table: Uint8Array): void {
    const { memory } = this;
    const inner = ArrayMap.create(memory, { keySize: 4, valueSize: table.length, maxEntries: 1 });
    memory.u8.set(table, inner.lookup(this.#zeroKey()));
    memory.u32[this.#value >> 2] = inner.address;
  }

  #zeroKey(): number {
    const at = this.#value + 64;
    this.memory.u32[at >> 2] = 0;
    return at;
  }

  #loadPrograms(scenario: Scenario): void {
    const { memory } = this;
    for (const endpoint of scenario.endpoints) {
      const block = Scratch.create(memory, 64).take(40);
      memory.u32[block >> 2] = be32Of(endpoint.ipv4);
      memory.u8.set(bytesOfIpv6(endpoint.ipv6), block + 16);
      memory.u8.set(bytesOfMac(endpoint.node_mac), block + 32);
      this.datapath.replaceProgram({
        id: endpoint.id,
        ifindex: endpoint.ifindex,
        identity: endpoint.identity,
        ipv4: block,
        ipv6: block + 16,
        mac: block + 32,
        policy: this.open(`policy:${endpoint.id}`) as LpmTrie,
        policyVerdictLogFilter: endpoint.policy_verdict_log_filter,
      });
    }
  }
}

/** What is not in the scenario itself: the set's node constants (configs.json, `node_constants`). */
function configOf({ config, node }: Scenario): DatapathConfig {
  return configOfDefines(config.defines, {
    ...DEFAULT_NODE,
    hostEndpointId: node.host_ep_id,
    ciliumHostIfindex: node.cilium_host.ifindex,
    ciliumNetIfindex: node.cilium_net.ifindex,
    ciliumHostMac: bytesOfMac(node.cilium_host.mac),
    ciliumNetMac: bytesOfMac(node.cilium_net.mac),
    netdev: { ifindex: node.eth0.ifindex, mac: bytesOfMac(node.eth0.mac) },
    overlay: { ifindex: node.cilium_vxlan.ifindex, mac: bytesOfMac(node.cilium_vxlan.mac) },
    routerIpv6: wordsOfIpv6(node.router_ipv6),
    serviceLoopbackIpv4: be32Of(node.service_loopback_ipv4),
    directRoutingIpv4: be32Of(node.ipv4),
    masqueradeIpv4: be32Of(node.ipv4),
    masqueradeIpv6: wordsOfIpv6(node.ipv6),
    gatewayIpv4: be32Of(node.router_ipv4),
    snatExclusionIpv4: { network: be32Of('10.244.0.0'), mask: be32Of('255.255.0.0') },
    snatExclusionIpv6: { network: wordsOfIpv6('face:ffff:ff00::'), mask: wordsOfIpv6('ffff:ffff:ff00::') },
    hashInit4: node.maglev.jhash0,
    hashInit6: node.maglev.jhash1,
  });
}

/** The set's kernel routes and neighbours (configs.json, `kernel_routes`): one device, two gateways, one pod network. */
export function hostRoutes(
  memory: Memory,
  { node }: Scenario,
): (fam: Pick<Family, 'isV6'>, saddr: number, daddr: number) => FibEntry | undefined {
  const scratch = Scratch.create(memory, 64);
  const mac = (text: string): number => {
    const at = scratch.take(8);
    memory.u8.set(bytesOfMac(text), at);
    return at;
  };
  const smac = mac(node.eth0.mac);
  const peers = { node2: mac('02:00:00:00:02:05'), node3: mac('02:00:00:00:03:05'), gateway: mac('02:00:00:00:fe:05') };
  const { ifindex } = node.eth0;
  const to = (dmac: number): FibEntry => ({ ifindex, smac, dmac });
  return (fam, _saddr, daddr) => {
    const bytes = memory.u8.subarray(daddr, daddr + (fam.isV6 ? 16 : 4));
    if (fam.isV6) return to(ipv6NextHop(bytes, peers));
    if (bytes[0] === 10 && bytes[1] === 0 && bytes[2] === 0) {
      if (bytes[3] === 2) return to(peers.node2);
      if (bytes[3] === 3) return to(peers.node3);
      return to(bytes[3] === 254 ? peers.gateway : NULL);
    }
    return to(bytes[0] === 10 && bytes[1] === 244 && bytes[2] === 2 ? peers.node2 : peers.gateway);
  };
}

function ipv6NextHop(bytes: Uint8Array, peers: { node2: number; gateway: number }): number {
  const starts = (...prefix: number[]): boolean => prefix.every((byte, i) => bytes[i] === byte);
  if (starts(0xfd, 0, 0, 0x10, 2, 0x44, 0, 2)) return peers.node2;
  if (starts(0xfd, 0, 0, 0x10, 0, 0, 0, 0)) {
    if (bytes[15] === 2) return peers.node2;
    return bytes[15] === 0xfe ? peers.gateway : NULL;
  }
  return peers.gateway;
}
