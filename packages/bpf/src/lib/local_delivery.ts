import { type Address, endpointIfindex, endpointLxcId, endpointMacAt, endpointNodeMacAt } from '@ciliate/maps';
import { cilLxcPolicy } from '../bpf_lxc.ts';
import type { Datapath } from '../datapath.ts';
import { noteDebug } from '../explain.ts';
import type { Skb } from '../skb.ts';
import { CTX_ACT_OK, CTX_ACT_REDIRECT, identityMark } from './common.ts';
import { DBG_LOCAL_DELIVERY } from './dbg.ts';
import { DROP_EP_NOT_READY } from './drop_reasons.ts';
import type { Family } from './family.ts';
import { redirect, type Site } from './icmp6.ts';
import { routeL3 } from './l3.ts';
import { REASON_FORWARDED } from './metrics.ts';

export const PACKET_HOST = 0;

/**
 * ipv4_local_delivery, ipv6_local_delivery: as a router would, then the ingress policy program of the destination.
 * Source: bpf/lib/local_delivery.h.
 * @param site      of the program that runs
 * @param to        `struct endpoint_info` of the destination
 * @param magic     MARK_MAGIC_* for the mark, if policy is asked at the other end
 * @param direction METRIC_*
 */
export function localDelivery(
  dp: Datapath,
  fam: Family,
  skb: Skb,
  site: Site,
  identity: number,
  magic: number,
  to: Address,
  direction: number,
  fromHost: boolean,
  fromTunnel: boolean,
): number {
  const m = dp.memory;
  if (dp.steps !== null) noteDebug(dp, DBG_LOCAL_DELIVERY, endpointLxcId(m, to), identity);
  const err = routeL3(dp, fam, skb, site, direction, endpointNodeMacAt(to), endpointMacAt(to));
  if (err !== CTX_ACT_OK) return err;
  // bpf_overlay is compiled without this count.
  if (!fromTunnel) dp.metrics.update(skb.len, direction, REASON_FORWARDED);
  const { config } = dp;
  const id = endpointLxcId(m, to);
  if (config.bpfProgForIngressPolicy && !config.hostRouting) {
    skb.mark = identityMark(identity, magic);
    if (fromTunnel && !config.nodePort) {
      skb.packetType = PACKET_HOST;
      return CTX_ACT_OK;
    }
    dp.steps?.push({ kind: 'local-delivery', endpoint: site.id, to: id });
    return redirectEndpoint(dp, skb, endpointIfindex(m, to), fromHost, fromTunnel);
  }
  const destination = dp.program(id);
  if (destination === undefined) return DROP_EP_NOT_READY;
  dp.steps?.push({ kind: 'local-delivery', endpoint: site.id, to: id });
  return cilLxcPolicy(dp, destination, skb, identity, true, fromHost, fromTunnel);
}

/** redirect_ep: into the pod's interface, or straight to its peer where that is possible. */
export function redirectEndpoint(
  dp: Datapath,
  skb: Skb,
  ifindex: number,
  needsBacklog: boolean,
  fromTunnel: boolean,
): number {
  if (needsBacklog || !dp.config.hostRouting || skb.ingressIfindex === 0) return redirect(skb, ifindex, 0);
  if (fromTunnel) skb.packetType = PACKET_HOST;
  skb.redirectIfindex = ifindex;
  skb.redirectFlags = 0;
  skb.redirectHelper = 'redirect_peer';
  return CTX_ACT_REDIRECT;
}
