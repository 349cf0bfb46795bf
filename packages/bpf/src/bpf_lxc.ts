import { type Address, ENDPOINT_F_ATHOSTNS, ENDPOINT_F_HOST, endpointFlags, type Memory, NULL } from '@ciliate/maps';
import { ETH_P_ARP, ethType } from '@ciliate/packet';
import { cilHostPolicyFromHost, cilHostPolicyToHost } from './bpf_host.ts';
import { hasPerPacketLb } from './config.ts';
import type { Datapath, EndpointProgram } from './datapath.ts';
import { addressAt, noteDebug } from './explain.ts';
import { respondToArp } from './lib/arp.ts';
import {
  CT_EGRESS,
  CT_ESTABLISHED,
  CT_NEW,
  CT_RELATED,
  CT_REPLY,
  CTX_ACT_OK,
  ETH_HLEN,
  getIdentity,
  HOST_ID,
  htons,
  identityIsRemoteNode,
  identityMark,
  MARK_MAGIC_HOST,
  MARK_MAGIC_HOST_MASK,
  MARK_MAGIC_IDENTITY,
  MARK_MAGIC_PROXY_EGRESS,
  MARK_MAGIC_PROXY_EGRESS_EPID,
  MARK_MAGIC_PROXY_INGRESS,
  ntohs,
  TC_INDEX_F_FROM_EGRESS_PROXY,
  TC_INDEX_F_FROM_INGRESS_PROXY,
  WORLD_ID,
} from './lib/common.ts';
import { ctCreate, ctLookup, hasPorts } from './lib/conntrack.ts';
import { DBG_CAPTURE_DELIVERY, DBG_INHERIT_IDENTITY, noteIdentity, noteL7Lb } from './lib/dbg.ts';
import {
  DROP_EP_NOT_READY,
  DROP_FRAG_NOSUPPORT,
  DROP_HOST_NOT_READY,
  DROP_INVALID,
  DROP_INVALID_SIP,
  DROP_INVALID_TC_BUFFER,
  DROP_NO_FIB,
  DROP_NO_SERVICE,
  DROP_UNKNOWN_L3,
  DROP_UNKNOWN_TARGET,
  DROP_UNSUPPORTED_L2,
} from './lib/drop_reasons.ts';
import { encapAndRedirect } from './lib/encap.ts';
import { hasTunnelEndpoint, identityOf, lookupEndpoint, lookupRemoteEndpoint, skipsTunnel } from './lib/endpoints.ts';
import type { Family } from './lib/family.ts';
import { fibDoRedirect } from './lib/fib.ts';
import { loadPorts } from './lib/fragments.ts';
import { hasIpHeader, readHeaders } from './lib/headers.ts';
import { BPF_F_INGRESS, hostProgram } from './lib/host_firewall.ts';
import { redirect } from './lib/icmp6.ts';
import { handleNdp, isNdp } from './lib/icmp6_ndp.ts';
import { ingressPolicy, noteConntrack, POLICY_ACT_PROXY_REDIRECT, redirectToProxy } from './lib/ingress_policy.ts';
import { routeL3 } from './lib/l3.ts';
import { lbLocal } from './lib/lb.ts';
import { l7LbProxyPort, lookupService } from './lib/lb_service.ts';
import { localDelivery, PACKET_HOST, redirectEndpoint } from './lib/local_delivery.ts';
import { METRIC_EGRESS, METRIC_INGRESS } from './lib/metrics.ts';
import { answerNoService } from './lib/no_service.ts';
import { nodeportRevNat } from './lib/nodeport.ts';
import {
  sendDropNotify,
  sendTraceNotify,
  TRACE_FROM_LXC,
  TRACE_FROM_PROXY,
  TRACE_FROM_STACK,
  TRACE_PAYLOAD_LEN,
  TRACE_REASON_UNKNOWN,
  TRACE_TO_HOST,
  TRACE_TO_NETWORK,
  TRACE_TO_PROXY,
  TRACE_TO_STACK,
  tellsArrivals,
} from './lib/notify.ts';
import { policyCan } from './lib/policy_check.ts';
import { isZeroAddress, loadTupleAddresses, tupleNexthdr, tupleSaddrAt } from './lib/tuple.ts';
import type { Skb } from './skb.ts';

