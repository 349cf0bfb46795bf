import {
  CHECK_SOURCE,
  EGRESS,
  ENCAP_IFINDEX,
  EP_ADDRESS,
  EP_ADDRESS6,
  EP_ID,
  EP_IDENTITY,
  EP_MAC,
  ESTABLISHED,
  FROM_JUDGED,
  has,
  IFINDEX,
  INGRESS_BY_DEVICE,
  isV6,
  LOOK_FOR_SERVICE,
  MARK,
  NEW,
  NODE_PORT,
  NOT_USUAL,
  programOf,
  REPLY,
  ROUTING,
  SERVICE,
  TRACE_PAYLOAD_LEN,
  TUNNEL_ID,
  TUNNEL_INFO,
  TUNNEL_MODE,
  TUNNEL_PORT,
  WITH_IPV4,
  WITH_IPV6,
} from './context';
import {
  create,
  createService,
  entryFlags,
  entryRevNat,
  FROM_TUNNEL,
  keep,
  LB_LOOPBACK,
  NODE_PORT_ENTRY,
  peek,
  PROXY_REDIRECT,
  reopens,
  status as found,
} from './conntrack';
import {
  count,
  drop,
  FORWARDED,
  metric,
  METRIC_EGRESS,
  policyVerdict,
  TO_OVERLAY,
  TO_PROXY,
  TO_STACK,
  trace,
} from './events';
import {
  deliver,
  DROPPED,
  expectDelivery,
  MARKED,
  markForProxy,
  newFlows as newDeliveries,
  OK,
  REDIRECT,
  TUNNELLED,
} from './ingress';
import {
  identityOf,
  isHostDelivery,
  lookupEndpoint,
  lookupRemoteEndpoint,
  lxcId,
  macAt,
  nodeMacAt,
  skipsTunnel,
  usesTunnel,
} from './ipcache';
import {
  daddrAt,
  dport,
  hasChecksum,
  isTcp,
  isZeroAddress,
  mayHop,
  parse,
  pretend,
  reread,
  rewriteToBackend,
  routeL3,
  saddrAt,
  sameAddress,
} from './packet';
import { account, judge, NOT_JUDGED, PROXY_PORT, VERDICT } from './policy';
import { updateAffinity } from './affinity';
import {
  backendId,
  backendPort,
  chooseBackend,
  hasAffinity,
  lookupService,
  roomForService,
  serviceEntry,
  serviceRevNat,
} from './services';

/* handleFromLxc (bpf_lxc.ts): a packet that a pod sends. First what would be, then, once all is known to be usual, what is. */

const MARK_MAGIC_IDENTITY: u32 = 0x0f00;
const HOST_ID: u32 = 1;
const WORLD_ID: u32 = 2;
const WORLD_IPV4_ID: u32 = 9;
const WORLD_IPV6_ID: u32 = 10;

/** Where the packet goes. */
const TO_THE_STACK: i32 = 0;
const TO_THE_PROXY: i32 = 1;
const TO_A_POD: i32 = 2;
const TO_A_TUNNEL: i32 = 3;
const NOWHERE: i32 = 4;

let service: u32 = 0;
let backend: u32 = 0;
let revNat: u32 = 0;
let entry: u32 = 0;
let status: u32 = 0;
let info: u32 = 0;
let remote: u32 = 0;
let proxyPort: u32 = 0;
/** Of a destination on this node: its `struct endpoint_info`, the record of its program. */
let endpoint: u32 = 0;
let destination: u32 = 0;

