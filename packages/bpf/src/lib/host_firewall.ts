import { type Address, NULL } from '@ciliate/maps';
import type { Datapath, EndpointProgram } from '../datapath.ts';
import type { Skb } from '../skb.ts';
import { authLookup } from './auth.ts';
import {
  CT_EGRESS,
  CT_ESTABLISHED,
  CT_INGRESS,
  CT_NEW,
  CTX_ACT_OK,
  HOST_ID,
  htons,
  MARK_MAGIC_TO_PROXY,
  ntohs,
  POLICY_MATCH_ALL,
} from './common.ts';
import { ctCreate, ctLookup } from './conntrack.ts';
import {
  DROP_FORBIDDEN_ICMP6,
  DROP_HOST_NOT_READY,
  DROP_INVALID,
  DROP_INVALID_TC_BUFFER,
  DROP_POLICY_AUTH_REQUIRED,
} from './drop_reasons.ts';
import { identityOf, lookupRemoteEndpoint, tunnelEndpointOf } from './endpoints.ts';
import type { Family } from './family.ts';
import { hasIpHeader, readHeaders } from './headers.ts';
import { redirect } from './icmp6.ts';
import { setMacs } from './l3.ts';
import { PACKET_HOST } from './local_delivery.ts';
import type { NatTrace } from './nat_entry.ts';
import { sendPolicyVerdictNotify, sendTraceNotify, TRACE_TO_PROXY } from './notify.ts';
import { judge } from './policy_check.ts';
import { isZeroAddress, loadTupleAddresses, tupleDport, tupleNexthdr, tupleSaddrAt } from './tuple.ts';

/**
 * The policy of the node itself (a CiliumClusterwideNetworkPolicy with a nodeSelector), at the node's own programs: what
 * it sends and what comes to its addresses. Forwarded packets are none of its business. The policy map is that of the
 * host's endpoint, and connections are tracked like those of pods. Source: bpf/lib/host_firewall.h.
 */

/** Answer of `icmp6HostPolicy`: the message passes, without a look at policy or services. */
export const SKIP_HOST_FIREWALL = 1 << 19;
/** Flag of bpf_redirect: as if the packet had come in by the device. */
export const BPF_F_INGRESS = 1;

/** The host endpoint's program, whose policy map is asked; undefined before it was loaded. */
export const hostProgram = (dp: Datapath): EndpointProgram | undefined => dp.program(dp.config.node.hostEndpointId);

/**
 * ipvX_host_policy_egress: may the node send this?
 * @param srcId        whom the packet is from, as mark and ipcache say together
 * @param ipcacheSrcId as the ipcache alone says; 0 if it was not asked
 * @param trace        set for connections that were looked up
 * @param isBuffered   what conntrack found went through the tail-call buffer, which must name a source
 * @returns CTX_ACT_OK; CTX_ACT_REDIRECT to the proxy; or a drop code
 */
export function hostPolicyEgress(
  dp: Datapath,
  fam: Family,
  skb: Skb,
  srcId: number,
  ipcacheSrcId: number,
  trace: NatTrace,
  isBuffered: boolean,
): number {
  const isHost = srcId === HOST_ID;
  if (!isHost && (fam.masquerade || ipcacheSrcId !== HOST_ID)) return CTX_ACT_OK;
  const status = lookup(dp, fam, skb, CT_EGRESS, trace, isBuffered);
  if (status < 0) return status;
  // A pod's packet that the stack gave the node's address: its replies come to the node, and must pass.
  if (!isHost) return status === CT_NEW ? create(dp, fam, skb, CT_EGRESS, 0, false) : CTX_ACT_OK;
  if (status !== CT_NEW && status !== CT_ESTABLISHED) return CTX_ACT_OK;
  const info = lookupRemoteEndpoint(dp, fam, fam.daddr(skb));
  const verdict = enforce(
    dp,
    fam,
    skb,
    CT_EGRESS,
    info === NULL ? 0 : identityOf(dp, fam, info),
    info,
    HOST_ID,
    status,
  );
  const { proxyPort } = dp.policy;
  // As in Cilium, also where authentication is still wanted.
  if (proxyPort === 0) return verdict;
  const { reason, monitor } = trace;
  sendTraceNotify(dp, skb, dp.config.node.hostEndpointId, TRACE_TO_PROXY, HOST_ID, 0, proxyPort, 0, reason, monitor);
  skb.mark = (MARK_MAGIC_TO_PROXY | (htons(proxyPort) << 16)) >>> 0;
  setMacs(skb, NULL, dp.stack.ciliumHostMac);
  return redirect(skb, dp.config.node.ciliumHostIfindex, BPF_F_INGRESS);
}

/**
 * ipvX_host_policy_ingress: may this come to the node? Asked of packets to its own addresses only.
 * @param unknownId identity of a source that the ipcache does not know; `dp.srcIdentity` is who sent it, afterwards
 * @returns CTX_ACT_OK or a drop code
 */