/**
 * The programs at a pod's interface, IPv4 and IPv6. Source: bpf/bpf_lxc.c.
 *
 * A packet of a pod runs `cilFromContainer`; if it goes to a pod on the same node, that runs the destination's
 * `cilLxcPolicy` itself. A packet that the host's stack or the proxy sends to a pod runs `cilToContainer`. Packets of the
 * L7 load balancer come back through `cilLxcPolicyEgress`.
 */

/** Addresses of the host itself, and of endpoints that live in its namespace: the stack delivers to them. */
const ENDPOINT_MASK_HOST_DELIVERY = ENDPOINT_F_HOST | ENDPOINT_F_ATHOSTNS;
/** Programs of pods choose backends at random, whatever the node's algorithm is. */
const LB_SELECTION_RANDOM = 1;

/** The Ethernet type if Cilium's check of it passes, else -1. It compares bytes in the wrong order: hardly any fails. */
export function validEthertype(m: Memory, skb: Skb): number {
  if (skb.len < ETH_HLEN) return -1;
  const type = ethType(m.u8, skb.data);
  return htons(type) >= htons(0x0600) ? type : -1;
}

/** The family of an Ethernet type, if it is switched on. */
export function familyOf(dp: Datapath, type: number): Family | undefined {
  if (type === dp.v4.ethType && dp.config.ipv4) return dp.v4;
  return type === dp.v6.ethType && dp.config.ipv6 ? dp.v6 : undefined;
}

/**
 * tc ingress at the host's end of a pod's interface: the pod sent this packet.
 * @returns CTX_ACT_OK (to the stack, or by its mark to the proxy), CTX_ACT_REDIRECT or CTX_ACT_DROP
 */
export function cilFromContainer(dp: Datapath, ep: EndpointProgram, skb: Skb): number {
  dp.extError = 0;
  if (tellsArrivals(dp))
    sendTraceNotify(dp, skb, ep.id, TRACE_FROM_LXC, ep.identity, 0, 0, 0, TRACE_REASON_UNKNOWN, TRACE_PAYLOAD_LEN);
  const { known } = dp;
  if (known !== null && dp.steps === null) {
    const answer = known.fromContainer(dp, ep, skb);
    if (answer >= 0) return answer;
  }
  const type = validEthertype(dp.memory, skb);
  const fam = familyOf(dp, type);
  if (fam !== undefined) return handleFromLxc(dp, fam, ep, skb, false);
  if (type === ETH_P_ARP && dp.config.ipv4) return respondToArp(dp, ep, skb);
  return dropFromPod(dp, ep, skb, 0, type < 0 ? DROP_UNSUPPORTED_L2 : DROP_UNKNOWN_L3);
}

/** Tail-called from bpf_host: the L7 load balancer sent this packet for the pod. */
export function cilLxcPolicyEgress(dp: Datapath, ep: EndpointProgram, skb: Skb): number {
  dp.extError = 0;
  const type = validEthertype(dp.memory, skb);
  if (type < 0) return dropFromPod(dp, ep, skb, 0, DROP_UNSUPPORTED_L2);
  sendTraceNotify(dp, skb, ep.id, TRACE_FROM_PROXY, ep.identity, 0, 0, 0, TRACE_REASON_UNKNOWN, TRACE_PAYLOAD_LEN);
  const fam = familyOf(dp, type);
  if (fam === undefined) return dropFromPod(dp, ep, skb, 0, DROP_UNKNOWN_L3);
  return handleFromLxc(dp, fam, ep, skb, true);
}

