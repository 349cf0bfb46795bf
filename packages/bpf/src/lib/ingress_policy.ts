import { NULL } from '@ciliate/maps';
import { IPPROTO_ICMPV6 } from '@ciliate/packet';
import { hasPerPacketLb } from '../config.ts';
import type { Datapath, EndpointProgram } from '../datapath.ts';
import { noteDebug } from '../explain.ts';
import type { Skb } from '../skb.ts';
import {
  CT_ESTABLISHED,
  CT_INGRESS,
  CT_NEW,
  CTX_ACT_OK,
  HOST_ID,
  htons,
  identityIsReserved,
  MARK_MAGIC_TO_PROXY,
  TC_INDEX_F_FROM_EGRESS_PROXY,
  TC_INDEX_F_FROM_INGRESS_PROXY,
} from './common.ts';
import { ctCreate, ctLookup, hasLoopbackEgressEntry } from './conntrack.ts';
import { DBG_CAPTURE_PROXY_PRE, DBG_LOCAL_DELIVERY, noteIdentity } from './dbg.ts';
import { DROP_INVALID, DROP_INVALID_TC_BUFFER } from './drop_reasons.ts';
import { identityOf, lookupRemoteEndpoint } from './endpoints.ts';
import type { Family } from './family.ts';
import { hasIpHeader, readHeaders } from './headers.ts';
import { isNdp } from './icmp6_ndp.ts';
import { lbRevNat } from './lb.ts';
import { METRIC_INGRESS, REASON_FORWARDED } from './metrics.ts';
import { directionName, sendTraceNotify, TRACE_TO_LXC, TRACE_TO_PROXY } from './notify.ts';
import { policyCan } from './policy_check.ts';
import { isZeroAddress, loadTupleAddresses, tupleSaddrAt } from './tuple.ts';

// The policy of a pod that a packet is about to reach. Source: bpf/bpf_lxc.c.

/** Answer of the ingress policy that means "to the proxy", before it becomes a mark. */
export const POLICY_ACT_PROXY_REDIRECT = 1 << 16;

/**
 * ipvX_policy: conntrack and policy of a pod that a packet is about to reach.
 * @param tailCalled false in `cilToContainer`: there a reserved identity is looked up again
 * @returns CTX_ACT_OK, POLICY_ACT_PROXY_REDIRECT or a drop code; `dp.srcIdentity` is who sent it
 */
