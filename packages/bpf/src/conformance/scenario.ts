/** The published datapath scenarios, as far as they are read here. Formats: README of the conformance set `datapath`. */
export interface Scenario {
  name: string;
  config: { name: string; defines: string[] };
  node: ScenarioNode;
  endpoints: ScenarioEndpoint[];
  ipcache: MapRow[];
  lxc_map: MapRow[];
  services: { raw: (MapRow & { map: string })[] }[];
  auth_map: MapRow[];
  node_map: MapRow[];
  steps: Step[];
  /** A choice at random was made: a right run equals one of these as a whole. */
  acceptable_runs?: { steps: Expected[] }[];
  nondeterministic_paths?: string[];
}

export interface MapRow {
  key_hex: string;
  value_hex: string;
}

export interface ScenarioNode {
  ipv4: string;
  ipv6: string;
  router_ipv4: string;
  router_ipv6: string;
  service_loopback_ipv4: string;
  eth0: { ifindex: number; mac: string };
  cilium_host: { ifindex: number; mac: string };
  cilium_net: { ifindex: number; mac: string };
  cilium_vxlan: { ifindex: number; mac: string };
  host_ep_id: number;
  maglev: { table_size: number; jhash0: number; jhash1: number };
}

export interface ScenarioEndpoint {
  id: number;
  ifindex: number;
  ipv4: string;
  ipv6: string;
  node_mac: string;
  identity: number;
  policy_verdict_log_filter: number;
  policy: MapRow[];
}

export type Step =
  | ({ op: 'packet'; expect: Expected } & PacketInput)
  | { op: 'advance_clock'; seconds: number }
  | { op: 'map_set'; map: string; key_hex: string; value_hex: string }
  | { op: 'map_delete'; map: string; key_hex: string };

export interface PacketInput {
  hook: 'from-container' | 'to-container' | 'policy' | 'from-netdev' | 'to-netdev' | 'from-host' | 'from-overlay';
  endpoint?: number;
  ifindex: number;
  ingress_ifindex: number;
  mark: number;
  cb: number[];
  packet_hex: string;
  tunnel_key_in?: { tunnel_id: number };
}

export interface Expected {
  ret: number;
  packet_hex_out: string;
  mark_out: number;
  redirect?: { ifindex: number; flags: number; helper: string; tc_index: number };
  tunnel_key?: { tunnel_id: number; remote_hex: string; flags: number };
  change_type?: number;
  events: { raw_hex: string; type: number }[];
  signals: { raw_hex: string }[];
  ct: { map: string; key_hex: string; value: Record<string, unknown> | null }[];
  metrics_by_reason_dir: { reason: number; dir: number; count: number; bytes: number }[];
  policy_stats: Record<string, number>[];
  other_maps?: Record<string, unknown>[];
}