const dropFromPod = (dp: Datapath, ep: EndpointProgram, skb: Skb, dst: number, error: number): number =>
  sendDropNotify(dp, skb, ep.id, ep.identity, dst, 0, error, dp.extError, METRIC_EGRESS);

function handleFromLxc(dp: Datapath, fam: Family, ep: EndpointProgram, skb: Skb, fromL7lb: boolean): number {
  const { headers, config, ctNew } = dp;
  if (!hasIpHeader(fam, skb)) return dropFromPod(dp, ep, skb, 0, DROP_INVALID);
  let err = readHeaders(fam, skb, headers);
  if (!fam.fragments) {
    if (err < 0) return dropFromPod(dp, ep, skb, 0, err);
    if (headers.isFragment) return dropFromPod(dp, ep, skb, 0, DROP_FRAG_NOSUPPORT);
  }
  if (fam.isV6 && isNdp(dp, skb)) {
    const answer = handleNdp(dp, skb, ep.mac, DROP_UNKNOWN_TARGET);
    return answer < 0 ? sendDropNotify(dp, skb, ep.id, 0, 0, 0, answer, 0, METRIC_EGRESS) : answer;
  }
  if (!fromL7lb && config.sipVerification && !fam.sameAddress(dp.memory, fam.saddr(skb), fam.isV6 ? ep.ipv6 : ep.ipv4))
    return dropFromPod(dp, ep, skb, 0, DROP_INVALID_SIP);
  ctNew.reset();
  if (err < 0) return dropFromPod(dp, ep, skb, 0, err);
  let proxyPort = 0;
  if (hasPerPacketLb(config) && hasPorts(dp, headers.nexthdr)) {
    const tuple = fam.lbTuple;
    loadTupleAddresses(dp.memory, fam, tuple, skb, headers.nexthdr);
    err = loadPorts(dp, fam, skb, METRIC_EGRESS, tuple);
    if (err < 0) return dropFromPod(dp, ep, skb, 0, err);
    const service = lookupService(dp, fam, tuple, config.nodePort);
    if (service !== NULL) {
      proxyPort = l7LbProxyPort(dp, service);
      if (proxyPort === 0) {
        err = lbLocal(dp, fam, skb, ep.id, tuple, service, ctNew, LB_SELECTION_RANDOM, true);
        if (err === DROP_NO_SERVICE && config.serviceNoBackendResponse) return answerNoService(dp, fam, skb);
        if (err < 0) return dropFromPod(dp, ep, skb, 0, err);
      }
    }
  }
  return routeFromPod(dp, fam, ep, skb, proxyPort, fromL7lb);
}

/** handle_ipvX_from_lxc: conntrack, egress policy, and on to where the packet goes. @param lbProxyPort be16, 0 = none */
function routeFromPod(
  dp: Datapath,
  fam: Family,
  ep: EndpointProgram,
  skb: Skb,
  lbProxyPort: number,
  fromL7lb: boolean,
): number {
  const m = dp.memory;
  const { tuple } = fam;
  const { ct, ctNew } = dp;
  const revNatIndex = ctNew.revNatIndex;
  const viaLoopback = ctNew.loopback;
  ctNew.reset();
  ctNew.revNatIndex = revNatIndex;
  ctNew.loopback = viaLoopback;
  loadTupleAddresses(m, fam, tuple, skb, dp.headers.nexthdr);
  // After service translation only the forward direction may match.
  const scope = revNatIndex !== 0 || lbProxyPort !== 0 || fromL7lb ? 'forward' : 'bidir';
  const status = ctLookup(dp, fam, tuple, skb, CT_EGRESS, scope, ct);
  if (status < 0) return dropFromPod(dp, ep, skb, 0, status);
  noteConntrack(dp, ep, CT_EGRESS, status);

  const info = lookupRemoteEndpoint(dp, fam, fam.daddr(skb));
  const dstIdentity = identityOf(dp, fam, info);
  if (dp.steps !== null) noteIdentity(dp, fam, fam.daddr(skb), dstIdentity, info !== NULL);
  dp.steps?.push({
    kind: 'identity',
    endpoint: ep.id,
    address: addressAt(dp, fam, fam.daddr(skb)),
    identity: dstIdentity,
    found: info !== NULL,
  });
  if (isZeroAddress(m, fam, tupleSaddrAt(fam, tuple)))
    return dropFromPod(dp, ep, skb, dstIdentity, DROP_INVALID_TC_BUFFER);
  return judgeFromPod(dp, fam, ep, skb, lbProxyPort, fromL7lb, status, info, dstIdentity);
}

