import { type Address, LB4_SERVICE, NULL } from '@ciliate/maps';
import { IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_SCTP } from '@ciliate/packet';
import type { Datapath } from '../datapath.ts';
import { addressAt, noteDebug, noteLookup } from '../explain.ts';
import type { Skb } from '../skb.ts';
import { CT_NEW, CT_REPLY, CT_SERVICE, CTX_ACT_OK, ETH_HLEN, htons, ntohs } from './common.ts';
import { CT_ENTRY_SVC, type CtState, ctCreate, ctLazyLookup, hasPorts, updateServiceBackend } from './conntrack.ts';
import { csumDiff, csumL4Replace, csumOffset, csumReplace } from './csum.ts';
import {
  DBG_LB4_LOOPBACK_SNAT,
  DBG_LB4_LOOPBACK_SNAT_REV,
  noteNoBackend,
  noteRevNat,
  noteRevNatLookup,
} from './dbg.ts';
import { DROP_CSUM_L4, DROP_NO_SERVICE, DROP_PUNT_PROXY, DROP_UNKNOWN_L4 } from './drop_reasons.ts';
import { lookupEndpoint } from './endpoints.ts';
import type { Family } from './family.ts';
import { affinityBackend, selectBackend, updateAffinity } from './lb_select.ts';
import { isAffinity, isL7PuntProxy } from './lb_service.ts';
import {
  setTupleFlags,
  setTuplePorts,
  tupleDport,
  tupleFlags,
  tupleNexthdr,
  tupleSaddrAt,
  tupleSport,
} from './tuple.ts';

/** BE_STATE_ACTIVE. */
const ACTIVE = 0;

/**
 * lb4_local, lb6_local: sends the packet to one of the service's backends, the same one for the whole connection.
 * The connection's choice is kept in conntrack under CT_SERVICE. Source: bpf/lib/lb.h.
 *
 * @param tuple  `fam.lbTuple` as `loadPorts` left it; afterwards its daddr and sport are the backend's
 * @param state  reset, then revNatIndex, loopback and backendId are what the connection's own entries must carry
 * @param selection LB_SELECTION of the program
 * @param allowLoopback of programs of pods: a pod that is its own backend
 * @returns      CTX_ACT_OK or a negative drop code
 */
export function lbLocal(
  dp: Datapath,
  fam: Family,
  skb: Skb,
  source: number,
  tuple: Address,
  service: Address,
  state: CtState,
  selection: number,
  allowLoopback: boolean,
): number {
  const m = dp.memory;
  const flags = tupleFlags(m, fam, tuple);
  const ret = translate(dp, fam, skb, source, tuple, service, state, selection, allowLoopback);
  setTupleFlags(m, fam, tuple, flags);
  return ret;
}

