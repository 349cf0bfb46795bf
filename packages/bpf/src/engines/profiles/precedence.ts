import {
  type Address,
  authType,
  hasExplicitAuth,
  isDeny,
  lpmPrefixLength,
  type Memory,
  NULL,
  POLICY_FULL_PREFIX_BITS,
  POLICY_KEY,
  proxyPort,
  setPolicyKey,
} from '@ciliate/maps';
import { CTX_ACT_OK } from '../../lib/common.ts';
import {
  DROP_FRAG_NOSUPPORT,
  DROP_POLICY,
  DROP_POLICY_AUTH_REQUIRED,
  DROP_POLICY_DENY,
} from '../../lib/drop_reasons.ts';
import { matchType } from '../../lib/policy.ts';
import { readCookie, setCookie, writeSharedFields, writeTrieKey } from './priority.ts';
import type { Lookup, Profile, ProfileVerdict } from './profile.ts';

/** Of the value of 1.19: u32, host order. */
const PRECEDENCE = 4;
/** The u32 with its top bit turned, as an i32: ordered as before, and never a number that V8 puts on the heap. */
const precedence = (m: Memory, entry: Address): number => m.i32[(entry + PRECEDENCE) >> 2]! ^ 0x8000_0000;
/** 0xffffffff, a deny of the highest level: nothing beats it, so it needs no second lookup. */
const MAX_PRECEDENCE = 0x7fff_ffff;

/** Two lookups; the higher precedence, then the longer prefix wins. A deny wins only by its precedence. */
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
  if (l3 !== NULL && precedence(m, l3) === MAX_PRECEDENCE) return choose(m, l3, NULL, true, out);
  setPolicyKey(m, key, POLICY_FULL_PREFIX_BITS, 0, egress, protocol, dport);
  const l4 = map.lookup(key);
  if (l4 !== NULL && (l3 === NULL || prefersL4(m, l3, l4))) return choose(m, l4, l3, false, out);
  if (l3 !== NULL) return choose(m, l3, l4, true, out);
  return isFragment ? DROP_FRAG_NOSUPPORT : DROP_POLICY;
}

function prefersL4(m: Memory, l3: Address, l4: Address): boolean {
  const byPrecedence = precedence(m, l4) - precedence(m, l3);
  return byPrecedence === 0 ? lpmPrefixLength(m, l4) > lpmPrefixLength(m, l3) : byPrecedence > 0;
}

function choose(m: Memory, chosen: Address, other: Address, namesIdentity: boolean, out: ProfileVerdict): number {
  out.entry = chosen;
  out.matchType = matchType(lpmPrefixLength(m, chosen), namesIdentity);
  out.cookie = readCookie(m, chosen);
  if (isDeny(m, chosen)) return DROP_POLICY_DENY;
  out.proxyPort = proxyPort(m, chosen);
  let auth = authType(m, chosen);
  const inherits = other !== NULL && !hasExplicitAuth(m, chosen) && precedence(m, other) === precedence(m, chosen);
  if (inherits) auth = Math.max(auth, authType(m, other));
  if (auth === 0) return CTX_ACT_OK;
  out.authType = auth;
  return DROP_POLICY_AUTH_REQUIRED;
}

export const profile119: Profile = {
  name: '1.19',
  about: 'LPM trie; one 32-bit precedence decides, then the longer prefix',
  map: 'lpm-trie',
  keySize: POLICY_KEY.size,
  valueSize: 12,
  maxLookups: 2,
  knows: { ranges: true, auth: true, explicitAuth: true, priority: false, precedence: true, cookie: true },
  hasSkipMark: false,
  returnsProxyPort: false,
  icmpOfAnyFamily: false,
  writeKey: writeTrieKey,
  writeValue(m, at, entry) {
    writeSharedFields(m, at, entry);
    m.u32[(at + PRECEDENCE) >> 2] = entry.precedence ?? 0;
    setCookie(m, at, entry.cookie ?? 0);
  },
  decide,
};
