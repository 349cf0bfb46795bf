import {
  type Address,
  ENDPOINT_F_ATHOSTNS,
  ENDPOINT_F_HOST,
  endpointFlags,
  endpointLxcId,
  endpointMacAt,
  endpointNodeMacAt,
  NULL,
} from '@ciliate/maps';
import {
  ETH_P_ARP,
  ETH_P_IP,
  ethType,
  ICMP_DEST_UNREACH,
  IPPROTO_ICMP,
  IPPROTO_TCP,
  IPPROTO_UDP,
} from '@ciliate/packet';
import type { Datapath, EndpointProgram } from './datapath.ts';
import {
  CT_EGRESS,
  CT_ESTABLISHED,
  CT_INGRESS,
  CT_NEW,
  CT_REPLY,
  CTX_ACT_OK,
  CTX_ACT_REDIRECT,
  ETH_HLEN,
  getIdentity,
  HOST_ID,
  htons,
  identityIsReserved,
  identityMark,
  MARK_MAGIC_HOST,
  MARK_MAGIC_HOST_MASK,
  MARK_MAGIC_IDENTITY,
  MARK_MAGIC_PROXY_INGRESS,
  MARK_MAGIC_TO_PROXY,
  ntohl,
  ntohs,
  POLICY_MATCH_NONE,
  TC_INDEX_F_FROM_INGRESS_PROXY,
  WORLD_ID,
} from './lib/common.ts';
import {
  ctCreate4,
  ctLookup4,
  hasLoopbackEgressEntry4,
  loadTupleAddresses,
  loadTuplePorts,
  tupleDport,
  tupleNexthdr,
} from './lib/conntrack.ts';
import {
  DROP_EP_NOT_READY,
  DROP_FRAG_NOSUPPORT,
  DROP_INVALID,
  DROP_INVALID_SIP,
  DROP_UNKNOWN_L3,
  DROP_UNSUPPORTED_L2,
} from './lib/drop_reasons.ts';
import { daddr, hasIpv4Header, ipv4L3, isFragment, l4Offset, protocol, saddr } from './lib/ipv4.ts';
import { lb4Local, lb4LookupService, lb4RevNat, SERVICE_LOOPBACK_IPV4 } from './lib/lb.ts';
import {
  directionName,
  sendDropNotify,
  sendPolicyVerdictNotify,
  sendTraceNotify,
  TRACE_FROM_LXC,
  TRACE_FROM_PROXY,
  TRACE_FROM_STACK,
  TRACE_PAYLOAD_LEN,
  TRACE_REASON_UNKNOWN,
  TRACE_TO_LXC,
  TRACE_TO_PROXY,
  TRACE_TO_STACK,
} from './lib/notify.ts';
import { policyCanAccess } from './lib/policy.ts';
import type { Skb } from './skb.ts';

/**
 * The programs at a pod's interface. Source: bpf/bpf_lxc.c, configured as an agent with kube-proxy replacement and
 * native routing, IPv4 only (the world is identity 2), no endpoint routes.
 *
 * A packet of a pod runs `cilFromContainer`; if it goes to a pod on the same node, that runs the destination's
 * `cilLxcPolicy` itself. A packet that the host's stack or the proxy sends to a pod runs `cilToContainer`.
 * Not modelled: IPv6 (dropped as an unknown protocol, 139, as with IPv6 disabled), fragments (157, as without fragment
 * tracking), tunnels, NodePort, egress gateway, encryption, counters.
 */

/** Answer of the ingress policy that means "to the proxy", before it becomes a mark. */
const POLICY_ACT_PROXY_REDIRECT = 1;
/** Addresses of the host itself, and of endpoints that live in its namespace: the stack delivers to them. */
const ENDPOINT_MASK_HOST_DELIVERY = ENDPOINT_F_HOST | ENDPOINT_F_ATHOSTNS;
const ICMP_FRAG_NEEDED = 4;
const ICMP_HEADER_LEN = 8;

