import {
  type Address,
  type Memory,
  NULL,
  POLICY_ENTRY,
  POLICY_KEY,
  POLICY_STATIC_PREFIX_BITS,
  setAuthType,
  setDeny,
  setHasExplicitAuth,
  setLpmPrefixLength,
  setPolicyKey,
  setProxyPort,
  setProxyPortPriority,
} from '@ciliate/maps';
import { policyCanAccess } from '../../lib/policy.ts';
import type { EngineEntry, EngineKey } from '../engine.ts';
import { portPrefix, prefixBits } from '../entry_key.ts';
import type { Lookup, Profile, ProfileVerdict } from './profile.ts';

/** Of the value of 1.18-cookie and 1.19: u32, host order. */
const COOKIE = 8;

/** The key of every release with an LPM trie. */
export function writeTrieKey(m: Memory, at: Address, key: EngineKey): void {
  const bits = POLICY_STATIC_PREFIX_BITS + prefixBits(key);
  setPolicyKey(m, at, bits, key.identity, key.egress ? 1 : 0, key.protocol, portPrefix(key));
}

/** What 1.17, 1.18 and 1.19 have in common. */
export function writeSharedFields(m: Memory, at: Address, entry: EngineEntry): void {
  setLpmPrefixLength(m, at, prefixBits(entry));
  setDeny(m, at, entry.deny);
  setProxyPort(m, at, entry.proxyPort);
  setAuthType(m, at, entry.authType);
  setHasExplicitAuth(m, at, entry.hasExplicitAuth);
}

export function writePriorityValue(m: Memory, at: Address, entry: EngineEntry): void {
  writeSharedFields(m, at, entry);
  setProxyPortPriority(m, at, entry.proxyPortPriority);
}

export const setCookie = (m: Memory, at: Address, cookie: number): void => {
  m.u32[(at + COOKIE) >> 2] = cookie;
};
/** Also of a deny; 0 if nothing matched. Signed: see `ProfileVerdict.cookie`. */
export const readCookie = (m: Memory, entry: Address): number => (entry === NULL ? 0 : m.i32[(entry + COOKIE) >> 2]!);

/**
 * 1.17 and 1.18: two lookups, unless the entry for the identity is a deny; then a deny, a higher proxy priority, a
 * longer prefix decides, in this order. The rule is the datapath's own, `policyCanAccess`.
 */
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
  out.cookie = 0;
  return policyCanAccess(m, map, key, identity, egress, protocol, dport, isFragment, out);
}

const BASE: Omit<Profile, 'name' | 'about' | 'valueSize'> = {
  map: 'lpm-trie',
  keySize: POLICY_KEY.size,
  maxLookups: 2,
  knows: { ranges: true, auth: true, explicitAuth: true, priority: true, precedence: false, cookie: false },
  hasSkipMark: false,
  returnsProxyPort: false,
  icmpOfAnyFamily: false,
  writeKey: writeTrieKey,
  writeValue: writePriorityValue,
  decide,
};

export const profile117: Profile = {
  ...BASE,
  name: '1.17',
  about: 'LPM trie; a deny, the proxy priority, the longer prefix decides; counters in the entry',
  valueSize: 24,
};

export const profile118: Profile = {
  ...BASE,
  name: '1.18',
  about: 'as 1.17; the entry has no counters',
  valueSize: POLICY_ENTRY.size,
};

export const profile118Cookie: Profile = {
  ...BASE,
  name: '1.18-cookie',
  about: 'as 1.18; the entry has a cookie for the policy log',
  valueSize: 12,
  knows: { ...BASE.knows, cookie: true },
  writeValue(m, at, entry) {
    writePriorityValue(m, at, entry);
    setCookie(m, at, entry.cookie ?? 0);
  },
  decide(m, map, key, identity, egress, protocol, dport, isFragment, out) {
    const ret = policyCanAccess(m, map, key, identity, egress, protocol, dport, isFragment, out);
    out.cookie = readCookie(m, out.entry);
    return ret;
  },
};
