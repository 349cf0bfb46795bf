import { type Address, ENDPOINT_F_ATHOSTNS, ENDPOINT_F_HOST, endpointFlags, NULL } from '@ciliate/maps';
import { ethType } from '@ciliate/packet';
import { familyOf, inheritIdentity, isFromProxy, toEgressPolicy, validEthertype } from './bpf_lxc.ts';
import type { Datapath } from './datapath.ts';
import {
  CTX_ACT_OK,
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
  TC_INDEX_F_FROM_EGRESS_PROXY,
  TC_INDEX_F_FROM_INGRESS_PROXY,
  TC_INDEX_F_SKIP_NODEPORT,
  WORLD_ID,
  WORLD_IPV4_ID,
  WORLD_IPV6_ID,
} from './lib/common.ts';
import { noteIdentity } from './lib/dbg.ts';
import { DROP_FRAG_NOSUPPORT, DROP_INVALID, DROP_UNROUTABLE } from './lib/drop_reasons.ts';
import { encapAndRedirect } from './lib/encap.ts';
import { hasTunnelEndpoint, identityOf, lookupEndpoint, lookupRemoteEndpoint, skipsTunnel } from './lib/endpoints.ts';
import type { Family } from './lib/family.ts';
import { hasIpHeader, readHeaders } from './lib/headers.ts';
import { handleNeighbourSolicitation, isSolicitationAt } from './lib/icmp6_ndp.ts';
import { setMacs } from './lib/l3.ts';
import { localDelivery } from './lib/local_delivery.ts';
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
 * Not modelled: the host firewall, encryption, egress gateway.
 */
const ENDPOINT_MASK_HOST_DELIVERY = ENDPOINT_F_HOST | ENDPOINT_F_ATHOSTNS;

/** The programs' own place: one instance for both devices, as in the published scenarios. */
function siteOf(dp: Datapath): HostSite {
  dp.hostSite ??= {
    id: dp.config.node.hostEndpointId,
    mac: dp.stack.netdevMac,
    ifindex: dp.config.node.netdev.ifindex,
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
    return CTX_ACT_OK;
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
  return fromHost ? handleFromHost(dp, fam, skb, identity) : handleFromNetdev(dp, fam, skb, identity);
}

const dropIngress = (dp: Datapath, skb: Skb, site: HostSite, identity: number, error: number): number =>
  sendDropNotify(dp, skb, site.id, identity, 0, 0, error, dp.extError, METRIC_INGRESS);

/** tail_handle_ipvX_from_netdev: node ports first, then (with host routing) straight to the pod. */
function handleFromNetdev(dp: Datapath, fam: Family, skb: Skb, identity: number): number {
  dp.extError = 0;
  const site = siteOf(dp);
  const err = prepare(dp, fam, skb);
  if (err < 0) return dropIngress(dp, skb, site, identity, err);
  if (fam.isV6 && dp.headers.nexthdr === fam.icmp && isSolicitationAt(skb, dp.headers.l4Off)) {
    const answer = handleNeighbourSolicitation(dp, skb, site.mac, CTX_ACT_OK);
    return answer < 0 ? sendDropNotify(dp, skb, site.id, 0, 0, 0, answer, 0, METRIC_INGRESS) : answer;
  }
  if (dp.config.nodePort) {
    const skips = (skb.tcIndex & TC_INDEX_F_SKIP_NODEPORT) !== 0;
    skb.tcIndex &= ~TC_INDEX_F_SKIP_NODEPORT;
    const ret = skips ? CONTINUE : nodeportLb(dp, fam, skb, site, identity);
    if (ret < 0) return dropIngress(dp, skb, site, identity, ret);
    if (ret !== CONTINUE) return ret;
  }
  if (!dp.config.hostRouting) return CTX_ACT_OK;
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
function handleFromHost(dp: Datapath, fam: Family, skb: Skb, identity: number): number {
  dp.extError = 0;
  const site = siteOf(dp);
  const ret = routeFromHost(dp, fam, skb, site, identity);
  if (ret < 0) return dropIngress(dp, skb, site, identity, ret);
  if (ret === CTX_ACT_OK && !dp.isFinal) setMacs(skb, NULL, dp.stack.ciliumNetMac);
  return ret;
}

function routeFromHost(dp: Datapath, fam: Family, skb: Skb, site: HostSite, identity: number): number {
  dp.isFinal = false;
  if (!fam.fragments || !fam.isV6) {
    const err = prepare(dp, fam, skb);
    if (err < 0) return err;
  }
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
    return encapAndRedirect(dp, skb, site.id, info, identity, dst, TRACE_REASON_UNKNOWN, TRACE_PAYLOAD_LEN);
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
  const type = skb.len >= ETH_HLEN ? ethType(dp.memory.u8, skb.data) : 0;
  const fam = familyOf(dp, type);
  const isOverlay = dp.config.tunnelMode && magic === MARK_MAGIC_OVERLAY;
  if (dp.config.nodePort && magic !== MARK_MAGIC_SNAT_DONE && !isOverlay && fam !== undefined) {
    const ret = natForward(dp, fam, skb, site, identity);
    return ret < 0 ? sendDropNotify(dp, skb, site.id, identity, 0, 0, ret, dp.extError, METRIC_EGRESS) : ret;
  }
  sendTraceNotify(dp, skb, site.id, TRACE_TO_NETWORK, identity, 0, 0, site.ifindex, TRACE_REASON_UNKNOWN, 0);
  return CTX_ACT_OK;
}
