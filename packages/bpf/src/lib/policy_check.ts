import {
  type Address,
  isDeny,
  lpmPrefixLength,
  NULL,
  POLICY_FULL_PREFIX_BITS,
  POLICY_STATS_KEY,
  POLICY_STATS_VALUE,
  setPolicyKey,
} from '@ciliate/maps';
import { ICMP_DEST_UNREACH, IPPROTO_UDP } from '@ciliate/packet';
import type { Datapath, EndpointProgram } from '../datapath.ts';
import { noteDebug, noteLookup } from '../explain.ts';
import type { Skb } from '../skb.ts';
import { authLookup } from './auth.ts';
import { CT_EGRESS, CT_ESTABLISHED, CTX_ACT_OK, HOST_ID, htons, ntohs, POLICY_MATCH_NONE } from './common.ts';
import { DBG_L4_CREATE, DBG_POLICY_DENIED } from './dbg.ts';
import { DROP_ENCAP_PROHIBITED, DROP_INVALID, DROP_POLICY_AUTH_REQUIRED } from './drop_reasons.ts';
import { lookupRemoteEndpoint, tunnelEndpointOf } from './endpoints.ts';
import type { Family } from './family.ts';
import { add64 } from './metrics.ts';
import { directionName, sendPolicyVerdictNotify } from './notify.ts';
import { LPM_PROTO_PREFIX_BITS, policyCanAccess, portMask } from './policy.ts';
import { tupleDport, tupleNexthdr } from './tuple.ts';

const ICMP_FRAG_NEEDED = 4;
const ICMP_HEADER_LEN = 8;

/**
 * Asks an endpoint's policy about the packet whose tuple conntrack just looked up, sees to authentication and audit mode,
 * and tells of the verdict: of each denial, and of what a new connection was allowed by.
 *
 * @param remote  `struct remote_endpoint_info` of the peer on egress; on ingress the packet's source is looked up if needed
 * @returns CTX_ACT_OK or a drop code; `dp.policy` has the rest. Sources: bpf/lib/policy.h, bpf/bpf_lxc.c
 */
export function policyCan(
  dp: Datapath,
  fam: Family,
  ep: EndpointProgram,
  skb: Skb,
  dir: number,
  remoteIdentity: number,
  remote: Address,
  status: number,
): number {
  const m = dp.memory;
  const { policy } = dp;
  const proto = tupleNexthdr(m, fam, fam.tuple);
  const port = ntohs(tupleDport(m, fam, fam.tuple));
  let verdict = judge(dp, fam, ep, skb, dir, remoteIdentity);
  let authType = 0;
  if (verdict === DROP_POLICY_AUTH_REQUIRED) {
    const info = dir === CT_EGRESS ? remote : lookupRemoteEndpoint(dp, fam, fam.origSaddr);
    if (dir === CT_EGRESS || info !== NULL) {
      authType = policy.authType;
      verdict = authLookup(dp, ep.identity, remoteIdentity, tunnelEndpointOf(dp, info), authType);
    }
  }
  policy.authType = authType;
  if (verdict !== CTX_ACT_OK || status !== CT_ESTABLISHED)
    sendPolicyVerdictNotify(
      dp,
      fam,
      skb,
      ep.id,
      ep.policyVerdictLogFilter,
      remoteIdentity,
      port,
      proto,
      dir,
      verdict,
      policy,
    );
  return verdict;
}

/**
 * policy_can_egress, policy_can_ingress: what the endpoint's policy and audit mode say, nothing told yet.
 * @returns CTX_ACT_OK or a drop code, DROP_POLICY_AUTH_REQUIRED among them; `dp.policy` has the rest
 */
export function judge(
  dp: Datapath,
  fam: Family,
  ep: EndpointProgram,
  skb: Skb,
  dir: number,
  remoteIdentity: number,
): number {
  const m = dp.memory;
  const { policy } = dp;
  const proto = tupleNexthdr(m, fam, fam.tuple);
  const port = ntohs(tupleDport(m, fam, fam.tuple));
  policy.audited = false;
  let verdict = ask(dp, fam, ep, skb, dir, remoteIdentity, proto, port);
  if (verdict < 0 && verdict !== DROP_ENCAP_PROHIBITED && dp.config.policyAuditMode) {
    policy.audited = true;
    verdict = CTX_ACT_OK;
  }
  if (policy.authType !== 0) dp.extError = policy.authType;
  return verdict;
}