/** Does Cilium's check of the Ethernet type pass? It compares the bytes in the wrong order, so hardly any type fails. */
const hasValidEthertype = (skb: Skb, type: number): boolean => skb.len >= ETH_HLEN && htons(type) >= htons(0x0600);

/**
 * tc ingress at the host's end of a pod's interface: the pod sent this packet.
 * @returns CTX_ACT_OK (to the stack, or by its mark to the proxy), CTX_ACT_REDIRECT (to another pod) or CTX_ACT_DROP
 */
export function cilFromContainer(dp: Datapath, ep: EndpointProgram, skb: Skb): number {
  const { identity } = ep;
  sendTraceNotify(dp, skb, ep.id, TRACE_FROM_LXC, identity, 0, 0, 0, TRACE_REASON_UNKNOWN, TRACE_PAYLOAD_LEN);
  const type = skb.len >= ETH_HLEN ? ethType(dp.memory.u8, skb.data) : 0;
  let ret: number;
  if (!hasValidEthertype(skb, type)) ret = DROP_UNSUPPORTED_L2;
  else if (type === ETH_P_IP) return handleIpv4(dp, ep, skb);
  else if (type === ETH_P_ARP) return CTX_ACT_OK;
  else ret = DROP_UNKNOWN_L3;
  return sendDropNotify(dp, skb, ep, identity, 0, 0, ret, 0);
}

function handleIpv4(dp: Datapath, ep: EndpointProgram, skb: Skb): number {
  let ret = checkSource(ep, skb);
  if (ret === CTX_ACT_OK) ret = translateService(dp, ep, skb);
  if (ret !== CTX_ACT_OK) return sendDropNotify(dp, skb, ep, ep.identity, 0, 0, ret, 0);
  return routeFromPod(dp, ep, skb);
}

function checkSource(ep: EndpointProgram, skb: Skb): number {
  if (!hasIpv4Header(skb)) return DROP_INVALID;
  if (isFragment(skb)) return DROP_FRAG_NOSUPPORT;
  return saddr(skb) === ep.address ? CTX_ACT_OK : DROP_INVALID_SIP;
}

/** If the packet goes to a service, it goes to one of its backends from here on. Leaves what conntrack needs in `dp.ctNew`. */
function translateService(dp: Datapath, ep: EndpointProgram, skb: Skb): number {
  dp.ctNew.reset();
  const proto = protocol(skb);
  if (proto !== IPPROTO_TCP && proto !== IPPROTO_UDP) return CTX_ACT_OK;
  const { lbTuple: tuple } = dp.stack;
  const l4Off = l4Offset(skb);
  loadTupleAddresses(dp.memory, tuple, skb);
  const err = loadTuplePorts(dp.memory, tuple, skb, l4Off);
  if (err < 0) return err;
  const service = lb4LookupService(dp, tuple);
  return service === NULL ? CTX_ACT_OK : lb4Local(dp, ep, skb, l4Off, tuple, service, dp.ctNew);
}

