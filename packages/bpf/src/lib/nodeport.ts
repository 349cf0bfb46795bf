import { type Address, NULL } from '@ciliate/maps';
import { ETH } from '@ciliate/packet';
import type { Datapath } from '../datapath.ts';
import type { Skb } from '../skb.ts';
import {
  CT_EGRESS,
  CT_INGRESS,
  CT_NEW,
  CT_REPLY,
  CTX_ACT_OK,
  MARK_MAGIC_HOST_MASK,
  MARK_MAGIC_SNAT_DONE,
  MARK_MAGIC_TO_PROXY,
  ntohs,
  REMOTE_NODE_ID,
  TC_INDEX_F_SKIP_HOST_FIREWALL,
  TC_INDEX_F_SKIP_NODEPORT,
} from './common.ts';
import { CT_ENTRY_NODEPORT, ctCreate, ctLazyLookup, hasPorts, nodePortRevNatIndex } from './conntrack.ts';
import {
  DROP_INVALID,
  DROP_IS_CLUSTER_IP,
  DROP_NAT_NO_MAPPING,
  DROP_NO_FIB,
  DROP_NO_SERVICE,
  DROP_NOT_IN_SRC_RANGE,
  DROP_PUNT_PROXY,
} from './drop_reasons.ts';
import { encapAndRedirect } from './encap.ts';
import { hasTunnelEndpoint, identityOf, lookupEndpoint, lookupRemoteEndpoint, skipsTunnel } from './endpoints.ts';
import type { Family } from './family.ts';
import { fibDoRedirect, fibRedirect } from './fib.ts';
import { loadPorts } from './fragments.ts';
import { hasIpHeader, readHeaders } from './headers.ts';
import { hostPolicyIngress } from './host_firewall.ts';
import type { Site } from './icmp6.ts';
import { routeL3 } from './l3.ts';
import { lbLocal, lbRevNat, lookupRevNat } from './lb.ts';
import { isHostPort, isRoutable, isSourceRangeOk, l7LbProxyPort, lookupService } from './lb_service.ts';
import { needsMasquerade } from './masquerade.ts';
import { METRIC_EGRESS, METRIC_INGRESS } from './metrics.ts';
import { reverseSnat, snat, snatTuple } from './nat.ts';
import { NAT_PUNT_TO_STACK, type NatTrace } from './nat_entry.ts';
import { answerNoService } from './no_service.ts';
import {
  sendDropNotify,
  sendTraceNotify,
  TRACE_PAYLOAD_LEN,
  TRACE_REASON_UNKNOWN,
  TRACE_TO_NETWORK,
  TRACE_TO_PROXY,
} from './notify.ts';
import { loadTupleAddresses, reverseTuple, setTupleFlags, swapTuplePorts, TUPLE_F_OUT, tupleSaddrAt } from './tuple.ts';

/** The host's stack shall not translate the packet again (ctx_snat_done_set). */
export function setSnatDone(skb: Skb): void {
  skb.mark = ((skb.mark & ~MARK_MAGIC_HOST_MASK) | MARK_MAGIC_SNAT_DONE) >>> 0;
}

/** CILIUM_CALL_IPVX_NODEPORT_REVNAT from a pod's program: its reply to a client of a node port. */
export function nodeportRevNat(dp: Datapath, fam: Family, skb: Skb, site: Site): number {
  dp.extError = 0;
  const ret = revDnat(dp, fam, skb, site);
  // CTX_ACT_OK: no such connection.
  if (ret > CTX_ACT_OK) return ret;
  const error = ret < 0 ? ret : DROP_NAT_NO_MAPPING;
  return sendDropNotify(dp, skb, site.id, 0, 0, 0, error, dp.extError, METRIC_EGRESS);
}

/**
 * nodeport_rev_dnat_ipv4/6: a reply of a backend to a client of a node port gets the service's address and port, and
 * leaves by the host's route to the client, or by the tunnel to the client's node. Source: bpf/lib/nodeport.h.
 * @returns CTX_ACT_REDIRECT; CTX_ACT_OK if the packet is no such reply; or a drop code
 */
