import {
  type Address,
  authType,
  hasExplicitAuth,
  isDeny,
  type LpmTrie,
  lpmPrefixLength,
  type Memory,
  NULL,
  POLICY_FULL_PREFIX_BITS,
  proxyPort,
  proxyPortPriority,
  setPolicyKey,
} from '@ciliate/maps';
import {
  CTX_ACT_OK,
  POLICY_MATCH_ALL,
  POLICY_MATCH_L3_L4,
  POLICY_MATCH_L3_ONLY,
  POLICY_MATCH_L3_PROTO,
  POLICY_MATCH_L4_ONLY,
  POLICY_MATCH_NONE,
  POLICY_MATCH_PROTO_ONLY,
} from './common.ts';
import { DROP_FRAG_NOSUPPORT, DROP_POLICY, DROP_POLICY_AUTH_REQUIRED, DROP_POLICY_DENY } from './drop_reasons.ts';

/** What a policy lookup says beside its return code. A worker owns one and uses it again for each packet. */
export class PolicyVerdict {
  /** Host order, 0 = no redirect. */
  proxyPort = 0;
  /** POLICY_MATCH_*. */
  matchType = POLICY_MATCH_NONE;
  /** Authentication type wanted; valid only with DROP_POLICY_AUTH_REQUIRED. */
  authType = 0;
  /** Address of the chosen entry's value, NULL = none matched. */
  entry: Address = NULL;
  /** The chosen entry names an identity; valid only if one matched. */
  namesIdentity = false;
  /** Audit mode let the packet through. */
  audited = false;
}

/** Bits of an entry's prefix that name the protocol; longer ones name a port or a part of one. */
export const LPM_PROTO_PREFIX_BITS = 8;
const LPM_FULL_PREFIX_BITS = 24;

/** The bits of a port, host order, that an entry with such a prefix names. */
export const portMask = (prefixBits: number): number =>
  prefixBits <= LPM_PROTO_PREFIX_BITS ? 0 : (0xffff << (LPM_FULL_PREFIX_BITS - prefixBits)) & 0xffff;

/**
 * Decides by an endpoint's policy map whether traffic may pass: two lookups, then a choice between what they found.
 *
 * @param key      address of 12 bytes of scratch for `struct policy_key`
 * @param egress   1 = egress, 0 = ingress
 * @param dport    host order; for ICMP the type
 * @param untrackedFragment  the ports are unknown (and 0), so only entries for any port can match
 * @param out      all its fields are set
 * @returns        CTX_ACT_OK or a negative drop code
 *
 * Never throws, never allocates. Not modelled: ICMP header checks (the caller gives the type), per-entry statistics.
 * Source: bpf/lib/policy.h, __policy_can_access.
 */
export function policyCanAccess(
  m: Memory,
  policy: Pick<LpmTrie, 'lookup'>,
  key: Address,
  remoteIdentity: number,
  egress: 0 | 1,
  protocol: number,
  dport: number,
  untrackedFragment: boolean,
  out: PolicyVerdict,
): number {
  out.proxyPort = 0;
  out.matchType = POLICY_MATCH_NONE;
  out.authType = 0;
  out.entry = NULL;
  setPolicyKey(m, key, POLICY_FULL_PREFIX_BITS, remoteIdentity, egress, protocol, dport);
  const l3 = policy.lookup(key);
  // 1. A deny wins; one for this identity needs no second lookup.
  if (l3 !== NULL && isDeny(m, l3)) return choose(m, l3, NULL, true, out);
  setPolicyKey(m, key, POLICY_FULL_PREFIX_BITS, 0, egress, protocol, dport);
  const l4 = policy.lookup(key);
  if (l4 !== NULL && (l3 === NULL || prefersL4(m, l3, l4))) return choose(m, l4, l3, false, out);
  if (l3 !== NULL) return choose(m, l3, l4, true, out);
  return untrackedFragment ? DROP_FRAG_NOSUPPORT : DROP_POLICY;
}

/** 1. a deny; 2. higher proxy port priority; 3. longer prefix; 4. on a tie, the entry that names an identity. */
function prefersL4(m: Memory, l3: Address, l4: Address): boolean {
  if (isDeny(m, l4)) return true;
  const byPriority = proxyPortPriority(m, l4) - proxyPortPriority(m, l3);
  if (byPriority !== 0) return byPriority > 0;
  return lpmPrefixLength(m, l4) > lpmPrefixLength(m, l3);
}

function choose(m: Memory, chosen: Address, other: Address, namesIdentity: boolean, out: PolicyVerdict): number {
  out.entry = chosen;
  out.namesIdentity = namesIdentity;
  out.matchType = matchType(lpmPrefixLength(m, chosen), namesIdentity);
  if (isDeny(m, chosen)) return DROP_POLICY_DENY;
  out.proxyPort = proxyPort(m, chosen);
  // An entry without authentication of its own takes that of the entry it beat, if that asks for more.
  let auth = authType(m, chosen);
  if (other !== NULL && !hasExplicitAuth(m, chosen)) auth = Math.max(auth, authType(m, other));
  if (auth === 0) return CTX_ACT_OK;
  out.authType = auth;
  return DROP_POLICY_AUTH_REQUIRED;
}

/** POLICY_MATCH_* of an entry whose key has so many bits beyond the static ones. */
export function matchType(prefixBits: number, namesIdentity: boolean): number {
  if (prefixBits > LPM_PROTO_PREFIX_BITS) return namesIdentity ? POLICY_MATCH_L3_L4 : POLICY_MATCH_L4_ONLY;
  if (prefixBits > 0) return namesIdentity ? POLICY_MATCH_L3_PROTO : POLICY_MATCH_PROTO_ONLY;
  return namesIdentity ? POLICY_MATCH_L3_ONLY : POLICY_MATCH_ALL;
}