/** Conntrack, egress policy, and on to where the packet goes. */
function routeFromPod(dp: Datapath, ep: EndpointProgram, skb: Skb): number {
  const { tuple } = dp.stack;
  const { identity } = ep;
  loadTupleAddresses(dp.memory, tuple, skb);
  // After service translation only the forward direction may match.
  const scope = dp.ctNew.revNatIndex !== 0 ? 'forward' : 'bidir';
  const status = ctLookup4(dp, tuple, skb, l4Offset(skb), CT_EGRESS, scope, dp.ct);
  if (status < 0) return sendDropNotify(dp, skb, ep, identity, 0, 0, status, 0);
  noteConntrack(dp, ep, CT_EGRESS, status);

  const known = dp.lookupIp4Identity(daddr(skb));
  const dstIdentity = known === 0 ? WORLD_ID : known;
  dp.steps?.push({
    kind: 'identity',
    endpoint: ep.id,
    address: ntohl(daddr(skb)),
    identity: dstIdentity,
    found: known !== 0,
  });
  const { ct, ctNew } = dp;

  if (status === CT_NEW || status === CT_ESTABLISHED) {
    let proxyPort = 0;
    // A pod that reaches itself through a service needs no policy to allow it.
    if (!ctNew.loopback) {
      const verdict = policyCan(dp, ep, skb, CT_EGRESS, dstIdentity, status);
      if (verdict !== CTX_ACT_OK)
        return sendDropNotify(dp, skb, ep, identity, dstIdentity, 0, verdict, dp.policy.authType);
      proxyPort = dp.policy.proxyPort;
    }
    ctNew.proxyRedirect = proxyPort > 0;
    const stale = ct.revNatIndex !== ctNew.revNatIndex || ct.proxyRedirect !== ctNew.proxyRedirect;
    if (status === CT_NEW || stale) {
      ctNew.srcSecId = identity;
      const err = ctCreate4(dp, tuple, skb, CT_EGRESS, ctNew);
      if (err < 0) return sendDropNotify(dp, skb, ep, identity, dstIdentity, 0, err, 0);
    }
    if (proxyPort > 0) {
      sendTraceNotify(dp, skb, ep.id, TRACE_TO_PROXY, identity, 0, proxyPort, 0, status, ct.monitor);
      return redirectToProxy(dp, ep, skb, proxyPort);
    }
  } else if (ct.proxyRedirect) {
    // A reply of a connection that the ingress proxy opened: the stack finds its socket.
    sendTraceNotify(dp, skb, ep.id, TRACE_TO_PROXY, identity, 0, 0, 0, status, ct.monitor);
    return redirectToProxy(dp, ep, skb, 0);
  }

  // Replies of a pod to itself go to the loopback address, which no endpoint has.
  const hairpin = ctNew.loopback || ct.loopback;
  const local = dp.lookupIp4Endpoint(status === CT_REPLY && hairpin ? saddr(skb) : daddr(skb));
  if (local !== NULL && (endpointFlags(dp.memory, local) & ENDPOINT_MASK_HOST_DELIVERY) === 0)
    return localDelivery(dp, ep, skb, local, dstIdentity);

  const routed = ipv4L3(skb, NULL, endpointNodeMacAt(ep.info));
  if (routed < 0) return sendDropNotify(dp, skb, ep, identity, dstIdentity, 0, routed, 0);
  skb.mark = identityMark(identity, MARK_MAGIC_IDENTITY);
  sendTraceNotify(dp, skb, ep.id, TRACE_TO_STACK, identity, dstIdentity, 0, 0, status, ct.monitor);
  dp.steps?.push({ kind: 'to-stack', endpoint: ep.id });
  return CTX_ACT_OK;
}

/** ipv4_local_delivery: as a router would, then the ingress policy program of the destination. */
function localDelivery(dp: Datapath, ep: EndpointProgram, skb: Skb, to: Address, dstIdentity: number): number {
  const err = ipv4L3(skb, endpointNodeMacAt(to), endpointMacAt(to));
  if (err < 0) return sendDropNotify(dp, skb, ep, ep.identity, dstIdentity, 0, err, 0);
  const destination = dp.program(endpointLxcId(dp.memory, to));
  if (destination === undefined) return sendDropNotify(dp, skb, ep, ep.identity, dstIdentity, 0, DROP_EP_NOT_READY, 0);
  dp.steps?.push({ kind: 'local-delivery', endpoint: ep.id, to: destination.id });
  return cilLxcPolicy(dp, destination, skb, ep.identity);
}

/** Tail-called for the destination of a packet from a pod on this node. @param srcIdentity of the sender */
export function cilLxcPolicy(dp: Datapath, ep: EndpointProgram, skb: Skb, srcIdentity: number): number {
  const ret = ingressPolicy(dp, ep, skb, srcIdentity);
  if (ret < 0) return sendDropNotify(dp, skb, ep, srcIdentity, ep.identity, ep.id, ret, dp.policy.authType);
  if (ret === POLICY_ACT_PROXY_REDIRECT) return redirectToProxy(dp, ep, skb, dp.policy.proxyPort);
  skb.redirectIfindex = ep.ifindex;
  return CTX_ACT_REDIRECT;
}

