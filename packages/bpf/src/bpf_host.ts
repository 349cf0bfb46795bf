import { type Address, ENDPOINT_F_ATHOSTNS, ENDPOINT_F_HOST, endpointFlags, NULL } from '@ciliate/maps';
import { ETH_P_ARP, ethType } from '@ciliate/packet';
import { cilLxcPolicy, familyOf, inheritIdentity, isFromProxy, toEgressPolicy, validEthertype } from './bpf_lxc.ts';
import type { Datapath, EndpointProgram } from './datapath.ts';
import {
  CTX_ACT_OK,
  CTX_ACT_REDIRECT,
  ETH_HLEN,
  getIdentity,
  HOST_ID,
  identityIsReserved,
  MARK_MAGIC_HOST,
  MARK_MAGIC_HOST_MASK,
  MARK_MAGIC_IDENTITY,
  MARK_MAGIC_OVERLAY,
  MARK_MAGIC_PROXY_EGRESS,
  MARK_MAGIC_PROXY_EGRESS_EPID,
  MARK_MAGIC_PROXY_INGRESS,
  MARK_MAGIC_SNAT_DONE,
  MARK_MAGIC_TO_PROXY,
  TC_INDEX_F_FROM_EGRESS_PROXY,
  TC_INDEX_F_FROM_INGRESS_PROXY,
  TC_INDEX_F_SKIP_HOST_FIREWALL,
  TC_INDEX_F_SKIP_NODEPORT,
  WORLD_ID,
  WORLD_IPV4_ID,
  WORLD_IPV6_ID,
} from './lib/common.ts';
import { noteIdentity } from './lib/dbg.ts';
import {
  DROP_FRAG_NOSUPPORT,
  DROP_INVALID,
  DROP_UNKNOWN_L3,
  DROP_UNROUTABLE,
  DROP_UNSUPPORTED_L2,
} from './lib/drop_reasons.ts';
import { encapAndRedirect } from './lib/encap.ts';
import { hasTunnelEndpoint, identityOf, lookupEndpoint, lookupRemoteEndpoint, skipsTunnel } from './lib/endpoints.ts';
import type { Family } from './lib/family.ts';
import { hasIpHeader, readHeaders } from './lib/headers.ts';
import { hostPolicyEgress, hostPolicyIngress, icmp6HostPolicy, SKIP_HOST_FIREWALL } from './lib/host_firewall.ts';
import { handleNeighbourSolicitation, isSolicitationAt } from './lib/icmp6_ndp.ts';
import { setMacs } from './lib/l3.ts';
import { localDelivery, PACKET_HOST } from './lib/local_delivery.ts';
import { METRIC_EGRESS, METRIC_INGRESS } from './lib/metrics.ts';
import { CONTINUE, type HostSite, natForward, nodeportLb } from './lib/nodeport.ts';
import {
  sendDropNotify,
  sendTraceNotify,
  TRACE_FROM_HOST,
  TRACE_FROM_NETWORK,
  TRACE_FROM_PROXY,
  TRACE_PAYLOAD_LEN,
  TRACE_REASON_UNKNOWN,
  TRACE_TO_NETWORK,
  TRACE_TO_STACK,
} from './lib/notify.ts';
import type { Skb } from './skb.ts';

/**
 * The programs at the node's own devices, IPv4 and IPv6. Source: bpf/bpf_host.c. `cilFromNetdev` sees what comes in from
 * the network, `cilFromHost` what the host's stack sends to pods (through cilium_host), `cilToNetdev` what leaves.
 * `cilToHost` sees what goes to the stack through cilium_host or cilium_net. Not modelled: encryption, egress gateway.
 */
const ENDPOINT_MASK_HOST_DELIVERY = ENDPOINT_F_HOST | ENDPOINT_F_ATHOSTNS;

