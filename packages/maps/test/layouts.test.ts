import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import {
  AUTH_INFO,
  AUTH_KEY,
  CILIUM_MAPS,
  type CiliumMap,
  CT_ANY_MAX,
  CT_ENTRY,
  CT_ENTRY_FLAG,
  CT_TCP_MAX,
  createMap,
  DEBUG_CAPTURE_MSG,
  DEBUG_MSG,
  DROP_NOTIFY,
  ENDPOINT_INFO,
  ENDPOINT_KEY,
  IPCACHE_KEY,
  IPCACHE_MAP_NAME,
  IPCACHE_STATIC_PREFIX_BITS,
  IPV4_CT_TUPLE,
  IPV4_FRAG_ID,
  IPV4_FRAG_L4PORTS,
  IPV4_NAT_ENTRY,
  IPV6_CT_TUPLE,
  IPV6_FRAG_ID,
  IPV6_FRAG_L4PORTS,
  IPV6_NAT_ENTRY,
  IpcacheMap,
  LB_AFFINITY_MATCH,
  LB_AFFINITY_VAL,
  LB4_AFFINITY_KEY,
  LB4_AFFINITY_KEY_MASK,
  LB4_BACKEND,
  LB4_KEY,
  LB4_REVERSE_NAT,
  LB4_SERVICE,
  LB4_SRC_RANGE_KEY,
  LB6_AFFINITY_KEY,
  LB6_AFFINITY_KEY_MASK,
  LB6_BACKEND,
  LB6_KEY,
  LB6_REVERSE_NAT,
  LB6_SERVICE,
  LB6_SRC_RANGE_KEY,
  LbMaps,
  LXC_MAP_NAME,
  LxcMap,
  METRICS_KEY,
  METRICS_KEY_MASK,
  METRICS_VALUE,
  Memory,
  NODE_KEY,
  NODE_VALUE,
  openMap,
  POLICY_ENTRY,
  POLICY_ENTRY_MASK,
  POLICY_KEY,
  POLICY_STATIC_PREFIX_BITS,
  POLICY_STATS_KEY,
  POLICY_STATS_KEY_MASK,
  POLICY_STATS_VALUE,
  POLICY_VERDICT_NOTIFY,
  POLICY_VERDICT_NOTIFY_MASK,
  PolicyMap,
  pinned,
  RATELIMIT_KEY,
  RATELIMIT_VALUE,
  REMOTE_ENDPOINT_FLAG,
  REMOTE_ENDPOINT_INFO,
  TRACE_NOTIFY,
  TRACE_SOCK_NOTIFY,
  TRACE_SOCK_NOTIFY_MASK,
} from '../src/index.ts';

interface Field {
  name: string;
  offset: number;
  size: number;
  mask?: number;
}
interface MapFact {
  type_num: number;
  key_size: number;
  value_size: number;
  /** Missing: one for each CPU. */
  default_max_entries?: number;
  inner?: { type_num: number; key_size: number; value_size: number; max_entries: number };
}
interface Facts {
  structs: Record<string, { size: number; fields: Field[] }>;
  maps: Record<string, MapFact>;
}
const facts = JSON.parse(readFileSync(new URL('./fixtures/layouts.json', import.meta.url), 'utf8')) as Facts;

type Table = Readonly<Record<string, number>> & { size: number };
/** Our table, and the C name of a field where it is not the same (bit fields: of one that begins there). */
const tables: [struct: string, table: Table, names: Record<string, string>][] = [
  ['policy_key', POLICY_KEY, { prefixlen: 'lpm_key.prefixlen', secLabel: 'sec_label' }],
  [
    'policy_entry',
    POLICY_ENTRY,
    { proxyPort: 'proxy_port', flags: 'deny', auth: 'auth_type', proxyPortPriority: 'proxy_port_priority' },
  ],
  ['ipcache_key', IPCACHE_KEY, { prefixlen: 'lpm_key.prefixlen' }],
  ['remote_endpoint_info', REMOTE_ENDPOINT_INFO, { flags: 'flag_skip_tunnel', tunnel_endpoint: 'tunnel_endpoint.ip4' }],
  ['endpoint_key', ENDPOINT_KEY, {}],
  ['endpoint_info', ENDPOINT_INFO, {}],
  ['lb4_key', LB4_KEY, {}],
  ['lb4_service', LB4_SERVICE, {}],
  ['lb4_backend', LB4_BACKEND, {}],
  ['lb4_reverse_nat', LB4_REVERSE_NAT, {}],
  ['ipv4_ct_tuple', IPV4_CT_TUPLE, {}],
  ['ct_entry', CT_ENTRY, { flags: 'rx_closing' }],
];