function revDnat(dp: Datapath, fam: Family, skb: Skb, site: Site): number {
  const m = dp.memory;
  const { headers, config } = dp;
  const tuple = fam.lbTuple;
  if (!hasPorts(dp, headers.nexthdr)) return CTX_ACT_OK;
  loadTupleAddresses(m, fam, tuple, skb, headers.nexthdr);
  const err = loadPorts(dp, fam, skb, METRIC_EGRESS, tuple);
  if (err < 0) return err;
  const state = dp.ctNew;
  state.reset();
  const status = ctLazyLookup(dp, fam, tuple, skb, CT_INGRESS, 'reverse', CT_ENTRY_NODEPORT, state);
  if (status !== CT_REPLY) return CTX_ACT_OK;
  const { monitor } = state;
  const failed = lbRevNat(dp, fam, skb, site.id, tuple, state.revNatIndex, false);
  if (failed < 0) return failed;
  setSnatDone(skb);
  const info = config.tunnelMode ? lookupRemoteEndpoint(dp, fam, fam.daddr(skb)) : NULL;
  const routed = routeL3(dp, fam, skb, site, METRIC_EGRESS, NULL, NULL);
  if (routed !== CTX_ACT_OK) return routed;
  if (hasTunnelEndpoint(dp, info) && !skipsTunnel(dp, info))
    return encapAndRedirect(dp, skb, site.id, info, REMOTE_NODE_ID, identityOf(dp, fam, info), status, monitor);
  return fibRedirect(dp, fam, skb, fam.saddr(skb), fam.daddr(skb));
}

/** A program of the node: where it runs, and how a packet comes back into it past the node-port handling. */
export interface HostSite extends Site {
  readonly ifindex: number;
  /** The program enforces the host's policy. */
  readonly hostFirewall: boolean;
  /** CILIUM_CALL_IPVX_FROM_NETDEV. @param identity of the sender */
  recircle(dp: Datapath, fam: Family, skb: Skb, identity: number): number;
}

/** Answer of `nodeportLb` for a packet that it has nothing to do with, or that goes to a backend here. */
export const CONTINUE = 1 << 17;

/**
 * nodeport_lb4/6: what comes from outside. To a service: on to one of its backends. Else perhaps the reply of a backend on
 * another node, which is translated back.
 * @param identity of the sender
 * @returns CONTINUE; a drop code; or what the packet's way ends with
 */
export function nodeportLb(dp: Datapath, fam: Family, skb: Skb, site: HostSite, identity: number): number {
  const m = dp.memory;
  const { headers, config } = dp;
  const tuple = fam.lbTuple;
  if (!hasPorts(dp, headers.nexthdr)) {
    if (headers.nexthdr !== fam.icmp || !fam.masquerade) return CONTINUE;
    return natIngress(dp, fam, skb, site, identity);
  }
  loadTupleAddresses(m, fam, tuple, skb, headers.nexthdr);
  const err = loadPorts(dp, fam, skb, METRIC_EGRESS, tuple);
  if (err < 0) return err;
  const service = lookupService(dp, fam, tuple, false);
  if (service === NULL) return natIngress(dp, fam, skb, site, identity);
  return toService(dp, fam, skb, site, service, identity, config.lbSelection);
}

/** nodeport_svc_lb4/6. */
function toService(
  dp: Datapath,
  fam: Family,
  skb: Skb,
  site: HostSite,
  service: Address,
  identity: number,
  selection: number,
): number {
  const m = dp.memory;
  const { config } = dp;
  const tuple = fam.lbTuple;
  if (!isSourceRangeOk(dp, fam, service, fam.saddr(skb))) return DROP_NOT_IN_SRC_RANGE;
  if (!isRoutable(m, service)) return DROP_IS_CLUSTER_IP;
  const proxyPort = l7LbProxyPort(dp, service);
  if (proxyPort !== 0) {
    sendTraceNotify(dp, skb, site.id, TRACE_TO_PROXY, identity, 0, ntohs(proxyPort), site.ifindex, CT_NEW, 0);
    skb.mark = (MARK_MAGIC_TO_PROXY | (proxyPort << 16)) >>> 0;
    return CTX_ACT_OK;
  }
  const state = dp.ctNew;
  const ret = lbLocal(dp, fam, skb, site.id, tuple, service, state, selection, false);
  if (ret === DROP_NO_SERVICE && config.serviceNoBackendResponse) return answerNoService(dp, fam, skb);
  if (ret === DROP_PUNT_PROXY) return CTX_ACT_OK;
  if (ret < 0) return ret;
  const isLocal = lookupEndpoint(dp, fam, tuple) !== NULL;
  if (!isLocal && isHostPort(m, service)) return DROP_INVALID;

  const { revNatIndex } = state;
  reverseTuple(m, fam, tuple);
  state.reset();
  state.revNatIndex = revNatIndex;
  const status = ctLazyLookup(dp, fam, tuple, skb, CT_EGRESS, 'forward', CT_ENTRY_NODEPORT, state);
  if (status < 0) return status;
  if (status === CT_NEW) {
    state.reset();
    state.revNatIndex = revNatIndex;
    state.srcSecId = fam.world;
    state.nodePort = true;
    const err = ctCreate(dp, fam, tuple, skb, CT_EGRESS, state, false);
    if (err < 0) return err;
  }
  if (isLocal) return CONTINUE;
  recordNeighbour(dp, fam, skb);
  return natEgress(dp, fam, skb, site);
}