/** The programs' own place: one instance for both devices, as in the published scenarios. */
function siteOf(dp: Datapath): HostSite {
  dp.hostSite ??= {
    id: dp.config.node.hostEndpointId,
    mac: dp.stack.netdevMac,
    ifindex: dp.config.node.netdev.ifindex,
    hostFirewall: dp.config.hostFirewall,
    recircle: (datapath, fam, skb, identity) => handleFromNetdev(datapath, fam, skb, identity),
  };
  return dp.hostSite;
}

/** tc ingress of a device of the node. @returns CTX_ACT_OK (to the stack), CTX_ACT_REDIRECT or CTX_ACT_DROP */
export function cilFromNetdev(dp: Datapath, skb: Skb): number {
  dp.extError = 0;
  const site = siteOf(dp);
  if (dp.config.nodePort) skb.tcIndex &= ~TC_INDEX_F_SKIP_NODEPORT;
  const type = validEthertype(dp.memory, skb);
  if (type < 0) {
    if (dp.config.hostFirewall) return dropIngress(dp, skb, site, 0, DROP_UNSUPPORTED_L2);
    sendTraceNotify(dp, skb, site.id, TRACE_TO_STACK, 0, 0, 0, 0, TRACE_REASON_UNKNOWN, 0);
    return CTX_ACT_OK;
  }
  return doNetdev(dp, skb, site, type, 0, TRACE_FROM_NETWORK, false);
}

/** tc egress of cilium_host: the host's stack sends to a pod. */
export function cilFromHost(dp: Datapath, skb: Skb): number {
  dp.extError = 0;
  const site = siteOf(dp);
  const type = validEthertype(dp.memory, skb);
  if (type < 0) {
    if (dp.config.hostFirewall)
      return sendDropNotify(dp, skb, site.id, HOST_ID, 0, 0, DROP_UNSUPPORTED_L2, 0, METRIC_EGRESS);
    sendTraceNotify(dp, skb, site.id, TRACE_TO_STACK, HOST_ID, 0, 0, 0, TRACE_REASON_UNKNOWN, 0);
    return CTX_ACT_OK;
  }
  if (dp.config.l7lb && (skb.mark & MARK_MAGIC_HOST_MASK) === MARK_MAGIC_PROXY_EGRESS_EPID) {
    const ret = toEgressPolicy(dp, undefined, skb);
    return ret < 0 ? sendDropNotify(dp, skb, site.id, 0, 0, 0, ret, 0, METRIC_EGRESS) : ret;
  }
  const point = isFromProxy(skb) ? TRACE_FROM_PROXY : TRACE_FROM_HOST;
  return doNetdev(dp, skb, site, type, inheritIdentity(dp, skb, type), point, true);
}

function doNetdev(
  dp: Datapath,
  skb: Skb,
  site: HostSite,
  type: number,
  marked: number,
  point: number,
  fromHost: boolean,
): number {
  const fam = familyOf(dp, type);
  if (fam === undefined) {
    const { ingressIfindex } = skb;
    sendTraceNotify(dp, skb, site.id, point, 0, 0, 0, ingressIfindex, TRACE_REASON_UNKNOWN, TRACE_PAYLOAD_LEN);
    if (!dp.config.hostFirewall || type === ETH_P_ARP) return CTX_ACT_OK;
    return dropIngress(dp, skb, site, marked, DROP_UNKNOWN_L3);
  }
  if (!hasIpHeader(fam, skb)) return sendDropNotify(dp, skb, site.id, marked, 0, 0, DROP_INVALID, 0, METRIC_INGRESS);
  // Who sent it: the mark says so, or the ipcache, unless that means the host, for what was masqueraded has its address.
  let identity = marked;
  let fromIpcache = 0;
  if (identityIsReserved(marked, dp.config.ipv4 && dp.config.ipv6)) {
    const info = lookupRemoteEndpoint(dp, fam, fam.saddr(skb));
    if (info !== NULL) {
      fromIpcache = identityOf(dp, fam, info);
      if (fromIpcache !== HOST_ID) identity = fromIpcache;
    }
    if (dp.steps !== null) noteIdentity(dp, fam, fam.saddr(skb), identity, info !== NULL);
  }
  const { ingressIfindex } = skb;
  sendTraceNotify(dp, skb, site.id, point, fromIpcache, 0, 0, ingressIfindex, TRACE_REASON_UNKNOWN, TRACE_PAYLOAD_LEN);
  return fromHost ? handleFromHost(dp, fam, skb, identity, fromIpcache) : handleFromNetdev(dp, fam, skb, identity);
}