test.each(tables)('struct %s: size and every offset', (struct, table, names) => {
  const { size, fields } = facts.structs[struct]!;
  const ours = Object.entries(table).filter(([name]) => name !== 'size');
  const theirs = ours.map(([name]) => {
    const cName = names[name] ?? name;
    return [name, fields.find((f) => f.name === cName)?.offset];
  });
  expect(ours).toEqual(theirs);
  expect(table.size).toBe(size);
});

const masks: [struct: string, masks: Readonly<Record<string, number>>, names: Record<string, string>, at: number][] = [
  ['ct_entry', CT_ENTRY_FLAG, {}, CT_ENTRY.flags],
  ['remote_endpoint_info', REMOTE_ENDPOINT_FLAG, {}, REMOTE_ENDPOINT_INFO.flags],
  ['policy_entry', POLICY_ENTRY_MASK, { lpmPrefixLength: 'lpm_prefix_length' }, POLICY_ENTRY.flags],
  [
    'policy_entry',
    POLICY_ENTRY_MASK,
    { authType: 'auth_type', hasExplicitAuth: 'has_explicit_auth_type' },
    POLICY_ENTRY.auth,
  ],
];

test.each(masks)('struct %s: bit masks', (struct, table, names, at) => {
  const inUnit = facts.structs[struct]!.fields.filter((f) => f.mask !== undefined && f.offset === at);
  const cNames = new Map(Object.entries(table).map(([name, mask]) => [names[name] ?? name, mask]));
  const shared = inUnit.filter((f) => cNames.has(f.name));
  expect(shared.length).toBeGreaterThan(1);
  expect(shared.map((f) => cNames.get(f.name))).toEqual(shared.map((f) => f.mask));
  if (table === CT_ENTRY_FLAG || table === REMOTE_ENDPOINT_FLAG) expect(shared).toHaveLength(cNames.size);
});

/** Our table, and the masks of its bit fields; all fields under their C names. */
const complete: [struct: string, table: Table, masks: Readonly<Record<string, number>>][] = [
  ['ipv6_ct_tuple', IPV6_CT_TUPLE, {}],
  ['lb6_key', LB6_KEY, {}],
  ['lb6_service', LB6_SERVICE, {}],
  ['lb6_backend', LB6_BACKEND, {}],
  ['lb6_reverse_nat', LB6_REVERSE_NAT, {}],
  ['lb4_affinity_key', LB4_AFFINITY_KEY, LB4_AFFINITY_KEY_MASK],
  ['lb6_affinity_key', LB6_AFFINITY_KEY, LB6_AFFINITY_KEY_MASK],
  ['lb_affinity_val', LB_AFFINITY_VAL, {}],
  ['lb_affinity_match', LB_AFFINITY_MATCH, {}],
  ['lb4_src_range_key', LB4_SRC_RANGE_KEY, {}],
  ['lb6_src_range_key', LB6_SRC_RANGE_KEY, {}],
  ['ipv4_nat_entry', IPV4_NAT_ENTRY, {}],
  ['ipv6_nat_entry', IPV6_NAT_ENTRY, {}],
  ['metrics_key', METRICS_KEY, METRICS_KEY_MASK],
  ['metrics_value', METRICS_VALUE, {}],
  ['policy_stats_key', POLICY_STATS_KEY, POLICY_STATS_KEY_MASK],
  ['policy_stats_value', POLICY_STATS_VALUE, {}],
  ['auth_key', AUTH_KEY, {}],
  ['auth_info', AUTH_INFO, {}],
  ['node_key', NODE_KEY, {}],
  ['node_value', NODE_VALUE, {}],
  ['ipv4_frag_id', IPV4_FRAG_ID, {}],
  ['ipv4_frag_l4ports', IPV4_FRAG_L4PORTS, {}],
  ['ipv6_frag_id', IPV6_FRAG_ID, {}],
  ['ipv6_frag_l4ports', IPV6_FRAG_L4PORTS, {}],
  ['drop_notify', DROP_NOTIFY, {}],
  ['trace_notify', TRACE_NOTIFY, {}],
  ['policy_verdict_notify', POLICY_VERDICT_NOTIFY, POLICY_VERDICT_NOTIFY_MASK],
  ['debug_msg', DEBUG_MSG, {}],
  ['debug_capture_msg', DEBUG_CAPTURE_MSG, {}],
  ['trace_sock_notify', TRACE_SOCK_NOTIFY, TRACE_SOCK_NOTIFY_MASK],
  ['ratelimit_key', RATELIMIT_KEY, {}],
  ['ratelimit_value', RATELIMIT_VALUE, {}],
];

