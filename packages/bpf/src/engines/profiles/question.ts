import { type Address, type Memory, NULL } from '@ciliate/maps';
import { IPPROTO_ICMP, IPPROTO_ICMPV6 } from '@ciliate/packet';
import { CTX_ACT_OK, htons } from '../../lib/common.ts';
import { DROP_INVALID } from '../../lib/drop_reasons.ts';
import type { Lookup, Profile, ProfileVerdict } from './profile.ts';

/** What the policy function of a release is asked about one packet. */
export interface PolicyQuestion {
  egress: boolean;
  identity: number;
  protocol: number;
  /** Host order. */
  dport: number;
  isFragment: boolean;
  family: 4 | 6;
  /** With ICMP rules on: the message's type and code, or that they cannot be read. Only of ICMP of either family. */
  icmp?: { type: number; code: number } | 'truncated';
  /** The packet carries the mark of reply and related traffic. */
  hasSkipMark: boolean;
}

const ICMP_DEST_UNREACH = 3;
const ICMP_FRAG_NEEDED = 4;

/**
 * The whole policy function of a release: ICMP, the lookups, the mark.
 *
 * @param key scratch, as for `Profile.decide`
 * @returns   what the C function returns: up to 1.13 a redirect is the proxy port's raw bytes
 */
export function askProfile(
  m: Memory,
  profile: Profile,
  map: Lookup,
  key: Address,
  question: PolicyQuestion,
  out: ProfileVerdict,
): number {
  const { egress, identity, protocol, isFragment, icmp } = question;
  let { dport } = question;
  out.clear();
  if (icmp !== undefined && hasIcmpRules(profile, question)) {
    if (icmp === 'truncated') return DROP_INVALID;
    const isFragNeeded = icmp.type === ICMP_DEST_UNREACH && icmp.code === ICMP_FRAG_NEEDED;
    if (protocol === IPPROTO_ICMP && isFragNeeded) return CTX_ACT_OK;
    dport = icmp.type;
  }
  const ret = profile.decide(m, map, key, identity, egress ? 1 : 0, protocol, dport, isFragment, out);
  if (out.entry === NULL && profile.hasSkipMark && question.hasSkipMark) return CTX_ACT_OK;
  return ret === CTX_ACT_OK && profile.returnsProxyPort ? htons(out.proxyPort) : ret;
}

function hasIcmpRules(profile: Profile, { protocol, family }: PolicyQuestion): boolean {
  if (protocol === IPPROTO_ICMP) return profile.icmpOfAnyFamily || family === 4;
  return protocol === IPPROTO_ICMPV6 && (profile.icmpOfAnyFamily || family === 6);
}
