import type { InnerShape } from './inner_map.ts';
import {
  BPF_MAP_TYPE_ARRAY,
  BPF_MAP_TYPE_HASH,
  BPF_MAP_TYPE_HASH_OF_MAPS,
  BPF_MAP_TYPE_LPM_TRIE,
  BPF_MAP_TYPE_LRU_HASH,
  BPF_MAP_TYPE_LRU_PERCPU_HASH,
  BPF_MAP_TYPE_PERCPU_HASH,
  BPF_MAP_TYPE_PERF_EVENT_ARRAY,
  BPF_MAP_TYPE_PROG_ARRAY,
} from './map.ts';

/** What the agent creates a map with. */
export interface CiliumMap {
  /** BPF_MAP_TYPE_*. */
  type: number;
  keySize: number;
  valueSize: number;
  /** The agent's default; 0 = one for each worker. */
  maxEntries: number;
  /** Of a map of maps. Its value is one table of backend ids: the size here is that of the largest table. */
  inner?: InnerShape;
}

/** The maps of Cilium that its datapath uses here, by the names they are pinned under. Source: bpf/lib, pkg/maps. */
export const CILIUM_MAPS = {
  cilium_policy_v2: { type: BPF_MAP_TYPE_LPM_TRIE, keySize: 12, valueSize: 8, maxEntries: 16384 },
  cilium_policystats: { type: BPF_MAP_TYPE_LRU_PERCPU_HASH, keySize: 12, valueSize: 16, maxEntries: 65536 },
  cilium_ipcache_v2: { type: BPF_MAP_TYPE_LPM_TRIE, keySize: 24, valueSize: 24, maxEntries: 512000 },
  cilium_lxc: { type: BPF_MAP_TYPE_HASH, keySize: 20, valueSize: 48, maxEntries: 65535 },
  cilium_ct4_global: { type: BPF_MAP_TYPE_LRU_HASH, keySize: 14, valueSize: 56, maxEntries: 524288 },
  cilium_ct_any4_global: { type: BPF_MAP_TYPE_LRU_HASH, keySize: 14, valueSize: 56, maxEntries: 262144 },
  cilium_ct6_global: { type: BPF_MAP_TYPE_LRU_HASH, keySize: 38, valueSize: 56, maxEntries: 524288 },
  cilium_ct_any6_global: { type: BPF_MAP_TYPE_LRU_HASH, keySize: 38, valueSize: 56, maxEntries: 262144 },
  cilium_lb4_services_v2: { type: BPF_MAP_TYPE_HASH, keySize: 12, valueSize: 12, maxEntries: 65536 },
  cilium_lb4_backends_v3: { type: BPF_MAP_TYPE_HASH, keySize: 4, valueSize: 12, maxEntries: 65536 },
  cilium_lb4_reverse_nat: { type: BPF_MAP_TYPE_HASH, keySize: 2, valueSize: 6, maxEntries: 65536 },
  cilium_lb4_affinity: { type: BPF_MAP_TYPE_LRU_HASH, keySize: 16, valueSize: 16, maxEntries: 65536 },
  cilium_lb4_maglev: {
    type: BPF_MAP_TYPE_HASH_OF_MAPS,
    keySize: 2,
    valueSize: 4,
    maxEntries: 65536,
    inner: { type: BPF_MAP_TYPE_ARRAY, keySize: 4, valueSize: 130996, maxEntries: 1 },
  },
  cilium_lb4_source_range: { type: BPF_MAP_TYPE_LPM_TRIE, keySize: 12, valueSize: 1, maxEntries: 65536 },
  cilium_lb6_services_v2: { type: BPF_MAP_TYPE_HASH, keySize: 24, valueSize: 12, maxEntries: 65536 },
  cilium_lb6_backends_v3: { type: BPF_MAP_TYPE_HASH, keySize: 4, valueSize: 24, maxEntries: 65536 },
  cilium_lb6_reverse_nat: { type: BPF_MAP_TYPE_HASH, keySize: 2, valueSize: 18, maxEntries: 65536 },
  cilium_lb6_affinity: { type: BPF_MAP_TYPE_LRU_HASH, keySize: 24, valueSize: 16, maxEntries: 65536 },
  cilium_lb6_maglev: {
    type: BPF_MAP_TYPE_HASH_OF_MAPS,
    keySize: 2,
    valueSize: 4,
    maxEntries: 65536,
    inner: { type: BPF_MAP_TYPE_ARRAY, keySize: 4, valueSize: 130996, maxEntries: 1 },
  },
  cilium_lb6_source_range: { type: BPF_MAP_TYPE_LPM_TRIE, keySize: 24, valueSize: 1, maxEntries: 65536 },
  cilium_lb_affinity_match: { type: BPF_MAP_TYPE_HASH, keySize: 8, valueSize: 1, maxEntries: 65536 },
  cilium_snat_v4_external: { type: BPF_MAP_TYPE_LRU_HASH, keySize: 14, valueSize: 40, maxEntries: 524288 },
  cilium_snat_v6_external: { type: BPF_MAP_TYPE_LRU_HASH, keySize: 38, valueSize: 56, maxEntries: 524288 },
  cilium_nodeport_neigh4: { type: BPF_MAP_TYPE_LRU_HASH, keySize: 4, valueSize: 8, maxEntries: 524288 },
  cilium_nodeport_neigh6: { type: BPF_MAP_TYPE_LRU_HASH, keySize: 16, valueSize: 8, maxEntries: 524288 },
  cilium_metrics: { type: BPF_MAP_TYPE_PERCPU_HASH, keySize: 8, valueSize: 16, maxEntries: 1024 },
  cilium_ipv4_frag_datagrams: { type: BPF_MAP_TYPE_LRU_HASH, keySize: 12, valueSize: 4, maxEntries: 8192 },
  cilium_ipv6_frag_datagrams: { type: BPF_MAP_TYPE_LRU_HASH, keySize: 40, valueSize: 4, maxEntries: 8192 },
  cilium_node_map_v2: { type: BPF_MAP_TYPE_HASH, keySize: 20, valueSize: 4, maxEntries: 16384 },
  cilium_auth_map: { type: BPF_MAP_TYPE_HASH, keySize: 12, valueSize: 8, maxEntries: 524288 },
  cilium_runtime_config: { type: BPF_MAP_TYPE_ARRAY, keySize: 4, valueSize: 8, maxEntries: 256 },
  cilium_ratelimit: { type: BPF_MAP_TYPE_LRU_HASH, keySize: 8, valueSize: 16, maxEntries: 1024 },
  cilium_calls: { type: BPF_MAP_TYPE_PROG_ARRAY, keySize: 4, valueSize: 4, maxEntries: 48 },
  cilium_call_policy: { type: BPF_MAP_TYPE_PROG_ARRAY, keySize: 4, valueSize: 4, maxEntries: 65535 },
  cilium_egresscall_policy: { type: BPF_MAP_TYPE_PROG_ARRAY, keySize: 4, valueSize: 4, maxEntries: 65535 },
  cilium_events: { type: BPF_MAP_TYPE_PERF_EVENT_ARRAY, keySize: 4, valueSize: 4, maxEntries: 0 },
  cilium_signals: { type: BPF_MAP_TYPE_PERF_EVENT_ARRAY, keySize: 4, valueSize: 4, maxEntries: 0 },
} as const satisfies Record<string, CiliumMap>;