test.each(complete)('struct %s: size, every field, every mask, and nothing else', (struct, table, masks) => {
  const { size, fields } = facts.structs[struct]!;
  expect(table).toEqual({ size, ...Object.fromEntries(fields.map((f) => [f.name, f.offset])) });
  const bits = fields.filter((f) => f.mask !== undefined);
  expect(masks).toEqual(Object.fromEntries(bits.map((f) => [f.name, f.mask])));
});

/** Written by the node's programs only; the facts leave them out. The recorded scenarios have their entries. */
const NOT_IN_FACTS = ['cilium_nodeport_neigh4', 'cilium_nodeport_neigh6'];
const factual = Object.entries<CiliumMap>(CILIUM_MAPS).filter(([name]) => !NOT_IN_FACTS.includes(name));

test.each(factual)('%s: type, sizes and entries as the agent makes it', (name, map) => {
  const fact = facts.maps[name]!;
  const { type, keySize, valueSize, maxEntries, inner } = map;
  expect({ type, keySize, valueSize, maxEntries }).toEqual({
    type: fact.type_num,
    keySize: fact.key_size,
    valueSize: fact.value_size,
    maxEntries: fact.default_max_entries ?? 0,
  });
  expect([inner?.type, inner?.keySize, inner?.valueSize, inner?.maxEntries]).toEqual([
    fact.inner?.type_num,
    fact.inner?.key_size,
    fact.inner?.value_size,
    fact.inner?.max_entries,
  ]);
  // And our maps take it.
  const memory = Memory.create(64 * 1024 * 1024);
  const spec = { keySize, valueSize, maxEntries: maxEntries === 0 ? 2 : maxEntries, cpus: 2, name };
  const created = createMap(memory, type, spec, inner);
  expect(openMap(memory, created.address, 1).spec).toMatchObject(spec);
  created.destroy();
  expect(memory.usedBytes).toBe(0);
});

test('every map of the facts is there', () => {
  expect(Object.keys(facts.maps).sort()).toEqual(factual.map(([name]) => name).sort());
});

test('the static bits of LPM keys end where the variable part begins', () => {
  expect(POLICY_STATIC_PREFIX_BITS).toBe((POLICY_KEY.protocol - POLICY_KEY.secLabel) * 8);
  expect(IPCACHE_STATIC_PREFIX_BITS).toBe((IPCACHE_KEY.ip4 - IPCACHE_KEY.cluster_id) * 8);
});

test('maps are created with the type, the sizes and the number of entries that the agent uses', () => {
  const memory = Memory.create();
  PolicyMap.create(memory, 1);
  IpcacheMap.create(memory);
  LxcMap.create(memory);
  LbMaps.create(memory);
  for (const name of [
    IPCACHE_MAP_NAME,
    LXC_MAP_NAME,
    ...['cilium_lb4_services_v2', 'cilium_lb4_backends_v3', 'cilium_lb4_reverse_nat', 'cilium_lb4_source_range'],
    ...['cilium_lb6_services_v2', 'cilium_lb6_backends_v3', 'cilium_lb6_reverse_nat', 'cilium_lb6_source_range'],
    ...['cilium_lb4_maglev', 'cilium_lb6_maglev', 'cilium_lb_affinity_match'],
    'cilium_policy_v2',
  ]) {
    const fact = facts.maps[name]!;
    const map = openMap(memory, pinned(memory, name === 'cilium_policy_v2' ? 'cilium_policy_v2_00001' : name));
    expect({ name, type: map.type, ...map.spec }).toMatchObject({
      type: fact.type_num,
      keySize: fact.key_size,
      valueSize: fact.value_size,
      maxEntries: fact.default_max_entries,
    });
  }
  const sizes = ['cilium_ct4_global', 'cilium_ct_any4_global'].map((name) => facts.maps[name]!.default_max_entries);
  expect([CT_TCP_MAX, CT_ANY_MAX]).toEqual(sizes);
});