/** @param ep record of the pod's program. @returns answer of the program, NOT_USUAL or NO_NODES: then nothing is changed */
@inline
export function handleFromLxc<F>(ctx: u32, ep: u32, at: u32, len: u32, now: u32, device: u32): i32 {
  if (!parse<F>(at, len, now)) return NOT_USUAL;
  if (has(ctx, CHECK_SOURCE))
    if (!sameAddress<F>(saddrAt, load<u32>(ep, isV6<F>() ? EP_ADDRESS6 : EP_ADDRESS))) return NOT_USUAL;
  service = 0;
  revNat = 0;
  if (has(ctx, LOOK_FOR_SERVICE)) {
    service = lookupService<F>(ctx, has(ctx, NODE_PORT));
    if (service !== 0) if (!expectTranslation<F>(ctx)) return NOT_USUAL;
  }
  info = lookupRemoteEndpoint<F>(ctx, daddrAt);
  const way = expectWay<F>(ctx, ep);
  if (way === NOT_USUAL) return NOT_USUAL;
  let flows: u32 = 0;
  if (status === NEW) if (way !== NOWHERE) flows = 1;
  if (way === TO_A_POD) flows += newDeliveries;
  if ((flows | service) !== 0) {
    const room = roomForService<F>(ctx, service, flows);
    if (room !== 0) return room;
  }
  return go<F>(ctx, ep, way, device);
}

/** The packet's destination is a service's: from here on, it is the backend's. */
function expectTranslation<F>(ctx: u32): bool {
  backend = chooseBackend<F>(ctx, service);
  revNat = serviceRevNat(service);
  if (backend === 0 || revNat === 0 || isZeroAddress<F>(backend) || !hasChecksum()) return false;
  const port = backendPort<F>(backend);
  pretend(backend, port === 0 ? dport() : port);
  return true;
}

/** What conntrack and policy say, and where the packet would go. */
@inline
function expectWay<F>(ctx: u32, ep: u32): i32 {
  // A pod that reaches itself.
  if (sameAddress<F>(saddrAt, daddrAt)) return NOT_USUAL;
  if (!isTcp) if (dport() === load<u32>(ctx, TUNNEL_PORT)) return NOT_USUAL;
  entry = peek<F>(ctx, EGRESS, service !== 0);
  status = found;
  let flags: u32 = 0;
  if (entry !== 0) {
    flags = entryFlags(entry);
    if ((flags & LB_LOOPBACK) !== 0) return NOT_USUAL;
    if (reopens(entry)) return NOT_USUAL;
  }
  remote = identityOf<F>(ctx, info);
  proxyPort = 0;
  if (status === REPLY) {
    if ((flags & PROXY_REDIRECT) !== 0) return TO_THE_PROXY;
    if ((flags & NODE_PORT_ENTRY) !== 0 && has(ctx, NODE_PORT)) return NOT_USUAL;
  } else {
    const judged = ctx + FROM_JUDGED;
    const verdict = judge<F>(ctx, ep, EGRESS, remote, judged);
    if (verdict === NOT_JUDGED) return NOT_USUAL;
    if (verdict < 0) return metric(ctx, METRIC_EGRESS, <u32>-verdict) !== 0 ? NOWHERE : NOT_USUAL;
    proxyPort = load<u32>(judged, PROXY_PORT);
    if (status === ESTABLISHED) {
      // Of a service that is another one now, or of another policy.
      if (entryRevNat(entry) !== revNat) return NOT_USUAL;
      if (((flags & PROXY_REDIRECT) !== 0) !== (proxyPort !== 0)) return NOT_USUAL;
    }
    if (proxyPort !== 0) return TO_THE_PROXY;
  }
  return expectForwarding<F>(ctx, ep, flags);
}

/** forwardFromPod: to a pod here, a tunnel or the stack. @param flags of the conntrack entry */
@inline
function expectForwarding<F>(ctx: u32, ep: u32, flags: u32): i32 {
  if (metric(ctx, METRIC_EGRESS, FORWARDED) === 0) return NOT_USUAL;
  const routes = has(ctx, ROUTING);
  if (routes) {
    endpoint = lookupEndpoint<F>(ctx, daddrAt);
    if (endpoint !== 0) {
      if (!mayHop<F>()) return NOT_USUAL;
      if (isHostDelivery(endpoint)) return TO_THE_STACK;
      destination = programOf(ctx, lxcId(endpoint));
      if (destination === 0 || has(ctx, INGRESS_BY_DEVICE)) return NOT_USUAL;
      return expectDelivery<F>(ctx, destination, load<u32>(ep, EP_IDENTITY)) ? TO_A_POD : NOT_USUAL;
    }
  }
  const tunnels = has(ctx, TUNNEL_MODE) && ((flags & FROM_TUNNEL) !== 0 || !skipsTunnel(info));
  if (tunnels && usesTunnel(info)) return load<u32>(ep, EP_IDENTITY) === HOST_ID ? NOT_USUAL : TO_A_TUNNEL;
  return routes && !mayHop<F>() ? NOT_USUAL : TO_THE_STACK;
}

