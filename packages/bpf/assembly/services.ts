import {
  BACKENDS,
  family,
  has,
  isV6,
  KEY,
  REV_NAT,
  SEED,
  SERVICE_ALGORITHMS,
  SERVICE_PROTOCOLS,
  SERVICES,
  SYN,
} from './context';
import { affinityBackend, lookupAffinity, roomForClient } from './affinity';
import { entryBackend, entryRevNat, peekService, reopens, roomFor } from './conntrack';
import { beginHash, find1, find3, findBegun, NODE_KEY } from './hash';
import { addressBytes, copyAddress, daddrAt, dport, ports, protocol, saddrAt, tcpFlags } from './packet';

/* Services (lib/lb.ts, lb_service.ts, lb_select.ts): those whose traffic no proxy takes. */

const VALUE: u32 = NODE_KEY + 8; // of keys of one word
// `struct lbX_service`.
const BACKEND_ID: u32 = 0;
const COUNT: u32 = 4;
const REV_NAT_INDEX: u32 = 6;
const FLAGS: u32 = 8;
const FLAGS2: u32 = 9;
const TIMEOUT: u32 = 0;
const WITH_AFFINITY: u32 = 1 << 4;
const L7_LOADBALANCER_OR_DELEGATE: u32 = (1 << 2) | (1 << 3);
const TWO_SCOPES: u32 = 1 << 5;

/** Protocol and scope with which the service was found: the key of its slots has them too. */
let found: u32 = 0;

@inline
function value<F>(): u32 {
  return NODE_KEY + (isV6<F>() ? 24 : 16);
}

/** Begins a key of the packet's destination: all but its last word, protocol and scope. @returns its hash so far */
@inline
function begin<F>(ctx: u32, portAndSlot: u32): u32 {
  if (!isV6<F>()) return portAndSlot; // such a key needs no place in memory
  const key = ctx + KEY;
  copyAddress<F>(key, daddrAt);
  store<u32>(key, portAndSlot, 16);
  return beginHash(key, 6);
}

/** @param begun what `begin` answered */
@inline
function lookup<F>(ctx: u32, begun: u32, protoAndScope: u32): u32 {
  const table = family<F>(ctx) + SERVICES;
  let node: u32 = 0;
  if (isV6<F>()) {
    store<u32>(ctx + KEY, protoAndScope, 20);
    node = findBegun(table, ctx + KEY, 6, begun);
  } else node = find3(table, load<u32>(daddrAt), begun, protoAndScope);
  return node === 0 ? 0 : node + value<F>();
}

@inline
function lookupScope<F>(ctx: u32, begun: u32, scope: u32): u32 {
  let service: u32 = 0;
  if (has(ctx, SERVICE_PROTOCOLS)) {
    found = protocol | (scope << 8);
    service = lookup<F>(ctx, begun, found);
    if (service !== 0) return service;
  }
  found = scope << 8;
  return lookup<F>(ctx, begun, found);
}

/** lbX_lookup_service. @param switchScope for clients inside the cluster. @returns its `struct lbX_service`, or 0 */
@inline
export function lookupService<F>(ctx: u32, switchScope: bool): u32 {
  const begun = begin<F>(ctx, dport());
  const service = lookupScope<F>(ctx, begun, 0);
  if (service === 0) return 0;
  if (!switchScope) return service;
  return (load<u8>(service, FLAGS2) & TWO_SCOPES) === 0 ? service : lookupScope<F>(ctx, begun, 1);
}

/** As entries have it. */
@inline
export function serviceRevNat(service: u32): u32 {
  return load<u16>(service, REV_NAT_INDEX);
}

/** What `chooseBackend` found: the entry of the connection's choice, 0 for a new one; the backend's number. */
export let serviceEntry: u32 = 0;
export let backendId: u32 = 0;
/** The entry that remembers the client's backend. */
let remembered: u32 = 0;