/**
 * tc egress towards a pod, for packets of the host's stack and of the proxy (told apart by their mark).
 * @returns CTX_ACT_OK (delivered, or by its mark to the proxy) or CTX_ACT_DROP
 */
export function cilToContainer(dp: Datapath, ep: EndpointProgram, skb: Skb): number {
  const type = skb.len >= ETH_HLEN ? ethType(dp.memory.u8, skb.data) : 0;
  // Before the mark is read: so the drop names no identity.
  if (!hasValidEthertype(skb, type)) return sendDropNotify(dp, skb, ep, 0, ep.identity, ep.id, DROP_UNSUPPORTED_L2, 0);
  const magic = skb.mark & MARK_MAGIC_HOST_MASK;
  let identity = WORLD_ID;
  if (magic === MARK_MAGIC_PROXY_INGRESS || magic === MARK_MAGIC_IDENTITY) identity = getIdentity(skb.mark);
  else if (magic === MARK_MAGIC_HOST) identity = HOST_ID;
  const fromProxy = magic === MARK_MAGIC_PROXY_INGRESS;
  if (fromProxy) skb.tcIndex |= TC_INDEX_F_FROM_INGRESS_PROXY;
  skb.mark = 0;
  const point = fromProxy ? TRACE_FROM_PROXY : TRACE_FROM_STACK;
  sendTraceNotify(dp, skb, ep.id, point, identity, ep.identity, ep.id, 0, TRACE_REASON_UNKNOWN, TRACE_PAYLOAD_LEN);

  if (type === ETH_P_ARP) return CTX_ACT_OK;
  dp.policy.authType = 0; // of the packet before
  let ret: number;
  if (type !== ETH_P_IP) ret = DROP_UNKNOWN_L3;
  else if (!hasIpv4Header(skb)) ret = DROP_INVALID;
  else {
    if (identityIsReserved(identity)) {
      const known = dp.lookupIp4Identity(saddr(skb));
      if (known !== 0 && known !== HOST_ID) identity = known;
    }
    ret = ingressPolicy(dp, ep, skb, identity);
  }
  if (ret < 0) return sendDropNotify(dp, skb, ep, identity, ep.identity, ep.id, ret, dp.policy.authType);
  if (ret === POLICY_ACT_PROXY_REDIRECT) return redirectToProxy(dp, ep, skb, dp.policy.proxyPort);
  return CTX_ACT_OK;
}

/** ipv4_policy: conntrack and policy of a pod that a packet is about to reach. CTX_ACT_OK, to the proxy, or a drop code. */
function ingressPolicy(dp: Datapath, ep: EndpointProgram, skb: Skb, srcIdentity: number): number {
  const m = dp.memory;
  const { ct, ctNew, policy } = dp;
  const { tuple } = dp.stack;
  const originalSource = saddr(skb);
  policy.authType = 0;
  if (isFragment(skb)) return DROP_FRAG_NOSUPPORT;
  loadTupleAddresses(m, tuple, skb);
  const status = ctLookup4(dp, tuple, skb, l4Offset(skb), CT_INGRESS, 'bidir', ct);
  if (status < 0) return status;
  noteConntrack(dp, ep, CT_INGRESS, status);
  ctNew.reset();
  let proxyPort = 0;

  if (status !== CT_NEW && status !== CT_ESTABLISHED) {
    // Replies skip policy.
    if (ct.proxyRedirect) {
      policy.proxyPort = 0;
      return toProxy(dp, ep, skb, srcIdentity, originalSource, status);
    }
    if (ct.revNatIndex !== 0) {
      const err = lb4RevNat(dp, ep, skb, tuple, ct.revNatIndex, ct.loopback);
      if (err < 0) return err;
    }
  } else if ((skb.tcIndex & TC_INDEX_F_FROM_INGRESS_PROXY) === 0) {
    if (status === CT_NEW && originalSource === SERVICE_LOOPBACK_IPV4 && hasLoopbackEgressEntry4(dp, tuple))
      ctNew.loopback = true;
    else if (!ct.loopback) {
      const verdict = policyCan(dp, ep, skb, CT_INGRESS, srcIdentity, status);
      if (verdict !== CTX_ACT_OK) return verdict;
      proxyPort = policy.proxyPort;
    }
  }
  if (status === CT_NEW) {
    ctNew.srcSecId = srcIdentity;
    ctNew.proxyRedirect = proxyPort > 0;
    const err = ctCreate4(dp, tuple, skb, CT_INGRESS, ctNew);
    if (err < 0) return err;
  }
  policy.proxyPort = proxyPort;
  if (proxyPort > 0) return toProxy(dp, ep, skb, srcIdentity, originalSource, status);
  sendTraceNotify(
    dp,
    skb,
    ep.id,
    TRACE_TO_LXC,
    srcIdentity,
    ep.identity,
    ep.id,
    ep.ifindex,
    status,
    ct.monitor,
    originalSource,
  );
  dp.steps?.push({ kind: 'to-endpoint', endpoint: ep.id });
  return CTX_ACT_OK;
}

