import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { decodeObjects, type EndpointSlice, type Service } from '@ciliate/k8s';
import { addressText, LB4_KEY, LB6_KEY, LbMaps, Memory, maglevTables, pinnedEntries } from '@ciliate/maps';
import { expect, test } from 'vitest';
import { backendsOfSlice } from '../src/backends.ts';
import { type Algorithm, DEFAULT_LOAD_BALANCER_CONFIG } from '../src/config.ts';
import { type DesiredFrontend, desiredFrontends } from '../src/desired.ts';
import { FrontendWriter } from '../src/frontend_writer.ts';

interface Row {
  map: string;
  key_hex: string;
  value_hex: string;
}

interface Recorded {
  scenario: string;
  vip: string;
  port: number;
  protocol: number;
  revnat: number;
  flags: string[];
  flags2: string[];
  affinity_timeout: number;
  algorithm: string;
  scope: number;
  keyed_by_protocol: boolean;
  backends: { id: number; ip: string; port: number }[];
  source_ranges: string[];
  raw: Row[];
}

/** Written by Cilium's own packages, as its conformance scenarios hold them. */
const recorded: Recorded[] = JSON.parse(
  gunzipSync(readFileSync(new URL('./fixtures/services.json.gz', import.meta.url))).toString(),
);
const PROTOCOLS: Record<number, string> = { 6: 'TCP', 17: 'UDP', 132: 'SCTP' };
const MAGLEV_SIZE = 251;
/** Their values mean nothing; the recorder wrote 1 where the agent writes 0. */
const ONLY_KEYS = new Set(['cilium_lb_affinity_match', 'cilium_lb4_source_range', 'cilium_lb6_source_range']);

/** A Service and its slice that a recorded service can come from. */
function objectsOf(one: Recorded): { service: Service; slice: EndpointSlice } {
  const isNodePort = one.flags.includes('nodeport');
  const isBalanced = one.flags.includes('loadbalancer');
  const type = isNodePort ? 'NodePort' : isBalanced ? 'LoadBalancer' : 'ClusterIP';
  const isIpv6 = one.vip.includes(':');
  const ownAddress = isIpv6 ? 'fd00:96::ffff' : '10.96.255.255';
  const port = { port: isNodePort ? 1 : one.port, nodePort: isNodePort ? one.port : undefined };
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'a', annotations: { 'service.cilium.io/lb-algorithm': algorithmOf(one) } },
    spec: {
      type,
      clusterIP: type === 'ClusterIP' ? one.vip : ownAddress,
      ports: [{ protocol: PROTOCOLS[one.protocol], ...port }],
      externalTrafficPolicy: one.flags2.includes('two_scopes') ? 'Local' : undefined,
      sessionAffinity: one.flags.includes('affinity') ? 'ClientIP' : 'None',
      sessionAffinityConfig:
        one.affinity_timeout === 0 ? undefined : { clientIP: { timeoutSeconds: one.affinity_timeout } },
      loadBalancerSourceRanges: one.source_ranges,
    },
    status: isBalanced ? { loadBalancer: { ingress: [{ ip: one.vip }] } } : undefined,
  };
  const slice = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'a-1', labels: { 'kubernetes.io/service-name': 'a' } },
    addressType: isIpv6 ? 'IPv6' : 'IPv4',
    endpoints: one.backends.map(({ ip }) => ({ addresses: [ip], nodeName: 'there' })),
    ports: one.backends.slice(0, 1).map((backend) => ({ port: backend.port, protocol: PROTOCOLS[one.protocol] })),
  };
  const text = [service, slice].map((object) => JSON.stringify(object)).join('\n---\n');
  const [first, second] = decodeObjects(text, 'x.yaml');
  return { service: first as Service, slice: second as EndpointSlice };
}

const algorithmOf = ({ algorithm }: Recorded): Algorithm | undefined =>
  algorithm === 'random' || algorithm === 'maglev' ? algorithm : undefined;