/** neigh_record_ip4/6: by which Ethernet address the client is reached, for its replies. */
function recordNeighbour(dp: Datapath, fam: Family, skb: Skb): void {
  const { u8 } = dp.memory;
  const { mac } = dp.stack;
  const source = skb.data + ETH.src;
  const known = fam.neighbours.lookup(fam.saddr(skb));
  let isSame = known !== NULL;
  for (let i = 0; i < 6; i++) isSame &&= u8[known + i] === u8[source + i];
  if (isSame) return;
  u8.copyWithin(mac, source, source + 6);
  fam.neighbours.update(fam.saddr(skb), mac);
}

/** tail_nodeport_nat_egress_ipvX: to a backend on another node, from this node's address. */
function natEgress(dp: Datapath, fam: Family, skb: Skb, site: HostSite): number {
  dp.extError = 0;
  const ret = sendToRemoteBackend(dp, fam, skb, site);
  return ret < 0 ? sendDropNotify(dp, skb, site.id, 0, 0, 0, ret, dp.extError, METRIC_EGRESS) : ret;
}

function sendToRemoteBackend(dp: Datapath, fam: Family, skb: Skb, site: HostSite): number {
  const m = dp.memory;
  const { natTarget: target, natTrace: trace, headers, config } = dp;
  const tuple = fam.lbTuple;
  target.reset(dp);
  trace.reason = CT_NEW;
  trace.monitor = TRACE_PAYLOAD_LEN;
  const info = config.tunnelMode ? lookupRemoteEndpoint(dp, fam, fam.daddr(skb)) : NULL;
  const isTunnelled = hasTunnelEndpoint(dp, info) && !skipsTunnel(dp, info);
  target.addr = isTunnelled ? fam.gatewayAddress : fam.directRoutingAddress;
  loadTupleAddresses(m, fam, tuple, skb, headers.nexthdr);
  const err = loadPorts(dp, fam, skb, METRIC_EGRESS, tuple);
  if (err < 0) return err;
  swapTuplePorts(m, fam, tuple);
  setTupleFlags(m, fam, tuple, TUPLE_F_OUT);
  const routed = routeL3(dp, fam, skb, site, METRIC_EGRESS, NULL, NULL);
  if (routed !== CTX_ACT_OK) return routed;
  const failed = snatTuple(dp, fam, skb, tuple, target, 0, trace);
  if (failed < 0) return failed;
  setSnatDone(skb);
  if (!isTunnelled) return fibRedirect(dp, fam, skb, fam.saddr(skb), fam.daddr(skb));
  return encapAndRedirect(dp, skb, site.id, info, fam.world, identityOf(dp, fam, info), trace.reason, trace.monitor);
}

/** tail_nodeport_nat_ingress_ipvX: back through NAT and, if it is a node port's, through the service. */
function natIngress(dp: Datapath, fam: Family, skb: Skb, site: HostSite, identity: number): number {
  dp.extError = 0;
  const { natTrace: trace } = dp;
  trace.reason = fam.isV6 ? CT_REPLY : TRACE_REASON_UNKNOWN;
  trace.monitor = TRACE_PAYLOAD_LEN;
  let source = 0;
  let ret = reverseSnat(dp, fam, skb, trace);
  if (ret === 0) {
    setSnatDone(skb);
    if (site.hostFirewall) {
      ret = hostPolicyIngress(dp, fam, skb, 0, trace, false);
      source = dp.srcIdentity;
      if (ret === CTX_ACT_OK) skb.tcIndex |= TC_INDEX_F_SKIP_HOST_FIREWALL;
    }
    if (ret === CTX_ACT_OK) ret = revDnat(dp, fam, skb, site);
    if (ret > CTX_ACT_OK) return ret;
  } else if (ret === NAT_PUNT_TO_STACK || ret === DROP_NAT_NO_MAPPING) ret = CTX_ACT_OK;
  if (ret < 0) return sendDropNotify(dp, skb, site.id, source, 0, 0, ret, dp.extError, METRIC_INGRESS);
  skb.tcIndex |= TC_INDEX_F_SKIP_NODEPORT;
  return site.recircle(dp, fam, skb, identity);
}

