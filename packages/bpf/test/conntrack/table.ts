import { type BpfMap, IPV4_CT_TUPLE, IPV6_CT_TUPLE } from '@ciliate/maps';
import { ctFields } from '../../src/conformance/observe.ts';
import type { World } from '../../src/conformance/world.ts';
import { type Connection, keyOf, type ModelPacket, NEVER, type Transport } from './model.ts';

/** What the conntrack maps hold, in the model's words. */

const TRANSPORTS: Readonly<Record<number, Transport>> = { 1: 'icmp', 58: 'icmp', 6: 'tcp', 17: 'udp', 132: 'sctp' };
const IN = 1;
const RELATED = 2;
const SERVICE = 4;
const FLAG_NAMES: readonly [bit: number, name: string][] = [
  [1, 'F'],
  [4, 'R'],
  [2, 'S'],
];

const mapsOf = (world: World, isV6: boolean): BpfMap[] =>
  (isV6 ? ['cilium_ct6_global', 'cilium_ct_any6_global'] : ['cilium_ct4_global', 'cilium_ct_any4_global']).map((name) =>
    world.open(name),
  );

export function clearTable(world: World): void {
  for (const map of [...mapsOf(world, false), ...mapsOf(world, true)]) {
    for (const { key } of [...map.entries()]) {
      if (map.delete(key) !== 0) throw new Error('an entry cannot be deleted');
    }
  }
}

/** By the key that the model has. Times are seconds from the start of the world. */
export function readTable(world: World, isV6: boolean): Map<string, Connection> {
  const { memory } = world;
  const table = new Map<string, Connection>();
  for (const [n, map] of mapsOf(world, isV6).entries()) {
    for (const { key, value } of map.entries()) {
      const packet = packetOf(world, key, isV6);
      if ((packet.transport === 'tcp') !== (n === 0)) throw new Error('an entry lies in the wrong map');
      const flags = memory.u8[key + (isV6 ? IPV6_CT_TUPLE.flags : IPV4_CT_TUPLE.flags)]!;
      const side = flags & SERVICE ? 'service' : flags & IN ? 'ingress' : 'egress';
      table.set(keyOf(packet, side), connectionOf(world, value));
    }
  }
  return table;
}

/** The packet that opened it. Addresses are told by their last byte. Keys of services have their ports exchanged, others their addresses. */
function packetOf(world: World, key: number, isV6: boolean): ModelPacket {
  const { view, u8 } = world.memory;
  const layout = isV6 ? IPV6_CT_TUPLE : IPV4_CT_TUPLE;
  const last = isV6 ? 15 : 3;
  const daddr = u8[key + layout.daddr + last]!;
  const saddr = u8[key + layout.saddr + last]!;
  const dport = view.getUint16(key + layout.dport);
  const sport = view.getUint16(key + layout.sport);
  const flags = u8[key + layout.flags]!;
  const transport = TRANSPORTS[u8[key + layout.nexthdr]!]!;
  const rest = { transport, isError: (flags & RELATED) !== 0, syn: false, fin: false, rst: false, bytes: 0 };
  if (flags & SERVICE) return { src: saddr, dst: daddr, sport: dport, dport: sport, ...rest };
  return { src: daddr, dst: saddr, sport, dport, ...rest };
}

function connectionOf(world: World, value: number): Connection {
  const fields = ctFields(world.memory, value) as Record<string, number> & { time: Record<string, number | null> };
  const names = (bits: number): string => FLAG_NAMES.map(([bit, name]) => (bits & bit ? name : '')).join('');
  return {
    facts: {
      revNat: fields.rev_nat_index!,
      identity: fields.src_sec_id!,
      proxy: fields.proxy_redirect === 1,
      nodePort: fields.node_port === 1,
      fromTunnel: fields.from_tunnel === 1,
      backend: fields.backend_id!,
    },
    packets: fields.packets!,
    bytes: fields.bytes!,
    ends: fields.time.lifetime_rel_s!,
    closing: { rx: fields.rx_closing === 1, tx: fields.tx_closing === 1 },
    seenNonSyn: fields.seen_non_syn === 1,
    seen: { rx: names(fields.rx_flags_seen!), tx: names(fields.tx_flags_seen!) },
    reported: { rx: fields.time.last_rx_report_rel_s ?? NEVER, tx: fields.time.last_tx_report_rel_s ?? NEVER },
  };
}