/** Does all of it. */
@inline
function go<F>(ctx: u32, ep: u32, way: i32, device: u32): i32 {
  const id = load<u32>(ep, EP_ID);
  const identity = load<u32>(ep, EP_IDENTITY);
  if (service !== 0) translate<F>(ctx);
  const monitor = status === NEW ? TRACE_PAYLOAD_LEN : keep<F>(ctx, entry, EGRESS, status === REPLY || service !== 0 ? 0 : TRACE_PAYLOAD_LEN);
  if (status !== REPLY) {
    const judged = ctx + FROM_JUDGED;
    account(ctx, judged);
    if (way === NOWHERE) {
      policyVerdict<F>(ctx, ep, EGRESS, remote, judged);
      drop(ctx, id, identity, remote, 0, load<i32>(judged, VERDICT), METRIC_EGRESS, device);
      return DROPPED;
    }
    if (status === NEW) {
      policyVerdict<F>(ctx, ep, EGRESS, remote, judged);
      create<F>(ctx, EGRESS, identity, revNat, proxyPort !== 0 ? PROXY_REDIRECT : 0);
    }
  }
  if (way === TO_THE_STACK) {
    if (has(ctx, ROUTING)) routeL3<F>(0, load<u32>(ep, EP_MAC));
    store<u32>(ctx, ((identity & 0xffff) << 16) | ((identity >> 16) & 0xff) | MARK_MAGIC_IDENTITY, MARK);
    trace<F>(ctx, id, TO_STACK, identity, remote, 0, 0, status, monitor, false);
    return OK | MARKED;
  }
  if (way === TO_A_POD) {
    routeL3<F>(nodeMacAt(endpoint), macAt(endpoint));
    count(ctx, METRIC_EGRESS, FORWARDED);
    return deliver<F>(ctx, destination, identity, true, false);
  }
  if (way === TO_THE_PROXY) {
    trace<F>(ctx, id, TO_PROXY, identity, 0, proxyPort, 0, status, monitor, false);
    markForProxy(ctx, proxyPort);
    return OK | MARKED;
  }
  return encapAndRedirect<F>(ctx, id, identity, monitor);
}

/** What `expectTranslation` found. The service's own entry has the destination that the client knows. */
function translate<F>(ctx: u32): void {
  reread<F>();
  if (serviceEntry === 0) createService<F>(ctx, revNat, backendId);
  else keep<F>(ctx, serviceEntry, SERVICE, 0);
  if (hasAffinity(service)) updateAffinity<F>(ctx, revNat, backendId);
  rewriteToBackend<F>(backend, backendPort<F>(backend));
  reread<F>();
}

function encapAndRedirect<F>(ctx: u32, id: u32, identity: u32, monitor: u32): i32 {
  const ifindex = load<u32>(ctx, ENCAP_IFINDEX);
  trace<F>(ctx, id, TO_OVERLAY, identity, remote, 0, ifindex, status, monitor, false);
  const isDual = has(ctx, WITH_IPV4) && has(ctx, WITH_IPV6);
  const isWorld = isDual && (identity === WORLD_IPV4_ID || identity === WORLD_IPV6_ID);
  store<u32>(ctx, isWorld ? WORLD_ID : identity, TUNNEL_ID);
  store<u32>(ctx, info, TUNNEL_INFO);
  store<u32>(ctx, ifindex, IFINDEX);
  return REDIRECT | TUNNELLED;
}