export function ingressPolicy(
  dp: Datapath,
  fam: Family,
  ep: EndpointProgram,
  skb: Skb,
  markedIdentity: number,
  fromTunnel: boolean,
  tailCalled: boolean,
): number {
  const m = dp.memory;
  const { ct, ctNew, policy, config, headers } = dp;
  const { tuple } = fam;
  let srcIdentity = markedIdentity;
  dp.srcIdentity = srcIdentity;
  if (!hasIpHeader(fam, skb)) return DROP_INVALID;
  const err = readHeaders(fam, skb, headers);
  if (err < 0) return err;
  loadTupleAddresses(m, fam, tuple, skb, headers.nexthdr);
  const status = ctLookup(dp, fam, tuple, skb, CT_INGRESS, 'bidir', ct);
  if (status < 0) return status;
  noteConntrack(dp, ep, CT_INGRESS, status);

  if (!tailCalled) {
    if (fam.isV6 && headers.nexthdr === IPPROTO_ICMPV6 && isNdp(dp, skb)) return CTX_ACT_OK;
    if (identityIsReserved(srcIdentity, config.ipv4 && config.ipv6)) {
      const info = lookupRemoteEndpoint(dp, fam, fam.saddr(skb));
      const known = info === NULL ? HOST_ID : identityOf(dp, fam, info);
      if (known !== HOST_ID) srcIdentity = known;
      dp.srcIdentity = srcIdentity;
      if (dp.steps !== null) noteIdentity(dp, fam, fam.saddr(skb), srcIdentity, info !== NULL);
    }
    if (dp.steps !== null) noteDebug(dp, DBG_LOCAL_DELIVERY, ep.id, ep.identity);
    dp.metrics.update(skb.len, METRIC_INGRESS, REASON_FORWARDED);
  }
  if (isZeroAddress(m, fam, tupleSaddrAt(fam, tuple))) return DROP_INVALID_TC_BUFFER;
  for (let i = 0; i < 4; i++) m.u32[(fam.origSaddr >> 2) + i] = i < fam.words ? m.u32[(fam.saddr(skb) >> 2) + i]! : 0;
  ctNew.reset();
  policy.proxyPort = 0;
  let proxyPort = 0;

  if (status !== CT_NEW && status !== CT_ESTABLISHED) {
    // Replies skip policy. Those to a proxy go there, unless it is the proxy that sent them.
    const fromEgressProxy = (skb.tcIndex & TC_INDEX_F_FROM_EGRESS_PROXY) !== 0;
    if ((config.l7lb && ct.fromL7lb) || (ct.proxyRedirect && !fromEgressProxy))
      return toProxy(dp, fam, ep, skb, srcIdentity, status);
    if (ct.revNatIndex !== 0) {
      const failed = lbRevNat(dp, fam, skb, ep.id, tuple, ct.revNatIndex, ct.loopback);
      if (failed < 0) return failed;
    }
  } else if ((skb.tcIndex & TC_INDEX_F_FROM_INGRESS_PROXY) === 0) {
    const verdict = allowedIn(dp, fam, ep, skb, srcIdentity, status);
    if (verdict !== CTX_ACT_OK) return verdict;
    proxyPort = policy.proxyPort;
  }
  if (status === CT_NEW) {
    ctNew.srcSecId = srcIdentity;
    ctNew.fromTunnel = fromTunnel;
    ctNew.proxyRedirect = proxyPort > 0;
    const failed = ctCreate(dp, fam, tuple, skb, CT_INGRESS, ctNew, true);
    if (failed < 0) return failed;
  }
  policy.proxyPort = proxyPort;
  if (proxyPort > 0) return toProxy(dp, fam, ep, skb, srcIdentity, status);
  sendTraceNotify(dp, skb, ep.id, TRACE_TO_LXC, srcIdentity, ep.identity, ep.id, ep.ifindex, status, ct.monitor, fam);
  dp.steps?.push({ kind: 'to-endpoint', endpoint: ep.id });
  return CTX_ACT_OK;
}

/** Policy, but for a pod that reaches itself through a service. */
function allowedIn(
  dp: Datapath,
  fam: Family,
  ep: EndpointProgram,
  skb: Skb,
  srcIdentity: number,
  status: number,
): number {
  const { config, ct, ctNew } = dp;
  if (!fam.isV6 && hasPerPacketLb(config)) {
    const isLoopbackSource = dp.memory.u32[fam.saddr(skb) >> 2] === config.node.serviceLoopbackIpv4;
    if (status === CT_NEW && isLoopbackSource && hasLoopbackEgressEntry(dp, fam, fam.tuple)) {
      ctNew.loopback = true;
      return CTX_ACT_OK;
    }
    if (ct.loopback) return CTX_ACT_OK;
  }
  return policyCan(dp, fam, ep, skb, CT_INGRESS, srcIdentity, NULL, status);
}

function toProxy(
  dp: Datapath,
  fam: Family,
  ep: EndpointProgram,
  skb: Skb,
  srcIdentity: number,
  status: number,
): number {
  const port = dp.policy.proxyPort;
  const { monitor } = dp.ct;
  sendTraceNotify(dp, skb, ep.id, TRACE_TO_PROXY, srcIdentity, ep.identity, port, ep.ifindex, status, monitor, fam);
  return POLICY_ACT_PROXY_REDIRECT;
}

/** The mark by which the stack gives the packet to the proxy's socket. @param port host order, 0 for replies */
export function redirectToProxy(dp: Datapath, ep: EndpointProgram, skb: Skb, port: number): number {
  skb.mark = (MARK_MAGIC_TO_PROXY | (htons(port) << 16)) >>> 0;
  dp.steps?.push({ kind: 'debug-capture', subType: DBG_CAPTURE_PROXY_PRE, arg1: htons(port) });
  dp.steps?.push({ kind: 'to-proxy', endpoint: ep.id, port });
  return CTX_ACT_OK;
}

const STATUS_NAMES = ['new', 'established', 'reply', 'related'] as const;

export function noteConntrack(dp: Datapath, ep: EndpointProgram, dir: number, status: number): void {
  dp.steps?.push({ kind: 'conntrack', endpoint: ep.id, direction: directionName(dir), status: STATUS_NAMES[status]! });
}
