import {
  type Address,
  LB4_KEY,
  lb4BackendAddress,
  lb4BackendId,
  lb4BackendPort,
  lb4Count,
  lb4RevNatAddress,
  lb4RevNatIndex,
  lb4RevNatPort,
  NULL,
  setLb4Key,
  setLb4RevNatKey,
} from '@ciliate/maps';
import type { Datapath, EndpointProgram } from '../datapath.ts';
import type { Skb } from '../skb.ts';
import { CT_NEW, CT_REPLY, CT_SERVICE, CTX_ACT_OK, htonl, htons, ntohl, ntohs } from './common.ts';
import {
  type CtState,
  ctCreate4,
  ctLookupService4,
  tupleDaddr,
  tupleDport,
  tupleNexthdr,
  tupleSaddr,
  tupleSport,
  updateServiceBackend,
} from './conntrack.ts';
import { DROP_NO_SERVICE } from './drop_reasons.ts';
import { DESTINATION, daddr, rewriteEnd, SOURCE, saddr } from './ipv4.ts';

/**
 * Service translation for each packet of a pod. Source: bpf/lib/lb.h.
 * Not modelled: Maglev, session affinity, backends that terminate, scopes, source ranges, the ICMP answer of a service
 * without backends (the packet is dropped with DROP_NO_SERVICE, as with that option off).
 */

/** What a pod that reaches itself through a service sees as the client. */
export const SERVICE_LOOPBACK_IPV4 = htonl(0xa9fe2a01); // 169.254.42.1

/**
 * Finds the service that the tuple's destination names, first by protocol, then for any protocol.
 * @returns address of `struct lb4_service` or NULL; `dp.stack.lbKey` is left as the key that was found
 */
export function lb4LookupService(dp: Datapath, tuple: Address): Address {
  const m = dp.memory;
  const key = dp.stack.lbKey;
  // Ports are exchanged in the tuple; slot 0 is the frontend.
  setLb4Key(m, key, ntohl(tupleDaddr(m, tuple)), ntohs(tupleSport(m, tuple)), tupleNexthdr(m, tuple), 0);
  const service = dp.services.lookup(key);
  if (service !== NULL) return service;
  m.u8[key + LB4_KEY.proto] = 0;
  return dp.services.lookup(key);
}

/**
 * lb4_local: the backend of this connection, from conntrack or chosen now; translates the packet to it.
 *
 * @param tuple  as `loadTuplePorts` left it
 * @param state  revNatIndex and loopback are what the connection's own entries must carry
 * @returns      CTX_ACT_OK or a negative drop code
 */
export function lb4Local(
  dp: Datapath,
  ep: EndpointProgram,
  skb: Skb,
  l4Off: number,
  tuple: Address,
  service: Address,
  state: CtState,
): number {
  const m = dp.memory;
  state.reset();
  state.revNatIndex = lb4RevNatIndex(m, service);
  const found = ctLookupService4(dp, tuple, skb, l4Off, state);
  if (found < 0) return found;
  let backend = found === CT_REPLY ? lookupBackend(dp, state.backendId) : NULL;
  const known = backend !== NULL;
  if (backend === NULL) {
    state.backendId = selectBackend(dp, tuple, service);
    backend = lookupBackend(dp, state.backendId);
    if (backend === NULL) return DROP_NO_SERVICE;
    if (found === CT_NEW) {
      const err = ctCreate4(dp, tuple, skb, CT_SERVICE, state);
      if (err < 0) return err;
    } else updateServiceBackend(dp, tuple, state.backendId); // the backend it had is gone
  }

  const address = lb4BackendAddress(m, backend);
  const port = lb4BackendPort(m, backend);
  dp.steps?.push({
    kind: 'service',
    endpoint: ep.id,
    frontend: { address: ntohl(daddr(skb)), port: ntohs(tupleSport(m, tuple)) },
    backend: { id: state.backendId, address, port },
    known,
  });
  if (saddr(skb) === htonl(address)) {
    // The pod is its own backend: source and destination would be equal, which Linux takes for a forgery.
    state.loopback = true;
    const err = rewriteEnd(skb, SOURCE, SERVICE_LOOPBACK_IPV4, 0);
    if (err < 0) return err;
  }
  return rewriteEnd(skb, DESTINATION, htonl(address), htons(port));
}

function lookupBackend(dp: Datapath, id: number): Address {
  dp.memory.u32[dp.stack.backendKey >> 2] = id;
  return dp.backends.lookup(dp.stack.backendKey);
}

/** One backend, the same for the same flow and seed whoever asks. Answers 0 if the service has none. */
function selectBackend(dp: Datapath, tuple: Address, service: Address): number {
  const m = dp.memory;
  const count = lb4Count(m, service);
  if (count === 0) return 0;
  const flow = mix(mix(mix(dp.seed, tupleSaddr(m, tuple)), tupleDaddr(m, tuple)), ports(dp, tuple));
  m.u16[(dp.stack.lbKey + LB4_KEY.backend_slot) >> 1] = (flow % count) + 1;
  const slot = dp.services.lookup(dp.stack.lbKey);
  return slot === NULL ? 0 : lb4BackendId(m, slot);
}

const ports = (dp: Datapath, tuple: Address): number =>
  (tupleSport(dp.memory, tuple) << 16) | tupleDport(dp.memory, tuple);

/** One round of the MurmurHash3 finaliser over both words: spreads neighbours, no tables, no allocation. */
function mix(hash: number, word: number): number {
  let h = (hash ^ word) >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/**
 * lb4_rev_nat: gives a reply the address and port of the service that the client spoke to.
 * @param revNatIndex  host order
 */
export function lb4RevNat(
  dp: Datapath,
  ep: EndpointProgram,
  skb: Skb,
  tuple: Address,
  revNatIndex: number,
  loopback: boolean,
): number {
  const m = dp.memory;
  setLb4RevNatKey(m, dp.stack.revNatKey, revNatIndex);
  const nat = dp.revNat.lookup(dp.stack.revNatKey);
  if (nat === NULL) return CTX_ACT_OK;
  const address = lb4RevNatAddress(m, nat);
  const port = lb4RevNatPort(m, nat);
  const from = saddr(skb);
  dp.steps?.push({
    kind: 'reverse-nat',
    endpoint: ep.id,
    from: { address: ntohl(from), port: ntohs(tupleDport(m, tuple)) },
    to: { address, port },
  });
  if (loopback) {
    const err = rewriteEnd(skb, DESTINATION, from, 0);
    if (err < 0) return err;
  }
  return rewriteEnd(skb, SOURCE, htonl(address), htons(port));
}
