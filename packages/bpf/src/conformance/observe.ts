import {
  type BpfMap,
  CT_ENTRY_FLAG,
  ctBackendId,
  ctBytes,
  ctFlags,
  ctLastRxReport,
  ctLastTxReport,
  ctLifetime,
  ctPackets,
  ctRevNatIndex,
  ctRxFlagsSeen,
  ctSrcSecId,
  ctTxFlagsSeen,
  type Memory,
  type PerCpuHashMap,
} from '@ciliate/maps';
import { hexOf } from './addresses.ts';
import { START_SECONDS, type World } from './world.ts';

/** What the maps of a scenario hold, in the words of the published set: text by map and key. */
export type Snapshot = Map<string, string>;

const CT_MAPS = ['cilium_ct4_global', 'cilium_ct_any4_global', 'cilium_ct6_global', 'cilium_ct_any6_global'];
const AFFINITY_MAPS = ['cilium_lb4_affinity', 'cilium_lb6_affinity'];
const SNAT_MAPS = ['cilium_snat_v4_external', 'cilium_snat_v6_external'];
const PLAIN_MAPS = [
  ...['cilium_ipv4_frag_datagrams', 'cilium_ipv6_frag_datagrams'],
  ...['cilium_nodeport_neigh4', 'cilium_nodeport_neigh6'],
];
const COUNTERS = ['cilium_metrics', 'cilium_policystats'];

/** Conntrack, affinity, NAT, fragments, neighbours; with times as seconds from the scenario's start. */
export function snapshot(world: World): Snapshot {
  const found: Snapshot = new Map();
  const { memory: m } = world;
  for (const name of [...CT_MAPS, ...AFFINITY_MAPS, ...SNAT_MAPS, ...PLAIN_MAPS]) {
    const map = world.open(name);
    for (const { key, value } of map.entries()) {
      const keyHex = hexOf(m.u8.subarray(key, key + map.spec.keySize));
      found.set(`${name} ${keyHex}`, describe(m, name, map, value));
    }
  }
  return found;
}

function describe(m: Memory, name: string, map: BpfMap, value: number): string {
  if (CT_MAPS.includes(name)) return ctText(ctFields(m, value));
  if (AFFINITY_MAPS.includes(name)) return affinityText(m.u32[(value + 8) >> 2]!, m.u32[value >> 2]! - START_SECONDS);
  // The time of creation, 8 bytes, is nobody's business.
  const masked = SNAT_MAPS.includes(name) ? 8 : 0;
  return '00'.repeat(masked) + hexOf(m.u8.subarray(value + masked, value + map.spec.valueSize));
}

export const affinityText = (backend: number, lastUsed: number): string => `backend ${backend}, last used ${lastUsed}`;

/** The fields of `struct ct_entry` as the published set names them. */
export function ctFields(m: Memory, at: number): Record<string, unknown> {
  const flags = ctFlags(m, at);
  const bit = (name: keyof typeof CT_ENTRY_FLAG): number => Number((flags & CT_ENTRY_FLAG[name]) !== 0);
  const since = (seconds: number): number | null => (seconds === 0 ? null : seconds - START_SECONDS);
  return {
    backend_id: ctBackendId(m, at),
    packets: ctPackets(m, at),
    bytes: ctBytes(m, at),
    rx_closing: bit('rx_closing'),
    tx_closing: bit('tx_closing'),
    lb_loopback: bit('lb_loopback'),
    seen_non_syn: bit('seen_non_syn'),
    node_port: bit('node_port'),
    proxy_redirect: bit('proxy_redirect'),
    dsr_internal: bit('dsr_internal'),
    from_l7lb: bit('from_l7lb'),
    from_tunnel: bit('from_tunnel'),
    rev_nat_index: ctRevNatIndex(m, at),
    tx_flags_seen: ctTxFlagsSeen(m, at),
    rx_flags_seen: ctRxFlagsSeen(m, at),
    src_sec_id: ctSrcSecId(m, at),
    time: {
      lifetime_rel_s: since(ctLifetime(m, at)),
      last_tx_report_rel_s: since(ctLastTxReport(m, at)),
      last_rx_report_rel_s: since(ctLastRxReport(m, at)),
    },
  };
}

/** One line, so that a difference is easy to see. */
export function ctText(fields: Record<string, unknown>): string {
  const { time, ...rest } = fields as { time: Record<string, unknown> };
  return Object.entries({ ...rest, ...time })
    .filter(([, value]) => value !== 0)
    .map(([name, value]) => `${name}=${String(value)}`)
    .join(' ');
}

/** What changed: new text, or 'deleted'. */
export function changes(before: Snapshot, after: Snapshot): Snapshot {
  const changed: Snapshot = new Map();
  for (const [key, text] of after) if (before.get(key) !== text) changed.set(key, text);
  for (const key of before.keys()) if (!after.has(key)) changed.set(key, 'deleted');
  return changed;
}

/** Counters by map and key (hex), of all workers: [count or packets, bytes]. */
export function counters(world: World): Map<string, readonly [number, number]> {
  const { memory: m } = world;
  const found = new Map<string, readonly [number, number]>();
  for (const name of COUNTERS) {
    const map = world.open(name) as PerCpuHashMap;
    for (const { key, value } of map.entries()) {
      const keyHex = hexOf(m.u8.subarray(key, key + map.spec.keySize));
      const u64 = (at: number): number => m.u32[at >> 2]! + m.u32[(at >> 2) + 1]! * 2 ** 32;
      found.set(`${name} ${keyHex}`, [u64(value), u64(value + 8)]);
    }
  }
  return found;
}
