import { family, has, INGRESS_BY_DEVICE, NAT_MAX, NAT_MIN, NODE_PORT, NOT_USUAL, programOf, SNAT } from './context';
import { findTuple, roomFor } from './conntrack';
import { deliver, expectDelivery, newFlows } from './ingress';
import { identityOf, isHostDelivery, lookupEndpoint, lookupRemoteEndpoint, lxcId, macAt, nodeMacAt } from './ipcache';
import { daddrAt, dport, mayHop, ntohs, parse, ports, protocol, routeL3, saddrAt } from './packet';
import { lookupService } from './services';

/* handleFromOverlay (bpf_overlay.ts): a packet that a pod of another node sends to one here. */

const F_IN: u32 = 0x100;
const REMOTE_NODE_ID: u32 = 6;
const KUBE_APISERVER_NODE_ID: u32 = 7;
const SCOPE_REMOTE_NODE: u32 = 2;

@inline
function isRemoteNode(identity: u32): bool {
  return (
    identity === REMOTE_NODE_ID || identity === KUBE_APISERVER_NODE_ID || identity >> 24 === SCOPE_REMOTE_NODE
  );
}

/** Does the packet belong to a service of the node, or perhaps to a connection that NAT knows? */
function isNodePort<F>(ctx: u32): bool {
  if (lookupService<F>(ctx, false) !== 0) return true;
  const port = ntohs(dport());
  if (port < load<u32>(ctx, NAT_MIN) || port > load<u32>(ctx, NAT_MAX)) return false;
  const table = family<F>(ctx) + SNAT;
  return findTuple<F>(ctx, table, daddrAt, saddrAt, rotl<u32>(ports, 16), protocol | F_IN) !== 0;
}

/** @param tunnelIdentity of the sender. @returns answer of the program, or NOT_USUAL: then nothing is changed */
export function handleFromOverlay<F>(ctx: u32, at: u32, len: u32, now: u32, tunnelIdentity: u32): i32 {
  if (!parse<F>(at, len, now)) return NOT_USUAL;
  if (has(ctx, NODE_PORT) && isNodePort<F>(ctx)) return NOT_USUAL;
  let identity = tunnelIdentity;
  if (isRemoteNode(identity)) {
    const info = lookupRemoteEndpoint<F>(ctx, saddrAt);
    if (info !== 0) identity = identityOf<F>(ctx, info);
  }
  const endpoint = lookupEndpoint<F>(ctx, daddrAt);
  if (endpoint === 0 || isHostDelivery(endpoint) || !mayHop<F>() || has(ctx, INGRESS_BY_DEVICE)) return NOT_USUAL;
  const destination = programOf(ctx, lxcId(endpoint));
  if (destination === 0 || !expectDelivery<F>(ctx, destination, identity)) return NOT_USUAL;
  const room = roomFor<F>(ctx, newFlows, 0);
  if (room !== 0) return room;
  routeL3<F>(nodeMacAt(endpoint), macAt(endpoint));
  return deliver<F>(ctx, destination, identity, true, true);
}