/** Egress policy and the conntrack entry. */
function judgeFromPod(
  dp: Datapath,
  fam: Family,
  ep: EndpointProgram,
  skb: Skb,
  lbProxyPort: number,
  fromL7lb: boolean,
  status: number,
  info: Address,
  dstIdentity: number,
): number {
  const m = dp.memory;
  const { identity } = ep;
  const { tuple } = fam;
  const { ct, ctNew, config } = dp;
  const { revNatIndex, loopback: viaLoopback } = ctNew;
  if (status === CT_NEW || status === CT_ESTABLISHED) {
    let proxyPort = ntohs(lbProxyPort);
    if (dp.steps !== null && proxyPort > 0) noteL7Lb(dp, fam, tuple, proxyPort);
    // A pod that reaches itself through a service needs no policy to allow it; the L7 load balancer comes before policy.
    if (proxyPort === 0 && !viaLoopback) {
      const verdict = policyCan(dp, fam, ep, skb, CT_EGRESS, dstIdentity, info, status);
      if (verdict !== CTX_ACT_OK) return dropFromPod(dp, ep, skb, dstIdentity, verdict);
      proxyPort = dp.policy.proxyPort;
    }
    ctNew.proxyRedirect = proxyPort > 0;
    const stale = ct.revNatIndex !== revNatIndex || ct.proxyRedirect !== ctNew.proxyRedirect;
    if (status === CT_NEW || stale) {
      ctNew.srcSecId = identity;
      ctNew.fromL7lb = fromL7lb;
      const err = ctCreate(dp, fam, tuple, skb, CT_EGRESS, ctNew, true);
      if (err < 0) return dropFromPod(dp, ep, skb, dstIdentity, err);
      if (fam.isV6) ct.monitor = TRACE_PAYLOAD_LEN;
    }
    if (proxyPort > 0 && !fromL7lb) {
      sendTraceNotify(dp, skb, ep.id, TRACE_TO_PROXY, identity, 0, proxyPort, 0, status, ct.monitor);
      return redirectToProxy(dp, ep, skb, proxyPort);
    }
  } else if (ct.proxyRedirect) {
    // A reply of a connection that the ingress proxy opened: the stack finds its socket.
    sendTraceNotify(dp, skb, ep.id, TRACE_TO_PROXY, identity, 0, 0, 0, status, ct.monitor);
    return redirectToProxy(dp, ep, skb, 0);
  } else if (config.nodePort && ct.nodePort && hasPorts(dp, tupleNexthdr(m, fam, tuple))) {
    sendTraceNotify(dp, skb, ep.id, TRACE_TO_NETWORK, identity, dstIdentity, 0, 0, status, ct.monitor);
    return nodeportRevNat(dp, fam, skb, ep);
  }
  return forwardFromPod(dp, fam, ep, skb, status, info, dstIdentity, viaLoopback, fromL7lb);
}

