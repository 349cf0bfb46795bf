import { type Address, REMOTE_ENDPOINT_INFO, tunnelEndpoint } from '@ciliate/maps';
import type { Datapath } from '../datapath.ts';
import { noteDebug } from '../explain.ts';
import type { Skb } from '../skb.ts';
import { HOST_ID, ntohl, REMOTE_NODE_ID, WORLD_ID, WORLD_IPV4_ID, WORLD_IPV6_ID } from './common.ts';
import { DBG_ENCAP } from './dbg.ts';
import { hasIpv6TunnelEndpoint } from './endpoints.ts';
import { redirect } from './icmp6.ts';
import { sendTraceNotify, TRACE_TO_OVERLAY } from './notify.ts';

/** As which identity a node's own packets reach other nodes (LOCAL_NODE_ID). */
const LOCAL_NODE_ID = REMOTE_NODE_ID;

const isDual = (dp: Datapath): boolean => dp.config.ipv4 && dp.config.ipv6;

/** get_tunnel_id: the identity that goes into the VNI. */
const tunnelId = (dp: Datapath, identity: number): number =>
  isDual(dp) && (identity === WORLD_IPV4_ID || identity === WORLD_IPV6_ID) ? WORLD_ID : identity;

/** get_id_from_tunnel_id: the identity that a VNI stands for. */
export const identityFromTunnelId = (dp: Datapath, id: number, isV6: boolean): number =>
  isDual(dp) && id === WORLD_ID ? (isV6 ? WORLD_IPV6_ID : WORLD_IPV4_ID) : id;

/**
 * encap_and_redirect_with_nodeid: to the tunnel device, with the node to send to and the identity as VNI.
 * @param info `struct remote_endpoint_info` of the destination, which has a tunnel endpoint
 * @param identity of the sender. @param reason,monitor for the trace notification
 */
export function encapAndRedirect(
  dp: Datapath,
  skb: Skb,
  source: number,
  info: Address,
  identity: number,
  dstIdentity: number,
  reason: number,
  monitor: number,
): number {
  const { u32 } = dp.memory;
  const { encapIfindex } = dp.config;
  const label = identity === HOST_ID ? LOCAL_NODE_ID : identity;
  const endpoint = (info + REMOTE_ENDPOINT_INFO.tunnel_endpoint) >> 2;
  if (dp.steps !== null) noteDebug(dp, DBG_ENCAP, ntohl(u32[endpoint]!), label);
  sendTraceNotify(dp, skb, source, TRACE_TO_OVERLAY, label, dstIdentity, 0, encapIfindex, reason, monitor);
  skb.tunnelId = tunnelId(dp, label);
  setTunnelRemote(dp, skb, info);
  dp.steps?.push({ kind: 'to-overlay', endpoint: source, vni: skb.tunnelId, remote: tunnelEndpoint(dp.memory, info) });
  return redirect(skb, encapIfindex, 0);
}

/** The node to send to, of an `info` that has one. */
export function setTunnelRemote(dp: Datapath, skb: Skb, info: Address): void {
  const { u32 } = dp.memory;
  const { tunnelRemote } = skb;
  const endpoint = (info + REMOTE_ENDPOINT_INFO.tunnel_endpoint) >> 2;
  skb.isTunnelIpv6 = hasIpv6TunnelEndpoint(dp, info);
  tunnelRemote[0] = skb.isTunnelIpv6 ? u32[endpoint]! : ntohl(u32[endpoint]!);
  for (let i = 1; i < 4; i++) tunnelRemote[i] = skb.isTunnelIpv6 ? u32[endpoint + i]! : 0;
}