/** @returns `struct lbX_backend` of the connection's backend, or 0 if that is not so easily told */
@inline
export function chooseBackend<F>(ctx: u32, service: u32): u32 {
  if ((load<u8>(service, FLAGS2) & L7_LOADBALANCER_OR_DELEGATE) !== 0) return 0;
  serviceEntry = peekService<F>(ctx);
  const revNat = serviceRevNat(service);
  remembered = hasAffinity(service) ? lookupAffinity<F>(ctx, revNat) : 0;
  if (serviceEntry === 0) {
    backendId =
      remembered !== 0
        ? affinityBackend(ctx, remembered, load<u32>(service, TIMEOUT), revNat)
        : selectBackend<F>(ctx, service);
    return backendId === 0 ? 0 : lookupBackend<F>(ctx, backendId);
  }
  if (entryRevNat(serviceEntry) !== revNat || reopens(serviceEntry)) return 0;
  backendId = entryBackend(serviceEntry);
  const backend = lookupBackend<F>(ctx, backendId);
  if (backend === 0) return 0;
  const isActive = load<u8>(backend + addressBytes<F>(), 3) === 0;
  // Connections stay with a backend that terminates; a new one on the same ports does not go there.
  return isActive || (tcpFlags & SYN) === 0 ? backend : 0;
}

@inline
export function hasAffinity(service: u32): bool {
  return (load<u8>(service, FLAGS) & WITH_AFFINITY) !== 0;
}

/** @returns 0 if there is room for what the service remembers of the connection and of the client, beside `flows` new ones */
@inline
export function roomForService<F>(ctx: u32, service: u32, flows: u32): i32 {
  if (service === 0) return roomFor<F>(ctx, flows, 0);
  const connections = roomFor<F>(ctx, flows, serviceEntry === 0 ? 1 : 0);
  return hasAffinity(service) && remembered === 0 ? connections | roomForClient<F>(ctx) : connections;
}

@inline
function lookupBackend<F>(ctx: u32, id: u32): u32 {
  const node = find1(family<F>(ctx) + BACKENDS, id);
  return node === 0 ? 0 : node + VALUE;
}

/** be16, or 0: the port stays. */
@inline
export function backendPort<F>(backend: u32): u32 {
  return load<u16>(backend + addressBytes<F>());
}

/** lbX_select_backend_id at random: the number that the flow gets by the seed. @returns 0 if there is none */
function selectBackend<F>(ctx: u32, service: u32): u32 {
  if (has(ctx, SERVICE_ALGORITHMS)) return 0;
  const count: u32 = load<u16>(service, COUNT);
  if (count === 0) return 0;
  const begun = begin<F>(ctx, dport() | (((flowRandom<F>(ctx) % count) + 1) << 16));
  const slot = lookup<F>(ctx, begun, found);
  return slot === 0 ? 0 : load<u32>(slot, BACKEND_ID);
}

/** lib/random.ts. */
function flowRandom<F>(ctx: u32): u32 {
  let hash = load<u32>(ctx, SEED);
  for (let i: u32 = 0; i < addressBytes<F>(); i += 4) hash = mix(hash, load<u32>(daddrAt + i));
  for (let i: u32 = 0; i < addressBytes<F>(); i += 4) hash = mix(hash, load<u32>(saddrAt + i));
  return mix(hash, ports);
}

@inline
function mix(hash: u32, word: u32): u32 {
  let h = hash ^ word;
  h = (h ^ (h >> 16)) * 0x85eb_ca6b;
  h = (h ^ (h >> 13)) * 0xc2b2_ae35;
  return h ^ (h >> 16);
}

/** What a service's client knows it by: `struct lbX_reverse_nat`, or 0. @param index as entries have it */
@inline
export function lookupRevNat<F>(ctx: u32, index: u32): u32 {
  const node = find1(family<F>(ctx) + REV_NAT, index);
  return node === 0 ? 0 : node + VALUE;
}