/**
 * handle_nat_fwd: what leaves this node by `site`. A reply to a node port's client gets the service's address; what needs
 * it is masqueraded. @param identity of the sender, for notifications
 */
export function natForward(dp: Datapath, fam: Family, skb: Skb, site: HostSite, identity: number): number {
  dp.extError = 0;
  const { natTrace: trace } = dp;
  trace.reason = TRACE_REASON_UNKNOWN;
  trace.monitor = TRACE_PAYLOAD_LEN;
  if (!hasIpHeader(fam, skb)) return DROP_INVALID;
  const err = readHeaders(fam, skb, dp.headers);
  if (err < 0) return err;
  const ret = revDnatForward(dp, fam, skb, site);
  if (ret === REV_DNATTED) {
    setSnatDone(skb);
    sendTraceNotify(dp, skb, site.id, TRACE_TO_NETWORK, identity, 0, 0, site.ifindex, trace.reason, trace.monitor);
    return CTX_ACT_OK;
  }
  if (ret !== CONTINUE) return ret;
  const snatted = snatForward(dp, fam, skb, trace);
  if (snatted < 0) return snatted;
  const { reason, monitor } = trace;
  sendTraceNotify(dp, skb, site.id, TRACE_TO_NETWORK, identity, 0, 0, site.ifindex, reason, monitor, fam);
  return CTX_ACT_OK;
}

const REV_DNATTED = 1 << 18;

/** nodeport_rev_dnat_fwd_ipvX. @returns CONTINUE if it is no reply of a node port, REV_DNATTED, CTX_ACT_REDIRECT, a drop code */
function revDnatForward(dp: Datapath, fam: Family, skb: Skb, site: HostSite): number {
  const m = dp.memory;
  const { headers, natTrace: trace, ctNew: state } = dp;
  const tuple = fam.lbTuple;
  if (!hasPorts(dp, headers.nexthdr)) return CONTINUE;
  loadTupleAddresses(m, fam, tuple, skb, headers.nexthdr);
  const err = loadPorts(dp, fam, skb, METRIC_EGRESS, tuple);
  if (err < 0) return err;
  const index = nodePortRevNatIndex(dp, fam, tuple);
  if (index === 0) return CONTINUE;
  const nat = lookupRevNat(dp, fam, index);
  if (nat === NULL) return CONTINUE;
  const route = dp.fib(fam, nat, tuple);
  if (route === undefined) return DROP_NO_FIB;
  if (route.ifindex !== site.ifindex) return fibDoRedirect(skb, route);
  state.reset();
  if (ctLazyLookup(dp, fam, tuple, skb, CT_INGRESS, 'reverse', CT_ENTRY_NODEPORT, state) !== CT_REPLY) return CONTINUE;
  trace.reason = CT_REPLY;
  trace.monitor = state.monitor;
  const failed = lbRevNat(dp, fam, skb, site.id, tuple, index, false);
  return failed < 0 ? failed : REV_DNATTED;
}

/** nodeport_snat_fwd_ipvX: `fam.origSaddr` keeps the source that a translated packet had. */
function snatForward(dp: Datapath, fam: Family, skb: Skb, trace: NatTrace): number {
  const m = dp.memory;
  const { natTarget: target, headers } = dp;
  const tuple = fam.lbTuple;
  trace.reason = TRACE_REASON_UNKNOWN;
  trace.monitor = 0;
  for (let i = 0; i < 4; i++) m.u32[(fam.origSaddr >> 2) + i] = 0;
  target.reset(dp);
  loadTupleAddresses(m, fam, tuple, skb, headers.nexthdr);
  setTupleFlags(m, fam, tuple, TUPLE_F_OUT);
  const saddr = tupleSaddrAt(fam, tuple);
  if (hasPorts(dp, headers.nexthdr) && fam.sameAddress(m, saddr, fam.directRoutingAddress)) {
    // The node's own connections share the range of ports that NAT takes: they are looked after too.
    target.addr = fam.directRoutingAddress;
    target.needsCt = true;
  } else {
    const needed = needsMasquerade(dp, fam, skb, tuple, target);
    if (needed < 0) return needed === NAT_PUNT_TO_STACK ? CTX_ACT_OK : needed;
  }
  fam.copyAddress(m, fam.origSaddr, saddr);
  const ret = snat(dp, fam, skb, tuple, target, trace);
  if (ret < 0) return ret === NAT_PUNT_TO_STACK ? CTX_ACT_OK : ret;
  setSnatDone(skb);
  return CTX_ACT_OK;
}