const dropIngress = (dp: Datapath, skb: Skb, site: HostSite, identity: number, error: number): number =>
  sendDropNotify(dp, skb, site.id, identity, 0, 0, error, dp.extError, METRIC_INGRESS);

/** tail_handle_ipvX_from_netdev: node ports first, then (with host routing) straight to the pod. */
function handleFromNetdev(dp: Datapath, fam: Family, skb: Skb, identity: number): number {
  dp.extError = 0;
  const site = siteOf(dp);
  const err = prepare(dp, fam, skb);
  if (err < 0) return dropIngress(dp, skb, site, identity, err);
  if (fam.isV6 && dp.headers.nexthdr === fam.icmp) {
    if (isSolicitationAt(skb, dp.headers.l4Off)) {
      const answer = handleNeighbourSolicitation(dp, skb, site.mac, CTX_ACT_OK);
      return answer < 0 ? sendDropNotify(dp, skb, site.id, 0, 0, 0, answer, 0, METRIC_INGRESS) : answer;
    }
    const passes = icmp6HostPolicy(dp, skb);
    if (passes < 0) return dropIngress(dp, skb, site, identity, passes);
    if (passes === SKIP_HOST_FIREWALL) return toPodFromNetdev(dp, fam, skb, identity);
  }
  if (dp.config.nodePort) {
    const skips = (skb.tcIndex & TC_INDEX_F_SKIP_NODEPORT) !== 0;
    skb.tcIndex &= ~TC_INDEX_F_SKIP_NODEPORT;
    const ret = skips ? CONTINUE : nodeportLb(dp, fam, skb, site, identity);
    if (ret < 0) return dropIngress(dp, skb, site, identity, ret);
    if (ret !== CONTINUE) return ret;
  }
  if (dp.config.hostFirewall) {
    const skips = (skb.tcIndex & TC_INDEX_F_SKIP_HOST_FIREWALL) !== 0;
    skb.tcIndex &= ~TC_INDEX_F_SKIP_HOST_FIREWALL;
    const unknown = fam.isV6 ? WORLD_IPV6_ID : 0;
    const ret = skips ? CTX_ACT_OK : hostPolicyIngress(dp, fam, skb, unknown, dp.hostTrace, true);
    if (ret < 0) return dropIngress(dp, skb, site, identity, ret);
  }
  return toPodFromNetdev(dp, fam, skb, identity);
}

/** handle_ipvX_cont from a device: with host routing straight to the pod, else the stack routes it. */
function toPodFromNetdev(dp: Datapath, fam: Family, skb: Skb, identity: number): number {
  if (!dp.config.hostRouting) return CTX_ACT_OK;
  const site = siteOf(dp);
  const to = lookupEndpoint(dp, fam, fam.daddr(skb));
  if (to === NULL || isHostDelivery(dp, to)) return CTX_ACT_OK;
  const ret = localDelivery(dp, fam, skb, site, identity, MARK_MAGIC_IDENTITY, to, METRIC_INGRESS, false, false);
  return ret < 0 ? dropIngress(dp, skb, site, identity, ret) : ret;
}

function prepare(dp: Datapath, fam: Family, skb: Skb): number {
  if (!hasIpHeader(fam, skb)) return DROP_INVALID;
  const err = readHeaders(fam, skb, dp.headers);
  if (err < 0) return err;
  return !fam.fragments && dp.headers.isFragment ? DROP_FRAG_NOSUPPORT : 0;
}