function translate(
  dp: Datapath,
  fam: Family,
  skb: Skb,
  source: number,
  tuple: Address,
  service: Address,
  state: CtState,
  selection: number,
  allowLoopback: boolean,
): number {
  const m = dp.memory;
  const index = ntohs(m.u16[(service + LB4_SERVICE.rev_nat_index) >> 1]!);
  const count = m.u16[(service + LB4_SERVICE.count) >> 1]!;
  const client = tupleSaddrAt(fam, tuple);
  state.reset();
  state.revNatIndex = index;
  const found = ctLazyLookup(dp, fam, tuple, skb, CT_SERVICE, 'reverse', CT_ENTRY_SVC, state);
  if (found < 0) return found;

  let backend: Address = NULL;
  if (found === CT_NEW) {
    if (count === 0) return DROP_NO_SERVICE;
    let id = isAffinity(m, service) ? affinityBackend(dp, fam, client, service) : 0;
    if (id !== 0) backend = lookupBackend(dp, fam, id);
    if (backend === NULL) {
      id = selectBackend(dp, fam, tuple, service, selection);
      backend = lookupBackend(dp, fam, id);
      if (backend === NULL) return DROP_NO_SERVICE;
    }
    state.backendId = id;
    const err = ctCreate(dp, fam, tuple, skb, CT_SERVICE, state, false);
    if (err < 0) return err;
  } else {
    backend = lookupBackend(dp, fam, state.backendId);
    const isActive = backend !== NULL && m.u8[backend + 4 * fam.words + 3] === ACTIVE;
    // Connections stay with a backend that terminates; a new one on the same ports (a SYN) does not go there.
    if (!isActive && (backend === NULL || state.syn)) {
      if (count === 0) return DROP_NO_SERVICE;
      state.backendId = selectBackend(dp, fam, tuple, service, selection);
      backend = lookupBackend(dp, fam, state.backendId);
      if (backend === NULL) return DROP_NO_SERVICE;
      state.revNatIndex = index;
      updateServiceBackend(dp, fam, tuple, state.backendId, index);
    }
  }
  if (isAffinity(m, service)) updateAffinity(dp, fam, client, service, state.backendId);

  const port = m.u16[(backend + 4 * fam.words) >> 1]!;
  dp.steps?.push({
    kind: 'service',
    endpoint: source,
    frontend: { address: addressAt(dp, fam, tuple), port: ntohs(tupleSport(m, fam, tuple)) },
    backend: { id: state.backendId, address: addressAt(dp, fam, backend), port: ntohs(port) },
    known: found === CT_REPLY,
  });
  // A pod that is its own backend: source and destination would be equal, which Linux takes for a forgery.
  state.loopback = allowLoopback && !fam.isV6 && fam.sameAddress(m, client, backend);
  if (isL7PuntProxy(m, service) && lookupEndpoint(dp, fam, backend) !== NULL) return DROP_PUNT_PROXY;
  const oldPort = tupleSport(m, fam, tuple);
  const ret = rewriteToBackend(dp, fam, skb, tupleNexthdr(m, fam, tuple), backend, oldPort, port, state.loopback);
  if (!state.loopback) fam.copyAddress(m, tuple, backend);
  if (port !== 0) setTuplePorts(m, fam, tuple, tupleDport(m, fam, tuple), port);
  return ret;
}

const lookupBackend = (dp: Datapath, fam: Family, id: number): Address => {
  dp.memory.u32[dp.stack.backendKey >> 2] = id;
  const backend = fam.backends.lookup(dp.stack.backendKey);
  if (dp.steps !== null) {
    noteLookup(dp, fam.backends, dp.stack.backendKey, backend);
    if (backend === NULL) noteNoBackend(dp, fam, id);
  }
  return backend;
};

/** lbX_xlate: destination address and port become the backend's, and the source of a pod's own the loopback address. */
function rewriteToBackend(
  dp: Datapath,
  fam: Family,
  skb: Skb,
  nexthdr: number,
  backend: Address,
  oldPort: number,
  port: number,
  loopback: boolean,
): number {
  const m = dp.memory;
  let diff = replaceAddress(dp, fam, fam.daddr(skb), backend, 0);
  if (loopback) {
    const saddr = fam.saddr(skb) >> 2;
    const address = dp.config.node.serviceLoopbackIpv4;
    if (dp.steps !== null) noteDebug(dp, DBG_LB4_LOOPBACK_SNAT, m.u32[saddr]!, address);
    diff = csumDiff(diff, m.u32[saddr]!, address);
    m.u32[saddr] = address;
  }
  if (!fam.isV6) csumReplace(m, skb.data + ETH_HLEN + 10, diff);
  if (!dp.headers.hasL4Header) return CTX_ACT_OK;
  const { l4Off } = dp.headers;
  if (csumOffset(nexthdr) !== 0 && !csumL4Replace(skb, nexthdr, l4Off, diff)) return DROP_CSUM_L4;
  return port === 0 || port === oldPort ? CTX_ACT_OK : rewritePort(skb, nexthdr, l4Off, 2, oldPort, port);
}

/** Copies an address over another. @returns `diff` and what that changes in sums */
export function replaceAddress(dp: Datapath, fam: Family, at: Address, by: Address, diff: number): number {
  const { u32 } = dp.memory;
  let sum = diff;
  for (let i = 0; i < fam.words; i++) {
    sum = csumDiff(sum, u32[(at >> 2) + i]!, u32[(by >> 2) + i]!);
    u32[(at >> 2) + i] = u32[(by >> 2) + i]!;
  }
  return sum;
}

