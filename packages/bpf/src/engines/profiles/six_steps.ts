import {
  type Address,
  isDeny,
  type Memory,
  NULL,
  POLICY_FULL_PREFIX_BITS,
  POLICY_KEY,
  proxyPort,
  setPolicyKey,
  setProxyPort,
} from '@ciliate/maps';
import {
  CTX_ACT_OK,
  POLICY_MATCH_ALL,
  POLICY_MATCH_L3_L4,
  POLICY_MATCH_L3_ONLY,
  POLICY_MATCH_L3_PROTO,
  POLICY_MATCH_L4_ONLY,
  POLICY_MATCH_PROTO_ONLY,
} from '../../lib/common.ts';
import {
  DROP_FRAG_NOSUPPORT,
  DROP_POLICY,
  DROP_POLICY_AUTH_REQUIRED,
  DROP_POLICY_DENY,
} from '../../lib/drop_reasons.ts';
import type { EngineEntry, EngineKey } from '../engine.ts';
import { portPrefix } from '../entry_key.ts';
import { writeTrieKey } from './priority.ts';
import type { Lookup, Profile, ProfileVerdict } from './profile.ts';

/** `struct policy_entry` of 1.14 to 1.16: proxy port be16, flags (bit 0 deny), auth type u8, counters. */
const ENTRY = { size: 24, flags: 2, authType: 3 } as const;
const DENY = 0x01;
const WILDCARD_PROTOCOL = 0x02;
const WILDCARD_DPORT = 0x04;

const isAnyProtocol = (m: Memory, entry: Address): boolean => (m.u8[entry + ENTRY.flags]! & WILDCARD_PROTOCOL) !== 0;
const isAnyPort = (m: Memory, entry: Address): boolean => (m.u8[entry + ENTRY.flags]! & WILDCARD_DPORT) !== 0;

function writeValue(m: Memory, at: Address, entry: EngineEntry): void {
  setProxyPort(m, at, entry.proxyPort);
  m.u8[at + ENTRY.flags] =
    (entry.deny ? DENY : 0) |
    (entry.protocol === 0 ? WILDCARD_PROTOCOL : 0) |
    (portPrefix(entry) === 0 ? WILDCARD_DPORT : 0);
  m.u8[at + ENTRY.authType] = entry.authType;
}

/** Two lookups, unless the first finds a port; then six steps: port before protocol before any, identity before none. */
function decide(
  m: Memory,
  map: Lookup,
  key: Address,
  identity: number,
  egress: 0 | 1,
  protocol: number,
  dport: number,
  isFragment: boolean,
  out: ProfileVerdict,
): number {
  out.clear();
  setPolicyKey(m, key, POLICY_FULL_PREFIX_BITS, identity, egress, protocol, dport);
  const l3 = map.lookup(key);
  if (l3 !== NULL && !isAnyPort(m, l3)) return accept(m, l3, POLICY_MATCH_L3_L4, out);
  setPolicyKey(m, key, POLICY_FULL_PREFIX_BITS, 0, egress, protocol, dport);
  const l4 = map.lookup(key);
  if (l4 !== NULL && !isAnyPort(m, l4)) return accept(m, l4, POLICY_MATCH_L4_ONLY, out);
  if (l3 !== NULL && !isAnyProtocol(m, l3)) return accept(m, l3, POLICY_MATCH_L3_PROTO, out);
  if (l4 !== NULL && !isAnyProtocol(m, l4)) return accept(m, l4, POLICY_MATCH_PROTO_ONLY, out);
  if (l3 !== NULL) return accept(m, l3, POLICY_MATCH_L3_ONLY, out);
  if (l4 !== NULL) return accept(m, l4, POLICY_MATCH_ALL, out);
  return isFragment ? DROP_FRAG_NOSUPPORT : DROP_POLICY;
}

function accept(m: Memory, entry: Address, matchType: number, out: ProfileVerdict): number {
  out.entry = entry;
  out.matchType = matchType;
  if (isDeny(m, entry)) return DROP_POLICY_DENY;
  out.proxyPort = proxyPort(m, entry);
  out.authType = m.u8[entry + ENTRY.authType]!;
  return out.authType === 0 ? CTX_ACT_OK : DROP_POLICY_AUTH_REQUIRED;
}

const BASE: Omit<Profile, 'name' | 'about' | 'writeKey' | 'knows'> = {
  map: 'lpm-trie',
  keySize: POLICY_KEY.size,
  valueSize: ENTRY.size,
  maxLookups: 2,
  hasSkipMark: true,
  returnsProxyPort: false,
  icmpOfAnyFamily: false,
  writeValue,
  decide,
};
const KNOWS = { ranges: false, auth: true, explicitAuth: false, priority: false, precedence: false, cookie: false };

/** A port is the whole port. */
function writeKeyWithoutRanges(m: Memory, at: Address, key: EngineKey): void {
  writeTrieKey(m, at, { ...key, dport: portPrefix(key), portPrefixLen: 16 });
}

export const profile115: Profile = {
  ...BASE,
  name: '1.15',
  about: 'LPM trie, 1 or 2 lookups, six steps from the most to the least specific',
  knows: KNOWS,
  writeKey: writeKeyWithoutRanges,
};

export const profile116: Profile = {
  ...BASE,
  name: '1.16',
  about: 'as 1.15, with port ranges, which count as ports',
  knows: { ...KNOWS, ranges: true },
  writeKey: writeTrieKey,
};
