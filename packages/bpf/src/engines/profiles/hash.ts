import { type Address, isDeny, type Memory, NULL, proxyPort, setDeny, setProxyPort } from '@ciliate/maps';
import {
  CTX_ACT_OK,
  POLICY_MATCH_ALL,
  POLICY_MATCH_L3_L4,
  POLICY_MATCH_L3_ONLY,
  POLICY_MATCH_L4_ONLY,
} from '../../lib/common.ts';
import { DROP_FRAG_NOSUPPORT, DROP_POLICY, DROP_POLICY_DENY } from '../../lib/drop_reasons.ts';
import type { EngineEntry, EngineKey } from '../engine.ts';
import { portPrefix } from '../entry_key.ts';
import type { Lookup, Profile, ProfileVerdict } from './profile.ts';

/** `struct policy_key` up to 1.13: identity u32, dport be16, protocol u8, egress bit 0. */
const KEY = { size: 8, identity: 0, dport: 4 } as const;

function setHashKey(m: Memory, at: Address, identity: number, egress: 0 | 1, protocol: number, dport: number): void {
  m.u32[(at + KEY.identity) >> 2] = identity;
  m.u32[(at + KEY.dport) >> 2] = (dport >>> 8) | ((dport & 0xff) << 8) | (protocol << 16) | (egress << 24);
}

function writeKey(m: Memory, at: Address, key: EngineKey): void {
  setHashKey(m, at, key.identity, key.egress ? 1 : 0, key.protocol, portPrefix(key));
}

function writeValue(m: Memory, at: Address, entry: EngineEntry): void {
  setProxyPort(m, at, entry.proxyPort);
  setDeny(m, at, entry.deny);
}

/** The first exact key that is found decides. Entries without a port never redirect. */
function decide(
  m: Memory,
  map: Lookup,
  key: Address,
  identity: number,
  egress: 0 | 1,
  protocol: number,
  dport: number,
  isFragment: boolean,
  triesAnyPort: boolean,
  out: ProfileVerdict,
): number {
  out.clear();
  if (!isFragment) {
    setHashKey(m, key, identity, egress, protocol, dport);
    let entry = map.lookup(key);
    if (entry !== NULL) return accept(m, entry, POLICY_MATCH_L3_L4, true, out);
    setHashKey(m, key, 0, egress, protocol, dport);
    entry = map.lookup(key);
    if (entry !== NULL) return accept(m, entry, POLICY_MATCH_L4_ONLY, true, out);
    if (triesAnyPort) {
      setHashKey(m, key, 0, egress, protocol, 0);
      entry = map.lookup(key);
      if (entry !== NULL) return accept(m, entry, POLICY_MATCH_L4_ONLY, false, out);
    }
  }
  setHashKey(m, key, identity, egress, 0, 0);
  const l3 = map.lookup(key);
  if (l3 !== NULL) return accept(m, l3, POLICY_MATCH_L3_ONLY, false, out);
  setHashKey(m, key, 0, egress, 0, 0);
  const any = map.lookup(key);
  if (any !== NULL) return accept(m, any, POLICY_MATCH_ALL, false, out);
  return isFragment ? DROP_FRAG_NOSUPPORT : DROP_POLICY;
}

function accept(m: Memory, entry: Address, matchType: number, redirects: boolean, out: ProfileVerdict): number {
  out.entry = entry;
  out.matchType = matchType;
  if (isDeny(m, entry)) return DROP_POLICY_DENY;
  if (redirects) out.proxyPort = proxyPort(m, entry);
  return CTX_ACT_OK;
}

const BASE: Omit<Profile, 'name' | 'about' | 'maxLookups' | 'decide'> = {
  map: 'hash',
  keySize: KEY.size,
  valueSize: 24,
  knows: { ranges: false, auth: false, explicitAuth: false, priority: false, precedence: false, cookie: false },
  hasSkipMark: true,
  returnsProxyPort: true,
  icmpOfAnyFamily: true,
  writeKey,
  writeValue,
};

export const profile112: Profile = {
  ...BASE,
  name: '1.12',
  about: 'hash, up to 4 exact lookups',
  maxLookups: 4,
  decide: (m, map, key, identity, egress, protocol, dport, isFragment, out) =>
    decide(m, map, key, identity, egress, protocol, dport, isFragment, false, out),
};

export const profile113: Profile = {
  ...BASE,
  name: '1.13',
  about: 'as 1.12, and any port of the protocol for any identity: up to 5',
  maxLookups: 5,
  decide: (m, map, key, identity, egress, protocol, dport, isFragment, out) =>
    decide(m, map, key, identity, egress, protocol, dport, isFragment, true, out),
};
