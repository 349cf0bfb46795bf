import {
  type BpfMap,
  CILIUM_MAPS,
  createMap,
  type InnerShape,
  LruHashMap,
  MapError,
  type Memory,
  NULL,
  openMap,
  pin,
  pinned,
} from '@ciliate/maps';

/** Written by the workers: there is one of each per shard, named `NAME_sN` but for shard 0. */
const SHARDED = [
  ...['cilium_ct4_global', 'cilium_ct_any4_global', 'cilium_ct6_global', 'cilium_ct_any6_global'],
  ...['cilium_lb4_affinity', 'cilium_lb6_affinity', 'cilium_snat_v4_external', 'cilium_snat_v6_external'],
  ...['cilium_ipv4_frag_datagrams', 'cilium_ipv6_frag_datagrams', 'cilium_nodeport_neigh4', 'cilium_nodeport_neigh6'],
] as const;
const SHARED = [
  ...['cilium_ipcache_v2', 'cilium_lxc', 'cilium_auth_map', 'cilium_node_map_v2', 'cilium_lb_affinity_match'],
  ...['cilium_lb4_services_v2', 'cilium_lb4_backends_v3', 'cilium_lb4_reverse_nat', 'cilium_lb4_source_range'],
  ...['cilium_lb6_services_v2', 'cilium_lb6_backends_v3', 'cilium_lb6_reverse_nat', 'cilium_lb6_source_range'],
  ...['cilium_lb4_maglev', 'cilium_lb6_maglev'],
] as const;
/** Of these each shard has its own values. */
const PER_SHARD = ['cilium_metrics', 'cilium_policystats'] as const;

export type MapName = keyof typeof CILIUM_MAPS;

export const shardMapName = (name: string, shard: number): string => (shard === 0 ? name : `${name}_s${shard}`);

export interface DatapathMapsOptions {
  /** How many sets of connection state there are, whatever the number of workers. */
  shards: number;
  /** Entries of maps that shall not have Cilium's size; of a sharded map: all shards together. */
  maxEntries?: Partial<Record<MapName, number>>;
  /** Slots of a Maglev table, as the agent's bpf-lb-maglev-table-size; by default Cilium's largest. */
  maglevTableSize?: number;
}

/**
 * Creates and pins every map of the datapath that is not there yet, but for the policy maps of endpoints.
 * @throws MapError ENOMEM
 */
export function createDatapathMaps(memory: Memory, options: DatapathMapsOptions): void {
  const { shards, maxEntries = {}, maglevTableSize } = options;
  const entries = (name: MapName): number => maxEntries[name] ?? CILIUM_MAPS[name].maxEntries;
  for (const name of SHARED) create(memory, name, name, { maxEntries: entries(name) }, maglevTableSize);
  for (const name of PER_SHARD) create(memory, name, name, { maxEntries: entries(name), cpus: shards });
  for (const name of SHARDED) {
    const size = Math.max(1, Math.ceil(entries(name) / shards));
    for (let shard = 0; shard < shards; shard++) {
      create(memory, name, shardMapName(name, shard), { maxEntries: size, singleOwner: true });
    }
  }
}

/** @throws MapError ENOENT naming a map that is not there */
export function openPinned<M extends BpfMap>(memory: Memory, name: string): M {
  const address = pinned(memory, name);
  if (address === NULL) throw new MapError('ENOENT', 'no map is pinned under this name', { name });
  return openMap(memory, address) as M;
}

function create(
  memory: Memory,
  kind: MapName,
  name: string,
  more: { maxEntries: number; cpus?: number; singleOwner?: true },
  maglevTableSize?: number,
): void {
  if (pinned(memory, name) !== NULL) return;
  const { type, keySize, valueSize, inner } = CILIUM_MAPS[kind] as (typeof CILIUM_MAPS)['cilium_lb4_maglev'];
  const spec = { keySize, valueSize, name, ...more };
  const map = more.singleOwner
    ? LruHashMap.create(memory, spec)
    : createMap(memory, type, spec, inner && table(inner, maglevTableSize));
  pin(memory, name, map.address);
}

const table = (inner: InnerShape, slots: number | undefined): InnerShape =>
  slots === undefined ? inner : { ...inner, valueSize: 4 * slots };