export function hostPolicyIngress(
  dp: Datapath,
  fam: Family,
  skb: Skb,
  unknownId: number,
  trace: NatTrace,
  isBuffered: boolean,
): number {
  dp.srcIdentity = unknownId;
  if (!hasIpHeader(fam, skb)) return DROP_INVALID;
  const destination = lookupRemoteEndpoint(dp, fam, fam.daddr(skb));
  if (destination === NULL || identityOf(dp, fam, destination) !== HOST_ID) return CTX_ACT_OK;
  const status = lookup(dp, fam, skb, CT_INGRESS, trace, isBuffered);
  if (status < 0) return status;
  const info = lookupRemoteEndpoint(dp, fam, fam.saddr(skb));
  if (info !== NULL) dp.srcIdentity = identityOf(dp, fam, info);
  let verdict: number = CTX_ACT_OK;
  if (status === CT_NEW || status === CT_ESTABLISHED) {
    const { srcIdentity } = dp;
    verdict = enforce(dp, fam, skb, CT_INGRESS, srcIdentity, info, srcIdentity, status);
  }
  // Packets that a pod's program redirected to the host's device are the host's now.
  skb.packetType = PACKET_HOST;
  return verdict;
}

/** ipvX_host_policy_Xgress_lookup: the packet's connection. @returns CT_* or a drop code; `fam.tuple` is its key */
function lookup(dp: Datapath, fam: Family, skb: Skb, dir: number, trace: NatTrace, isBuffered: boolean): number {
  const m = dp.memory;
  const { headers, ct } = dp;
  const { tuple } = fam;
  const err = readHeaders(fam, skb, headers);
  if (err < 0) return err;
  loadTupleAddresses(m, fam, tuple, skb, headers.nexthdr);
  const status = ctLookup(dp, fam, tuple, skb, dir, 'bidir', ct);
  if (status < 0) return status;
  if (isBuffered && isZeroAddress(m, fam, tupleSaddrAt(fam, tuple))) return DROP_INVALID_TC_BUFFER;
  trace.reason = status;
  trace.monitor = ct.monitor;
  return status;
}

/** Policy, authentication, the connection's entry and the event. @param remote `struct remote_endpoint_info` of the peer */
function enforce(
  dp: Datapath,
  fam: Family,
  skb: Skb,
  dir: number,
  remoteId: number,
  remote: Address,
  srcSecId: number,
  status: number,
): number {
  const m = dp.memory;
  const { policy } = dp;
  const ep = hostProgram(dp);
  if (ep === undefined) return DROP_HOST_NOT_READY;
  let verdict = judge(dp, fam, ep, skb, dir, remoteId);
  let authType = 0;
  if (verdict === DROP_POLICY_AUTH_REQUIRED) {
    authType = policy.authType;
    verdict = authLookup(dp, HOST_ID, remoteId, tunnelEndpointOf(dp, remote), authType);
  }
  policy.authType = authType;
  if (status === CT_NEW && verdict === CTX_ACT_OK) {
    const err = create(dp, fam, skb, dir, srcSecId, policy.proxyPort > 0);
    if (err < 0) return err;
  }
  // Most nodes allow everything by default: that is not told.
  const isDefault = verdict === CTX_ACT_OK && policy.matchType === POLICY_MATCH_ALL;
  if ((verdict !== CTX_ACT_OK || status !== CT_ESTABLISHED) && !isDefault) {
    const port = ntohs(tupleDport(m, fam, fam.tuple));
    const proto = tupleNexthdr(m, fam, fam.tuple);
    const { policyVerdictLogFilter } = ep;
    sendPolicyVerdictNotify(dp, fam, skb, ep.id, policyVerdictLogFilter, remoteId, port, proto, dir, verdict, policy);
  }
  return verdict;
}

function create(dp: Datapath, fam: Family, skb: Skb, dir: number, srcSecId: number, proxyRedirect: boolean): number {
  const { ctNew } = dp;
  ctNew.reset();
  ctNew.srcSecId = srcSecId;
  ctNew.proxyRedirect = proxyRedirect;
  return ctCreate(dp, fam, fam.tuple, skb, dir, ctNew, true);
}

const ECHO_REQUEST = 128;
const ECHO_REPLY = 129;
const NEIGHBOUR_SOLICITATION = 135;
/** First and last type of the messages that a node cannot do without. Source: RFC 4890, section 4.4. */
const NEEDED: readonly (readonly [first: number, last: number])[] = [
  [1, 4], // errors
  [130, 136], // multicast listeners, routers, neighbours
  [141, 143], // inverse neighbours, listener reports
  [148, 149], // secure neighbour discovery
  [151, 153], // multicast routers
];

/**
 * icmp6_host_handle, but for solicitations that are answered: what ICMPv6 messages may do whatever policy says.
 * @returns CTX_ACT_OK: policy decides; SKIP_HOST_FIREWALL: it passes; or a drop code
 */
export function icmp6HostPolicy(dp: Datapath, skb: Skb): number {
  const at = skb.at(dp.headers.l4Off, 1);
  if (at === NULL) return DROP_INVALID;
  if (!dp.config.hostFirewall) return CTX_ACT_OK;
  const type = dp.memory.u8[at]!;
  if (type === NEIGHBOUR_SOLICITATION || type === ECHO_REQUEST || type === ECHO_REPLY) return CTX_ACT_OK;
  for (const [first, last] of NEEDED) if (type >= first && type <= last) return SKIP_HOST_FIREWALL;
  return DROP_FORBIDDEN_ICMP6;
}