/** Where the packet goes that may leave the pod: to the node, a pod here, a tunnel, the network or the stack. */
function forwardFromPod(
  dp: Datapath,
  fam: Family,
  ep: EndpointProgram,
  skb: Skb,
  status: number,
  info: Address,
  dstIdentity: number,
  viaLoopback: boolean,
  fromL7lb = false,
): number {
  const { ct, config } = dp;
  const { identity } = ep;
  if (config.hostFirewall && !config.routing && dstIdentity === HOST_ID) {
    if (hostProgram(dp) === undefined) return dropFromPod(dp, ep, skb, dstIdentity, DROP_HOST_NOT_READY);
    return cilHostPolicyToHost(dp, skb);
  }
  // Replies of a pod to itself go to the loopback address, which no endpoint has.
  const hairpin = !fam.isV6 && (viaLoopback || ct.loopback);
  if (config.routing || hairpin || config.hostRouting) {
    const to = lookupEndpoint(dp, fam, status === CT_REPLY && hairpin ? fam.saddr(skb) : fam.daddr(skb));
    if (to !== NULL && (!(config.routing || config.hostRouting) || !isHostDelivery(dp.memory, to))) {
      const ret = localDelivery(dp, fam, skb, ep, identity, MARK_MAGIC_IDENTITY, to, METRIC_EGRESS, fromL7lb, false);
      return ret < 0 ? dropFromPod(dp, ep, skb, dstIdentity, ret) : ret;
    }
    if (to !== NULL && config.hostFirewall && config.routing && dstIdentity === HOST_ID)
      return toHost(dp, ep, skb, status);
    if (to !== NULL) return toStack(dp, fam, ep, skb, dstIdentity, status);
  }
  const isTunnelled = config.tunnelMode && (ct.fromTunnel || !skipsTunnel(dp, info));
  if (
    isTunnelled &&
    config.hostFirewall &&
    !config.nodePort &&
    isReplyTo(status) &&
    identityIsRemoteNode(dstIdentity)
  ) {
    // kube-proxy translated the request on its way in: the stack must see the answer.
    sendTraceNotify(dp, skb, ep.id, TRACE_TO_STACK, identity, dstIdentity, 0, 0, status, ct.monitor);
    dp.steps?.push({ kind: 'to-stack', endpoint: ep.id });
    return CTX_ACT_OK;
  }
  if (isTunnelled && hasTunnelEndpoint(dp, info))
    return encapAndRedirect(dp, skb, ep.id, info, identity, dstIdentity, status, ct.monitor);
  if (config.hostRouting) {
    const route = dp.fib(fam, fam.saddr(skb), fam.daddr(skb));
    if (route === undefined) return dropFromPod(dp, ep, skb, dstIdentity, DROP_NO_FIB);
    const err = routeL3(dp, fam, skb, ep, METRIC_EGRESS, NULL, NULL);
    if (err < 0) return dropFromPod(dp, ep, skb, dstIdentity, err);
    if (err !== CTX_ACT_OK) return err; // an answer to the pod by now, which goes nowhere else
    const { ifindex } = route;
    const ret = fibDoRedirect(skb, route);
    sendTraceNotify(dp, skb, ep.id, TRACE_TO_NETWORK, identity, dstIdentity, 0, ifindex, status, ct.monitor);
    dp.steps?.push({ kind: 'to-network', endpoint: ep.id, ifindex });
    return ret;
  }
  return toStack(dp, fam, ep, skb, dstIdentity, status);
}

const isReplyTo = (status: number): boolean => status === CT_REPLY || status === CT_RELATED;

/** To the node's own addresses by way of cilium_net, where its policy is asked (`cilToHost`). */
function toHost(dp: Datapath, ep: EndpointProgram, skb: Skb, status: number): number {
  const { ciliumNetIfindex } = dp.config.node;
  sendTraceNotify(dp, skb, ep.id, TRACE_TO_HOST, ep.identity, HOST_ID, 0, ciliumNetIfindex, status, dp.ct.monitor);
  dp.steps?.push({ kind: 'to-stack', endpoint: ep.id });
  return redirect(skb, ciliumNetIfindex, BPF_F_INGRESS);
}

