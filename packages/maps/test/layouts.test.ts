import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import {
  CT_ANY_MAX,
  CT_ENTRY,
  CT_ENTRY_FLAG,
  CT_TCP_MAX,
  ENDPOINT_INFO,
  ENDPOINT_KEY,
  IPCACHE_KEY,
  IPCACHE_MAP_NAME,
  IPCACHE_STATIC_PREFIX_BITS,
  IPV4_CT_TUPLE,
  IpcacheMap,
  LB4_BACKEND,
  LB4_BACKENDS_MAP_NAME,
  LB4_KEY,
  LB4_REVERSE_NAT,
  LB4_REVERSE_NAT_MAP_NAME,
  LB4_SERVICE,
  LB4_SERVICES_MAP_NAME,
  LbMaps,
  LXC_MAP_NAME,
  LxcMap,
  Memory,
  openMap,
  POLICY_ENTRY,
  POLICY_ENTRY_MASK,
  POLICY_KEY,
  POLICY_STATIC_PREFIX_BITS,
  PolicyMap,
  pinned,
  REMOTE_ENDPOINT_FLAG,
  REMOTE_ENDPOINT_INFO,
} from '../src/index.ts';

interface Field {
  name: string;
  offset: number;
  size: number;
  mask?: number;
}
interface Facts {
  structs: Record<string, { size: number; fields: Field[] }>;
  maps: Record<string, { type_num: number; key_size: number; value_size: number; default_max_entries: number }>;
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
    LB4_SERVICES_MAP_NAME,
    LB4_BACKENDS_MAP_NAME,
    LB4_REVERSE_NAT_MAP_NAME,
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