const isHostDelivery = (dp: Datapath, endpoint: Address): boolean =>
  (endpointFlags(dp.memory, endpoint) & ENDPOINT_MASK_HOST_DELIVERY) !== 0;

/** tail_handle_ipvX_from_host: to a pod here, by the tunnel to another node, or back to the stack. */
function handleFromHost(dp: Datapath, fam: Family, skb: Skb, identity: number, ipcacheSrcId: number): number {
  dp.extError = 0;
  const site = siteOf(dp);
  const ret = enforceFromHost(dp, fam, skb, identity, ipcacheSrcId) || routeFromHost(dp, fam, skb, site, identity);
  if (ret < 0) return dropIngress(dp, skb, site, identity, ret);
  if (ret === CTX_ACT_OK && !dp.isFinal) setMacs(skb, NULL, dp.stack.ciliumNetMac);
  return ret;
}

/** The host's policy about what it sends to pods. @returns CTX_ACT_OK, CTX_ACT_REDIRECT (to the proxy) or a drop code */
function enforceFromHost(dp: Datapath, fam: Family, skb: Skb, identity: number, ipcacheSrcId: number): number {
  const { hostTrace: trace, config } = dp;
  dp.isFinal = false;
  trace.reason = TRACE_REASON_UNKNOWN;
  trace.monitor = TRACE_PAYLOAD_LEN;
  if (!fam.fragments || !fam.isV6 || config.hostFirewall) {
    const err = prepare(dp, fam, skb);
    if (err < 0) return err;
  }
  if (!config.hostFirewall) return CTX_ACT_OK;
  const passes = fam.isV6 && dp.headers.nexthdr === fam.icmp ? icmp6HostPolicy(dp, skb) : CTX_ACT_OK;
  if (passes !== CTX_ACT_OK) return passes < 0 ? passes : CTX_ACT_OK;
  return hostPolicyEgress(dp, fam, skb, identity, ipcacheSrcId, trace, true);
}

function routeFromHost(dp: Datapath, fam: Family, skb: Skb, site: HostSite, identity: number): number {
  const fromIngress = (skb.tcIndex & TC_INDEX_F_FROM_INGRESS_PROXY) !== 0;
  const fromEgress = (skb.tcIndex & TC_INDEX_F_FROM_EGRESS_PROXY) !== 0;
  let magic = fromIngress ? MARK_MAGIC_PROXY_INGRESS : MARK_MAGIC_IDENTITY;
  if (fromEgress) magic = MARK_MAGIC_PROXY_EGRESS;
  const to = lookupEndpoint(dp, fam, fam.daddr(skb));
  if (to !== NULL) {
    if (isHostDelivery(dp, to)) return CTX_ACT_OK;
    const delivered = localDelivery(dp, fam, skb, site, identity, magic, to, METRIC_INGRESS, true, false);
    dp.isFinal = !dp.config.bpfProgForIngressPolicy || dp.config.hostRouting;
    return delivered;
  }
  const info = lookupRemoteEndpoint(dp, fam, fam.daddr(skb));
  if (dp.config.tunnelMode && !skipsTunnel(dp, info) && hasTunnelEndpoint(dp, info)) {
    const dst = identityOf(dp, fam, info);
    const { reason, monitor } = dp.hostTrace;
    return encapAndRedirect(dp, skb, site.id, info, identity, dst, reason, monitor);
  }
  if (info === NULL) return DROP_UNROUTABLE;
  if (!fromIngress && !fromEgress && isWorld(dp, fam, identityOf(dp, fam, info))) return DROP_UNROUTABLE;
  return CTX_ACT_OK;
}

function isWorld(dp: Datapath, fam: Family, identity: number): boolean {
  if (identity === WORLD_ID) return true;
  return dp.config.ipv4 && dp.config.ipv6 && identity === (fam.isV6 ? WORLD_IPV6_ID : WORLD_IPV4_ID);
}