function toProxy(
  dp: Datapath,
  ep: EndpointProgram,
  skb: Skb,
  srcIdentity: number,
  originalSource: number,
  status: number,
): number {
  sendTraceNotify(
    dp,
    skb,
    ep.id,
    TRACE_TO_PROXY,
    srcIdentity,
    ep.identity,
    dp.policy.proxyPort,
    ep.ifindex,
    status,
    dp.ct.monitor,
    originalSource,
  );
  return POLICY_ACT_PROXY_REDIRECT;
}

/** The mark by which the stack gives the packet to the proxy's socket. @param port host order, 0 for replies */
function redirectToProxy(dp: Datapath, ep: EndpointProgram, skb: Skb, port: number): number {
  skb.mark = (MARK_MAGIC_TO_PROXY | (htons(port) << 16)) >>> 0;
  dp.steps?.push({ kind: 'to-proxy', endpoint: ep.id, port });
  return CTX_ACT_OK;
}

/**
 * Asks an endpoint's policy about the packet whose tuple conntrack just looked up, and tells of the verdict: of each
 * denial, and of what a new connection was allowed by.
 */
function policyCan(
  dp: Datapath,
  ep: EndpointProgram,
  skb: Skb,
  dir: number,
  remoteIdentity: number,
  status: number,
): number {
  const m = dp.memory;
  const { tuple, policyKey } = dp.stack;
  const { policy } = dp;
  const proto = tupleNexthdr(m, tuple);
  const port = ntohs(tupleDport(m, tuple));
  let dport = port;
  let verdict: number = CTX_ACT_OK;
  let alwaysAllowed = false;
  if (proto === IPPROTO_ICMP) {
    const icmp = skb.at(l4Offset(skb), ICMP_HEADER_LEN);
    if (icmp === NULL) verdict = DROP_INVALID;
    else {
      dport = m.u8[icmp]!;
      alwaysAllowed = dport === ICMP_DEST_UNREACH && m.u8[icmp + 1] === ICMP_FRAG_NEEDED;
    }
  }
  if (verdict !== CTX_ACT_OK || alwaysAllowed) {
    policy.proxyPort = 0;
    policy.authType = 0;
    policy.matchType = POLICY_MATCH_NONE;
    policy.entry = NULL;
  } else {
    const egress = dir === CT_EGRESS ? 1 : 0;
    verdict = policyCanAccess(m, ep.policy, policyKey, remoteIdentity, egress, proto, dport, false, policy);
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
  if (verdict !== CTX_ACT_OK || status !== CT_ESTABLISHED)
    sendPolicyVerdictNotify(dp, skb, ep, remoteIdentity, port, proto, dir, verdict, policy);
  return verdict;
}

const STATUS_NAMES = ['new', 'established', 'reply', 'related'] as const;

function noteConntrack(dp: Datapath, ep: EndpointProgram, dir: number, status: number): void {
  dp.steps?.push({ kind: 'conntrack', endpoint: ep.id, direction: directionName(dir), status: STATUS_NAMES[status]! });
}