const isHostDelivery = (m: Memory, endpoint: Address): boolean =>
  (endpointFlags(m, endpoint) & ENDPOINT_MASK_HOST_DELIVERY) !== 0;

/** The host's stack routes it on; the mark tells it the sender's identity. */
function toStack(
  dp: Datapath,
  fam: Family,
  ep: EndpointProgram,
  skb: Skb,
  dstIdentity: number,
  status: number,
): number {
  if (dp.config.routing) {
    const routed = routeL3(dp, fam, skb, ep, METRIC_EGRESS, NULL, ep.mac);
    if (routed < 0) return dropFromPod(dp, ep, skb, dstIdentity, routed);
    if (routed !== CTX_ACT_OK) return routed;
  }
  skb.mark = identityMark(ep.identity, MARK_MAGIC_IDENTITY);
  sendTraceNotify(dp, skb, ep.id, TRACE_TO_STACK, ep.identity, dstIdentity, 0, 0, status, dp.ct.monitor);
  dp.steps?.push({ kind: 'debug-capture', subType: DBG_CAPTURE_DELIVERY, arg1: 0 });
  dp.steps?.push({ kind: 'to-stack', endpoint: ep.id });
  return CTX_ACT_OK;
}

/**
 * Tail-called for the destination of a packet that arrives on this node.
 * @param srcIdentity of the sender
 * @param redirects   into the pod's interface, once policy has allowed it
 */
export function cilLxcPolicy(
  dp: Datapath,
  ep: EndpointProgram,
  skb: Skb,
  srcIdentity: number,
  redirects: boolean,
  fromHost: boolean,
  fromTunnel: boolean,
): number {
  dp.extError = 0;
  const { known } = dp;
  if (known !== null && dp.steps === null) {
    const answer = known.lxcPolicy(dp, ep, skb, srcIdentity, redirects, fromTunnel);
    if (answer >= 0) return answer;
  }
  const type = validEthertype(dp.memory, skb);
  const fam = familyOf(dp, type);
  let ret: number;
  if (fam === undefined) ret = type < 0 ? DROP_UNSUPPORTED_L2 : DROP_UNKNOWN_L3;
  else ret = ingressPolicy(dp, fam, ep, skb, srcIdentity, fromTunnel, true);
  if (ret < 0) return dropToPod(dp, ep, skb, srcIdentity, ret);
  if (ret === POLICY_ACT_PROXY_REDIRECT) {
    if (fromTunnel) skb.packetType = PACKET_HOST;
    return redirectToProxy(dp, ep, skb, dp.policy.proxyPort);
  }
  if (fromTunnel && !dp.config.routing && !dp.config.nodePort) {
    skb.packetType = PACKET_HOST;
    return CTX_ACT_OK;
  }
  if (!redirects) return CTX_ACT_OK;
  return redirectEndpoint(dp, skb, ep.ifindex, fromHost, fromTunnel);
}

const dropToPod = (dp: Datapath, ep: EndpointProgram, skb: Skb, srcIdentity: number, error: number): number =>
  sendDropNotify(dp, skb, ep.id, srcIdentity, ep.identity, ep.id, error, dp.extError, METRIC_INGRESS);

/**
 * tc egress towards a pod, for packets of the host's stack and of the proxy (told apart by their mark).
 * @returns CTX_ACT_OK (delivered), CTX_ACT_REDIRECT (to the proxy, through cilium_net) or CTX_ACT_DROP
 */