/** tc egress of a device of the node: replies of node ports and masqueraded pods get the node's addresses. */
export function cilToNetdev(dp: Datapath, skb: Skb): number {
  dp.extError = 0;
  const site = siteOf(dp);
  const magic = skb.mark & MARK_MAGIC_HOST_MASK;
  let identity = 0;
  if (magic === MARK_MAGIC_HOST || magic === MARK_MAGIC_OVERLAY) identity = HOST_ID;
  else if (magic === MARK_MAGIC_IDENTITY) identity = getIdentity(skb.mark);
  if (dp.config.l7lb && magic === MARK_MAGIC_PROXY_EGRESS_EPID) {
    const ret = toEgressPolicy(dp, undefined, skb);
    return ret < 0 ? sendDropNotify(dp, skb, site.id, identity, 0, 0, ret, 0, METRIC_EGRESS) : ret;
  }
  const trace = dp.hostTrace;
  trace.reason = TRACE_REASON_UNKNOWN;
  trace.monitor = 0;
  if (dp.config.hostFirewall && magic !== MARK_MAGIC_SNAT_DONE) {
    const ret = enforceToNetdev(dp, skb, identity);
    if (ret < 0) return sendDropNotify(dp, skb, site.id, identity, 0, 0, ret, dp.extError, METRIC_EGRESS);
    if (ret === CTX_ACT_REDIRECT) return ret;
  }
  const type = skb.len >= ETH_HLEN ? ethType(dp.memory.u8, skb.data) : 0;
  const fam = familyOf(dp, type);
  const isOverlay = dp.config.tunnelMode && magic === MARK_MAGIC_OVERLAY;
  if (dp.config.nodePort && magic !== MARK_MAGIC_SNAT_DONE && !isOverlay && fam !== undefined) {
    const ret = natForward(dp, fam, skb, site, identity);
    return ret < 0 ? sendDropNotify(dp, skb, site.id, identity, 0, 0, ret, dp.extError, METRIC_EGRESS) : ret;
  }
  const { reason, monitor } = trace;
  sendTraceNotify(dp, skb, site.id, TRACE_TO_NETWORK, identity, 0, 0, site.ifindex, reason, monitor);
  return CTX_ACT_OK;
}

/** handle_to_netdev_ipvX: the host's policy about what leaves. @param marked the sender as the mark says, 0 if it does not */
function enforceToNetdev(dp: Datapath, skb: Skb, marked: number): number {
  const type = validEthertype(dp.memory, skb);
  if (type < 0) return DROP_UNSUPPORTED_L2;
  const fam = familyOf(dp, type);
  if (fam === undefined) return type === ETH_P_ARP ? CTX_ACT_OK : DROP_UNKNOWN_L3;
  if (!hasIpHeader(fam, skb)) return DROP_INVALID;
  if (fam.isV6) {
    const err = readHeaders(fam, skb, dp.headers);
    if (err < 0) return err;
    const passes = dp.headers.nexthdr === fam.icmp ? icmp6HostPolicy(dp, skb) : CTX_ACT_OK;
    if (passes !== CTX_ACT_OK) return passes < 0 ? passes : CTX_ACT_OK;
  }
  // Only whether the host sent it counts; the ipcache may know better, unless that means the host again.
  let srcId = marked === HOST_ID ? HOST_ID : 0;
  const info = lookupRemoteEndpoint(dp, fam, fam.saddr(skb));
  const ipcacheSrcId = info === NULL ? 0 : identityOf(dp, fam, info);
  if (info !== NULL && ipcacheSrcId !== HOST_ID) srcId = ipcacheSrcId;
  return hostPolicyEgress(dp, fam, skb, srcId, ipcacheSrcId, dp.hostTrace, false);
}

