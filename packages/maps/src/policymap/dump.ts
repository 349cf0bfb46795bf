import { be16, le16, le32, u8protoText } from '../text.ts';
import {
  POLICY_ENTRY,
  POLICY_ENTRY_MASK,
  POLICY_FULL_PREFIX_BITS,
  POLICY_KEY,
  POLICY_PROTOCOL_BITS,
  POLICY_STATIC_PREFIX_BITS,
} from './layout.ts';
import { POLICY_STATS_KEY } from './stats_layout.ts';

const FULL_BITS = POLICY_FULL_PREFIX_BITS - POLICY_STATIC_PREFIX_BITS;
/** How `cilium-dbg` marks an entry without counters: the largest u64. */
const STAT_NOT_AVAILABLE = 2n ** 64n - 1n;
const AUTH_TYPES = ['disabled', 'spire', 'test-always-fail'];

/** An entry of a policy map as `cilium-dbg bpf policy get` shows it. */
export interface PolicyDump {
  key: Uint8Array;
  value: Uint8Array;
  /** Undefined: no packet was counted under its key. */
  stats: { packets: number; bytes: number } | undefined;
}

export const policyIdentity = (key: Uint8Array): number => le32(key, POLICY_KEY.secLabel);
/** Bits of protocol and port: 0..24. */
export const policyPrefixLen = (key: Uint8Array): number => le32(key, POLICY_KEY.prefixlen) - POLICY_STATIC_PREFIX_BITS;
const direction = (key: Uint8Array): number => key[POLICY_KEY.egress]!;
const isDenied = (value: Uint8Array): boolean => (value[POLICY_ENTRY.flags]! & POLICY_ENTRY_MASK.deny) !== 0;

/** `80/TCP`, `64-127/TCP`, `TCP`, `ANY`. Source: pkg/maps/policymap, PortProtoString. */
export function portProtoText(key: Uint8Array): string {
  const protocol = u8protoText(key[POLICY_KEY.protocol]!);
  const dport = be16(key, POLICY_KEY.dport);
  const bits = policyPrefixLen(key);
  if (bits === 0 || bits === POLICY_PROTOCOL_BITS) return protocol;
  if (bits === FULL_BITS) return `${dport}/${protocol}`;
  if (bits < POLICY_PROTOCOL_BITS || bits > FULL_BITS) return `<INVALID PREFIX LENGTH: ${bits}>`;
  return `${dport}-${dport + (0xffff >>> (bits - POLICY_PROTOCOL_BITS))}/${protocol}`;
}

/** The cells of a row, labels and identity aside: policy, direction; port, proxy port, authentication, bytes, packets, prefix. */
export function policyCells({ key, value, stats }: PolicyDump): { before: string[]; after: string[] } {
  const proxyPort = be16(value, POLICY_ENTRY.proxyPort);
  const auth = value[POLICY_ENTRY.auth]! & POLICY_ENTRY_MASK.authType;
  return {
    before: [isDenied(value) ? 'Deny' : 'Allow', ['Ingress', 'Egress'][direction(key)] ?? 'Unknown'],
    after: [
      portProtoText(key),
      proxyPort === 0 ? 'NONE' : `${proxyPort}`,
      AUTH_TYPES[auth] ?? `Unknown-auth-type-${auth}`,
      `${stats?.bytes ?? '-'}`,
      `${stats?.packets ?? '-'}`,
      `${policyPrefixLen(key)}`,
    ],
  };
}

/** The order of `cilium-dbg`: denials, then ingress before egress, then by identity; it leaves the rest to chance. */
export function comparePolicyDumps(a: PolicyDump, b: PolicyDump): number {
  return (
    Number(isDenied(b.value)) - Number(isDenied(a.value)) ||
    direction(a.key) - direction(b.key) ||
    policyIdentity(a.key) - policyIdentity(b.key) ||
    a.key[POLICY_KEY.protocol]! - b.key[POLICY_KEY.protocol]! ||
    be16(a.key, POLICY_KEY.dport) - be16(b.key, POLICY_KEY.dport) ||
    policyPrefixLen(a.key) - policyPrefixLen(b.key)
  );
}

/** A record of `cilium-dbg bpf policy get -o json`; numbers above 2^53 are bigints. */
export function policyRecord({ key, value, stats }: PolicyDump): object {
  return {
    ProxyPortNetwork: le16(value, POLICY_ENTRY.proxyPort),
    Flags: value[POLICY_ENTRY.flags],
    AuthRequirement: value[POLICY_ENTRY.auth],
    ProxyPortPriority: value[POLICY_ENTRY.proxyPortPriority],
    Pad1: value[5],
    Pad2: le16(value, 6),
    Packets: stats?.packets ?? STAT_NOT_AVAILABLE,
    Bytes: stats?.bytes ?? STAT_NOT_AVAILABLE,
    Key: {
      Prefixlen: le32(key, POLICY_KEY.prefixlen),
      Identity: policyIdentity(key),
      TrafficDirection: direction(key),
      Nexthdr: key[POLICY_KEY.protocol],
      DestPortNetwork: le16(key, POLICY_KEY.dport),
    },
  };
}

/** The key in cilium_policystats under which packets of this entry are counted. */
export function policyStatsKey(endpointId: number, key: Uint8Array): Uint8Array {
  const stats = new Uint8Array(POLICY_STATS_KEY.size);
  stats[POLICY_STATS_KEY.endpoint_id] = endpointId;
  stats[POLICY_STATS_KEY.endpoint_id + 1] = endpointId >>> 8;
  stats[POLICY_STATS_KEY.prefix_len] = policyPrefixLen(key);
  stats.set(key.subarray(POLICY_KEY.secLabel), POLICY_STATS_KEY.sec_label);
  return stats;
}
