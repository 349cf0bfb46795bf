import { ENDPOINT_F_ATHOSTNS, ENDPOINT_F_HOST, endpointFlags, NULL } from '@ciliate/maps';
import { familyOf, validEthertype } from './bpf_lxc.ts';
import type { Datapath } from './datapath.ts';
import { noteDebug } from './explain.ts';
import {
  CTX_ACT_OK,
  HOST_ID,
  identityIsRemoteNode,
  identityMark,
  MARK_MAGIC_DECRYPT,
  MARK_MAGIC_HOST_MASK,
  MARK_MAGIC_IDENTITY,
  TC_INDEX_F_SKIP_NODEPORT,
} from './lib/common.ts';
import { DBG_DECAP } from './lib/dbg.ts';
import {
  DROP_FRAG_NOSUPPORT,
  DROP_INVALID,
  DROP_INVALID_IDENTITY,
  DROP_NO_TUNNEL_KEY,
  DROP_UNKNOWN_L3,
} from './lib/drop_reasons.ts';
import { identityFromTunnelId } from './lib/encap.ts';
import { identityOf, lookupEndpoint, lookupRemoteEndpoint } from './lib/endpoints.ts';
import type { Family } from './lib/family.ts';
import { hasIpHeader, readHeaders } from './lib/headers.ts';
import { redirect } from './lib/icmp6.ts';
import { routeL3 } from './lib/l3.ts';
import { localDelivery } from './lib/local_delivery.ts';
import { METRIC_INGRESS } from './lib/metrics.ts';
import { CONTINUE, type HostSite, nodeportLb } from './lib/nodeport.ts';
import {
  sendDropNotify,
  sendTraceNotify,
  TRACE_FROM_OVERLAY,
  TRACE_FROM_STACK,
  TRACE_PAYLOAD_LEN,
  TRACE_REASON_UNKNOWN,
} from './lib/notify.ts';
import type { Skb } from './skb.ts';

/**
 * The program at the tunnel device, for packets of pods on other nodes. Source: bpf/bpf_overlay.c.
 * Not modelled: encryption, multicast, egress gateway, VTEP.
 */
const ENDPOINT_MASK_HOST_DELIVERY = ENDPOINT_F_HOST | ENDPOINT_F_ATHOSTNS;
/** Notifications of this program name no endpoint. */
const NO_ENDPOINT = 0;

function siteOf(dp: Datapath): HostSite {
  dp.overlaySite ??= {
    id: NO_ENDPOINT,
    mac: dp.stack.overlayMac,
    ifindex: dp.config.node.overlay.ifindex,
    hostFirewall: false,
    recircle: (datapath, fam, skb, identity) => handleFromOverlay(datapath, fam, skb, identity),
  };
  return dp.overlaySite;
}

/** tc ingress of the tunnel device: the VNI says who sent the packet. */
export function cilFromOverlay(dp: Datapath, skb: Skb): number {
  dp.extError = 0;
  if (dp.config.nodePort) skb.tcIndex &= ~TC_INDEX_F_SKIP_NODEPORT;
  const type = validEthertype(dp.memory, skb);
  if (type < 0) return CTX_ACT_OK;
  const fam = familyOf(dp, type);
  const decrypted = isDecrypted(skb);
  let identity = 0;
  if (fam !== undefined && !decrypted) {
    if (skb.tunnelIdIn === undefined) return drop(dp, skb, 0, DROP_NO_TUNNEL_KEY);
    if (dp.steps !== null) noteDebug(dp, DBG_DECAP, skb.tunnelIdIn, 0);
    identity = identityFromTunnelId(dp, skb.tunnelIdIn, fam.isV6);
    if (identity === HOST_ID) return drop(dp, skb, identity, DROP_INVALID_IDENTITY);
  }
  const { ingressIfindex } = skb;
  sendTraceNotify(
    dp,
    skb,
    NO_ENDPOINT,
    decrypted ? TRACE_FROM_STACK : TRACE_FROM_OVERLAY,
    identity,
    0,
    0,
    ingressIfindex,
    TRACE_REASON_UNKNOWN,
    TRACE_PAYLOAD_LEN,
  );
  if (fam !== undefined && !decrypted && dp.known !== null && dp.steps === null) {
    const answer = dp.known.fromOverlay(dp, skb, identity);
    if (answer >= 0) return answer;
  }
  if (fam !== undefined) return handleFromOverlay(dp, fam, skb, identity);
  return type === dp.v4.ethType || type === dp.v6.ethType ? drop(dp, skb, identity, DROP_UNKNOWN_L3) : CTX_ACT_OK;
}

const isDecrypted = (skb: Skb): boolean => (skb.mark & MARK_MAGIC_HOST_MASK) === MARK_MAGIC_DECRYPT;

const drop = (dp: Datapath, skb: Skb, identity: number, error: number): number =>
  sendDropNotify(dp, skb, NO_ENDPOINT, identity, 0, 0, error, dp.extError, METRIC_INGRESS);

function handleFromOverlay(dp: Datapath, fam: Family, skb: Skb, tunnelIdentity: number): number {
  dp.extError = 0;
  const site = siteOf(dp);
  const { config, headers } = dp;
  let identity = tunnelIdentity;
  if (!hasIpHeader(fam, skb)) return drop(dp, skb, identity, DROP_INVALID);
  const unread = readHeaders(fam, skb, headers);
  if (!fam.fragments) {
    if (unread < 0) return drop(dp, skb, identity, unread);
    if (headers.isFragment) return drop(dp, skb, identity, DROP_FRAG_NOSUPPORT);
  }
  if (config.nodePort) {
    const skips = (skb.tcIndex & TC_INDEX_F_SKIP_NODEPORT) !== 0;
    skb.tcIndex &= ~TC_INDEX_F_SKIP_NODEPORT;
    if (!skips) {
      const ret = unread < 0 ? unread : nodeportLb(dp, fam, skb, site, identity);
      if (ret < 0) return drop(dp, skb, identity, ret);
      if (ret !== CONTINUE) return ret;
    }
  }
  // Other nodes speak for themselves with one identity: the ipcache knows which node it is. What was decrypted has no VNI.
  const info = lookupRemoteEndpoint(dp, fam, fam.saddr(skb));
  if (info !== NULL && (isDecrypted(skb) || identityIsRemoteNode(identity))) identity = identityOf(dp, fam, info);
  const to = lookupEndpoint(dp, fam, fam.daddr(skb));
  if (to !== NULL && (endpointFlags(dp.memory, to) & ENDPOINT_MASK_HOST_DELIVERY) === 0) {
    const ret = localDelivery(dp, fam, skb, site, identity, MARK_MAGIC_IDENTITY, to, METRIC_INGRESS, false, true);
    return ret < 0 ? drop(dp, skb, identity, ret) : ret;
  }
  if (!fam.isV6) skb.mark = identityMark(identity, MARK_MAGIC_IDENTITY);
  const routed = routeL3(dp, fam, skb, site, METRIC_INGRESS, site.mac, dp.stack.ciliumHostMac);
  if (routed < 0) return drop(dp, skb, identity, routed);
  return routed !== CTX_ACT_OK ? routed : redirect(skb, config.node.ciliumNetIfindex, 0);
}