/**
 * tc ingress of cilium_host and cilium_net: what goes to the node's stack, from pods and to the proxy.
 * @returns CTX_ACT_OK or CTX_ACT_DROP
 */
export function cilToHost(dp: Datapath, skb: Skb): number {
  dp.extError = 0;
  if ((skb.mark & 0xffff) === MARK_MAGIC_TO_PROXY) {
    // The program before has told of it, and has asked the policy of the pod that it is about.
    skb.packetType = PACKET_HOST;
    return CTX_ACT_OK;
  }
  if (dp.config.hostFirewall) return enforceToHost(dp, skb, true);
  tellToStack(dp, skb, 0, TRACE_REASON_UNKNOWN, 0);
  return CTX_ACT_OK;
}

function tellToStack(dp: Datapath, skb: Skb, identity: number, reason: number, monitor: number): void {
  const { hostEndpointId, ciliumHostIfindex } = dp.config.node;
  sendTraceNotify(dp, skb, hostEndpointId, TRACE_TO_STACK, identity, 0, 0, ciliumHostIfindex, reason, monitor);
}

/** tail_ipvX_host_policy_ingress. @param isTold with a trace, if nothing was told of the packet before */
function enforceToHost(dp: Datapath, skb: Skb, isTold: boolean): number {
  const { hostTrace: trace } = dp;
  const site = siteOf(dp);
  const type = validEthertype(dp.memory, skb);
  if (type < 0) return dropIngress(dp, skb, site, 0, DROP_UNSUPPORTED_L2);
  trace.reason = TRACE_REASON_UNKNOWN;
  trace.monitor = 0;
  let identity = 0;
  if (type !== ETH_P_ARP) {
    const fam = familyOf(dp, type);
    if (fam === undefined) return dropIngress(dp, skb, site, 0, DROP_UNKNOWN_L3);
    if (!fam.isV6) trace.monitor = TRACE_PAYLOAD_LEN;
    const ret = hostPolicyIngress(dp, fam, skb, 0, trace, false);
    identity = dp.srcIdentity;
    if (ret < 0) return dropIngress(dp, skb, site, identity, ret);
  }
  if (isTold) tellToStack(dp, skb, identity, trace.reason, trace.monitor);
  return CTX_ACT_OK;
}

/**
 * cil_host_policy for a pod's packet to the node, where pods have routes of their own: called by the pod's program.
 * @returns CTX_ACT_OK (to the stack) or CTX_ACT_DROP
 */
export function cilHostPolicyToHost(dp: Datapath, skb: Skb): number {
  dp.extError = 0;
  return enforceToHost(dp, skb, false);
}

/**
 * cil_host_policy for a packet of the node to a pod, where pods have routes of their own: it goes on to the pod's policy.
 * @returns what `cilLxcPolicy` answers, or CTX_ACT_DROP
 */
export function cilHostPolicyFromHost(dp: Datapath, ep: EndpointProgram, skb: Skb): number {
  dp.extError = 0;
  const ret = enforceToLxc(dp, skb);
  if (ret < 0) return sendDropNotify(dp, skb, siteOf(dp).id, HOST_ID, 0, 0, ret, dp.extError, METRIC_EGRESS);
  return cilLxcPolicy(dp, ep, skb, HOST_ID, false, true, false);
}

/** from_host_to_lxc. A redirect to the proxy is marked on the packet, but not followed, as in Cilium. */
function enforceToLxc(dp: Datapath, skb: Skb): number {
  const type = validEthertype(dp.memory, skb);
  if (type < 0) return DROP_UNSUPPORTED_L2;
  const fam = familyOf(dp, type);
  if (fam === undefined) return type === ETH_P_ARP ? CTX_ACT_OK : DROP_UNKNOWN_L3;
  if (!hasIpHeader(fam, skb)) return DROP_INVALID;
  return hostPolicyEgress(dp, fam, skb, HOST_ID, 0, dp.hostTrace, false);
}