/** Without audit mode. */
function ask(
  dp: Datapath,
  fam: Family,
  ep: EndpointProgram,
  skb: Skb,
  dir: number,
  remoteIdentity: number,
  proto: number,
  port: number,
): number {
  const m = dp.memory;
  const { policy, headers, config } = dp;
  let dport = port;
  let verdict: number = CTX_ACT_OK;
  let asked = true;
  if (dir === CT_EGRESS && config.tunnelMode && ep.identity !== HOST_ID && isEncap(dp, proto, port)) {
    verdict = DROP_ENCAP_PROHIBITED;
    asked = false;
  } else if (proto === fam.icmp) {
    const icmp = skb.at(headers.l4Off, fam.isV6 ? 1 : ICMP_HEADER_LEN);
    if (icmp === NULL) {
      verdict = DROP_INVALID;
      asked = false;
    } else {
      dport = m.u8[icmp]!;
      asked = fam.isV6 || dport !== ICMP_DEST_UNREACH || m.u8[icmp + 1] !== ICMP_FRAG_NEEDED;
    }
  }
  if (asked) {
    const egress = dir === CT_EGRESS ? 1 : 0;
    const untracked = dir !== CT_EGRESS && headers.isFragment && !fam.fragments;
    verdict = policyCanAccess(
      m,
      ep.policy,
      dp.stack.policyKey,
      remoteIdentity,
      egress,
      proto,
      dport,
      untracked,
      policy,
    );
    if (dp.steps !== null) noteLookups(dp, ep, remoteIdentity, egress, proto, dport, port);
    if (policy.entry !== NULL && config.policyAccounting)
      account(dp, ep, policy.namesIdentity ? remoteIdentity : 0, egress, proto, port, skb.len);
  } else {
    policy.proxyPort = 0;
    policy.authType = 0;
    policy.matchType = POLICY_MATCH_NONE;
    policy.entry = NULL;
  }
  dp.steps?.push({
    kind: 'policy',
    endpoint: ep.id,
    direction: directionName(dir),
    remoteIdentity,
    protocol: proto,
    dport,
    verdict,
    proxyPort: policy.proxyPort,
    matchType: policy.matchType,
    entry: policy.entry,
  });
  if (dp.steps !== null && verdict < 0 && verdict !== DROP_ENCAP_PROHIBITED) {
    if (dir === CT_EGRESS) noteDebug(dp, DBG_POLICY_DENIED, ep.identity, remoteIdentity);
    else noteDebug(dp, DBG_POLICY_DENIED, remoteIdentity, ep.identity);
  }
  return verdict;
}

/** The lookups that `policyCanAccess` has made, made again for whoever wants to see them. */
function noteLookups(
  dp: Datapath,
  ep: EndpointProgram,
  remoteIdentity: number,
  egress: 0 | 1,
  proto: number,
  dport: number,
  port: number,
): void {
  const m = dp.memory;
  const key = dp.stack.policyKey;
  setPolicyKey(m, key, POLICY_FULL_PREFIX_BITS, remoteIdentity, egress, proto, dport);
  const l3 = ep.policy.lookup(key);
  noteLookup(dp, ep.policy, key, l3);
  if (l3 === NULL || !isDeny(m, l3)) {
    setPolicyKey(m, key, POLICY_FULL_PREFIX_BITS, 0, egress, proto, dport);
    noteLookup(dp, ep.policy, key, ep.policy.lookup(key));
  }
  const { entry, namesIdentity } = dp.policy;
  if (entry !== NULL && namesIdentity)
    noteDebug(dp, DBG_L4_CREATE, remoteIdentity, ep.identity, (htons(port) << 16) | proto);
}

const isEncap = (dp: Datapath, proto: number, port: number): boolean =>
  proto === IPPROTO_UDP && port === dp.config.node.tunnelPort;

/** __policy_account: counts the packet under the key of the entry that decided it. */
function account(
  dp: Datapath,
  ep: EndpointProgram,
  identity: number,
  egress: number,
  proto: number,
  port: number,
  bytes: number,
): void {
  const m = dp.memory;
  const { statsKey, statsValue } = dp.stack;
  const prefix = lpmPrefixLength(m, dp.policy.entry);
  m.u16[(statsKey + POLICY_STATS_KEY.endpoint_id) >> 1] = ep.id;
  m.u8[statsKey + POLICY_STATS_KEY.pad1] = 0;
  m.u8[statsKey + POLICY_STATS_KEY.prefix_len] = prefix;
  m.u32[(statsKey + POLICY_STATS_KEY.sec_label) >> 2] = identity;
  m.u8[statsKey + POLICY_STATS_KEY.egress] = egress;
  m.u8[statsKey + POLICY_STATS_KEY.protocol] = prefix < LPM_PROTO_PREFIX_BITS ? 0 : proto;
  m.u16[(statsKey + POLICY_STATS_KEY.dport) >> 1] = htons(port & portMask(prefix));
  let value = dp.policyStats.lookup(statsKey);
  if (value === NULL) {
    dp.policyStats.update(statsKey, statsValue); // which stays 0
    value = dp.policyStats.lookup(statsKey);
    if (value === NULL) return;
  }
  add64(m, value + POLICY_STATS_VALUE.packets, 1);
  add64(m, value + POLICY_STATS_VALUE.bytes, bytes);
}