export function cilToContainer(dp: Datapath, ep: EndpointProgram, skb: Skb): number {
  const m = dp.memory;
  dp.extError = 0;
  const type = validEthertype(m, skb);
  // Before the mark is read: so the drop names no identity.
  if (type < 0) return dropToPod(dp, ep, skb, 0, DROP_UNSUPPORTED_L2);
  if (dp.config.l7lb && (skb.mark & MARK_MAGIC_HOST_MASK) === MARK_MAGIC_PROXY_EGRESS_EPID)
    return toEgressPolicy(dp, ep, skb);
  const point = isFromProxy(skb) ? TRACE_FROM_PROXY : TRACE_FROM_STACK;
  let identity = inheritIdentity(dp, skb, type);
  const { ingressIfindex } = skb;
  const own = ep.identity;
  sendTraceNotify(dp, skb, ep.id, point, identity, own, ep.id, ingressIfindex, TRACE_REASON_UNKNOWN, TRACE_PAYLOAD_LEN);

  if (dp.config.hostFirewall && !dp.config.routing && identity === HOST_ID) {
    if (hostProgram(dp) === undefined) return dropToPod(dp, ep, skb, identity, DROP_HOST_NOT_READY);
    return cilHostPolicyFromHost(dp, ep, skb);
  }
  if (type === ETH_P_ARP) return CTX_ACT_OK;
  const fam = familyOf(dp, type);
  if (fam === undefined) return dropToPod(dp, ep, skb, identity, DROP_UNKNOWN_L3);
  if (!hasIpHeader(fam, skb)) return dropToPod(dp, ep, skb, identity, DROP_INVALID);
  const ret = ingressPolicy(dp, fam, ep, skb, identity, false, false);
  identity = dp.srcIdentity;
  if (ret < 0) return dropToPod(dp, ep, skb, identity, ret);
  if (ret !== POLICY_ACT_PROXY_REDIRECT) return CTX_ACT_OK;
  // The host's stack gives it to the proxy's socket when it comes out of cilium_net.
  const { proxyPort } = dp.policy;
  const routed = routeL3(dp, fam, skb, ep, METRIC_EGRESS, ep.mac, dp.stack.ciliumHostMac);
  if (routed < 0) return dropToPod(dp, ep, skb, identity, routed);
  redirectToProxy(dp, ep, skb, proxyPort);
  return redirect(skb, dp.config.node.ciliumNetIfindex, 0);
}

/** The L7 load balancer's packet goes back into the egress program of the pod that it speaks for. */
export function toEgressPolicy(dp: Datapath, ep: EndpointProgram | undefined, skb: Skb): number {
  const id = skb.mark >>> 16;
  skb.mark = 0;
  const program = dp.program(id);
  if (program !== undefined) return cilLxcPolicyEgress(dp, program, skb);
  if (ep === undefined) return DROP_EP_NOT_READY;
  return sendDropNotify(dp, skb, ep.id, id, ep.identity, ep.id, DROP_EP_NOT_READY, 0, METRIC_INGRESS);
}

/** Does the mark say that the L7 proxy sent the packet? */
export function isFromProxy(skb: Skb): boolean {
  const magic = skb.mark & MARK_MAGIC_HOST_MASK;
  return magic === MARK_MAGIC_PROXY_INGRESS || magic === MARK_MAGIC_PROXY_EGRESS;
}

/** inherit_identity_from_host: who the packet's mark says sent it; the mark is taken off. */
export function inheritIdentity(dp: Datapath, skb: Skb, type: number): number {
  const magic = skb.mark & MARK_MAGIC_HOST_MASK;
  let identity = WORLD_ID;
  if (isFromProxy(skb) || magic === MARK_MAGIC_IDENTITY) identity = getIdentity(skb.mark);
  else if (magic === MARK_MAGIC_HOST) identity = HOST_ID;
  else if (type === dp.v4.ethType) identity = dp.v4.world;
  else if (type === dp.v6.ethType) identity = dp.v6.world;
  if (magic === MARK_MAGIC_PROXY_INGRESS) skb.tcIndex |= TC_INDEX_F_FROM_INGRESS_PROXY;
  if (magic === MARK_MAGIC_PROXY_EGRESS) skb.tcIndex |= TC_INDEX_F_FROM_EGRESS_PROXY;
  skb.mark = 0;
  if (dp.steps !== null) noteDebug(dp, DBG_INHERIT_IDENTITY, identity, 0);
  return identity;
}