/** l4_modify_port: a port (be16) and the transport checksum. SCTP's checksum is of another kind: refused. */
export function rewritePort(
  skb: Skb,
  nexthdr: number,
  l4Off: number,
  portOff: number,
  oldPort: number,
  port: number,
): number {
  if (nexthdr === IPPROTO_SCTP) return DROP_CSUM_L4;
  if (!csumL4Replace(skb, nexthdr, l4Off, csumDiff(0, oldPort, port))) return DROP_CSUM_L4;
  skb.memory.u16[(skb.data + l4Off + portOff) >> 1] = port;
  return CTX_ACT_OK;
}

/** What a service's client knows it by: `struct lbX_reverse_nat`, or NULL. @param index host order */
export function lookupRevNat(dp: Datapath, fam: Family, index: number): Address {
  dp.memory.u16[dp.stack.revNatKey >> 1] = htons(index);
  if (dp.steps !== null) noteRevNatLookup(dp, fam, htons(index));
  const nat = fam.revNat.lookup(dp.stack.revNatKey);
  if (dp.steps !== null) noteLookup(dp, fam.revNat, dp.stack.revNatKey, nat);
  return nat;
}

/**
 * lb4_rev_nat, lb6_rev_nat: gives a reply the address and port of the service that the client spoke to.
 * @param tuple of the packet
 * @param revNatIndex host order
 * @param loopback the reply of a pod to itself: it goes back to where it came from
 */
export function lbRevNat(
  dp: Datapath,
  fam: Family,
  skb: Skb,
  source: number,
  tuple: Address,
  revNatIndex: number,
  loopback: boolean,
): number {
  const m = dp.memory;
  const nat = lookupRevNat(dp, fam, revNatIndex);
  if (nat === NULL) return CTX_ACT_OK;
  const port = m.u16[(nat + 4 * fam.words) >> 1]!;
  const nexthdr = tupleNexthdr(m, fam, tuple);
  if (dp.steps !== null) {
    noteRevNat(dp, fam, nat, port);
    const [oldDip, oldSip] = [m.u32[fam.daddr(skb) >> 2]!, m.u32[fam.saddr(skb) >> 2]!];
    if (loopback) noteDebug(dp, DBG_LB4_LOOPBACK_SNAT_REV, oldDip, oldSip);
  }
  dp.steps?.push({
    kind: 'reverse-nat',
    endpoint: source,
    from: { address: addressAt(dp, fam, fam.saddr(skb)), port: ntohs(tupleDport(m, fam, tuple)) },
    to: { address: addressAt(dp, fam, nat), port: ntohs(port) },
  });
  let diff = 0;
  if (loopback) diff = replaceAddress(dp, fam, fam.daddr(skb), fam.saddr(skb), diff);
  diff = replaceAddress(dp, fam, fam.saddr(skb), nat, diff);
  fam.copyAddress(m, tupleSaddrAt(fam, tuple), nat);
  if (!fam.isV6) csumReplace(m, skb.data + ETH_HLEN + 10, diff);
  if (!dp.headers.hasL4Header) return CTX_ACT_OK;
  const { l4Off } = dp.headers;
  if (port !== 0) {
    const err = reversePort(dp, fam, skb, nexthdr, l4Off, tupleDport(m, fam, tuple), port);
    if (err < 0) return err;
  }
  return csumOffset(nexthdr) !== 0 && !csumL4Replace(skb, nexthdr, l4Off, diff) ? DROP_CSUM_L4 : CTX_ACT_OK;
}

/** reverse_map_l4_port: the source port, of protocols that have ports. */
function reversePort(
  dp: Datapath,
  fam: Family,
  skb: Skb,
  nexthdr: number,
  l4Off: number,
  oldPort: number,
  port: number,
): number {
  if (hasPorts(dp, nexthdr)) return port === oldPort ? CTX_ACT_OK : rewritePort(skb, nexthdr, l4Off, 0, oldPort, port);
  return nexthdr === IPPROTO_ICMP || nexthdr === IPPROTO_ICMPV6 || nexthdr === fam.icmp ? CTX_ACT_OK : DROP_UNKNOWN_L4;
}