/** Gives out numbers until those of the recording are next. */
function skipNumbers(writer: FrontendWriter, desired: DesiredFrontend, { revnat, backends }: Recorded): void {
  const dummy = { address: Uint8Array.of(1, 1, 1, 1), protocol: 'TCP', scope: 0 } as const;
  for (let port = 1; port < revnat; port++) writer.revNatId({ ...dummy, port });
  const first = Math.min(...backends.map(({ id }) => id));
  const skipped = backends.length === 0 ? 0 : first - 1;
  const others = Array.from({ length: skipped }, (_, i) => ({ ...desired.backends[0]!, ...dummy, port: i + 1 }));
  writer.number({ ...desired, backends: others });
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

function writtenRows(memory: Memory): Row[] {
  const names = ['services_v2', 'backends_v3', 'reverse_nat', 'source_range'].flatMap((name) =>
    [4, 6].map((n) => `cilium_lb${n}_${name}`),
  );
  const rows = [...names, 'cilium_lb_affinity_match'].flatMap((map) =>
    pinnedEntries(memory, map).map(({ key, value }) => ({ map, key_hex: hex(key), value_hex: hex(value) })),
  );
  const tables = [4, 6].flatMap((n) =>
    maglevTables(memory, n === 6).map(({ revNatId, backends }) => ({
      map: `cilium_lb${n}_maglev`,
      key_hex: revNatId.toString(16).padStart(4, '0'),
      value_hex: hex(new Uint8Array(backends.buffer)),
    })),
  );
  return [...rows, ...tables];
}

const sorted = (rows: Row[]): string[] =>
  rows.map(({ map, key_hex, value_hex }) => `${map} ${key_hex} ${ONLY_KEYS.has(map) ? '' : value_hex}`).sort();

/** What the recorder left out: protocols of keys where services are not told apart by them, the policy behind two scopes. */
function asRecorded({ map, key_hex, value_hex }: Row, one: Recorded): Row {
  const isService = /lb[46]_services/.test(map);
  const [key, value] = [Buffer.from(key_hex, 'hex'), Buffer.from(value_hex, 'hex')];
  if (isService && !one.keyed_by_protocol) key[key.length === LB4_KEY.size ? LB4_KEY.proto : LB6_KEY.proto] = 0;
  if (isService && one.flags2.includes('two_scopes')) value[8]! &= ~0x04;
  return { map, key_hex: hex(key), value_hex: hex(value) };
}

test.each(recorded)('$scenario: $vip port $port, reverse NAT id $revnat, has the bytes that Cilium wrote', (one) => {
  const { service, slice } = objectsOf(one);
  const config = {
    ...DEFAULT_LOAD_BALANCER_CONFIG,
    ...{ ipv6: true, nodeName: 'here', nodePortAddresses: [one.vip], maglevTableSize: MAGLEV_SIZE },
    algorithmAnnotation: algorithmOf(one) !== undefined,
  };
  const memory = Memory.create(8 * 1024 * 1024);
  const writer = new FrontendWriter(LbMaps.create(memory, { maxEntries: 100, maglevTableSize: MAGLEV_SIZE }), config);
  const isMeant = ({ frontend }: DesiredFrontend): boolean =>
    frontend.scope === one.scope && frontend.port === one.port && addressText(frontend.address) === one.vip;
  const desired = desiredFrontends(service, backendsOfSlice(slice), config).find(isMeant)!;
  skipNumbers(writer, desired, one);
  writer.update(desired);
  // Some were recorded without a table, to see what the programs do then.
  const hasTable = one.raw.some(({ map }) => map.endsWith('maglev'));
  const rows = writtenRows(memory).filter(({ map }) => hasTable || !map.endsWith('maglev'));
  expect(sorted(rows.map((row) => asRecorded(row, one)))).toEqual(sorted(one.raw));
});
