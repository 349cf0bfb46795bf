import { type Address, type Memory, NULL } from '@ciliate/maps';
import type { Datapath } from '../datapath.ts';
import { noteLookup } from '../explain.ts';
import type { Family } from './family.ts';
import { tupleNexthdr, tupleSport } from './tuple.ts';

/** `struct lb4_service`, `struct lb6_service`: the same in both families. Source: bpf/lib/common.h. */
export const SERVICE = {
  backendId: 0,
  affinityTimeout: 0,
  l7LbProxyPort: 0,
  count: 4,
  revNatIndex: 6,
  flags: 8,
  flags2: 9,
};

const SVC_FLAG_HOSTPORT = 1 << 3;
const SVC_FLAG_AFFINITY = 1 << 4;
const SVC_FLAG_ROUTABLE = 1 << 6;
const SVC_FLAG_SOURCE_RANGE = 1 << 7;
const SVC_FLAG2_L7_LOADBALANCER = 1 << 2;
const SVC_FLAG2_L7_DELEGATE = 1 << 3;
const SVC_FLAG2_TWO_SCOPES = 1 << 5;
const SVC_FLAG2_SOURCE_RANGE_DENY = 1 << 6;
const LB_LOOKUP_SCOPE_EXT = 0;
const LB_LOOKUP_SCOPE_INT = 1;

const flags = (m: Memory, service: Address): number => m.u8[service + SERVICE.flags]!;
const flags2 = (m: Memory, service: Address): number => m.u8[service + SERVICE.flags2]!;
export const isAffinity = (m: Memory, service: Address): boolean => (flags(m, service) & SVC_FLAG_AFFINITY) !== 0;
export const isRoutable = (m: Memory, service: Address): boolean => (flags(m, service) & SVC_FLAG_ROUTABLE) !== 0;
export const isHostPort = (m: Memory, service: Address): boolean => (flags(m, service) & SVC_FLAG_HOSTPORT) !== 0;
/** The traffic shall go to the proxy on the backend's node as it is. */
export const isL7PuntProxy = (m: Memory, service: Address): boolean =>
  !isHostPort(m, service) && (flags2(m, service) & SVC_FLAG2_L7_DELEGATE) !== 0;

/** Port of the L7 load balancer that the service's traffic goes to, be16; 0: none. */
export function l7LbProxyPort(dp: Datapath, service: Address): number {
  const m = dp.memory;
  if (!dp.config.l7lb || (flags2(m, service) & SVC_FLAG2_L7_LOADBALANCER) === 0) return 0;
  return m.u32[(service + SERVICE.l7LbProxyPort) >> 2]! & 0xffff;
}

/**
 * lbX_fill_key, lbX_lookup_service: the service that the packet goes to; leaves its key in `fam.lbKey`.
 * @param tuple as `loadPorts` left it: addresses natural, ports exchanged
 * @param switchScope for clients inside the cluster, who may have backends of their own
 * @returns its `struct lbX_service`, or NULL
 */
export function lookupService(dp: Datapath, fam: Family, tuple: Address, switchScope: boolean): Address {
  const m = dp.memory;
  const key = fam.lbKey;
  const at = key + fam.lbKeyDport;
  fam.copyAddress(m, key, tuple);
  m.u16[at >> 1] = tupleSport(m, fam, tuple);
  m.u16[(at + 2) >> 1] = 0;
  const service = lookupScope(dp, fam, tuple, LB_LOOKUP_SCOPE_EXT);
  if (service === NULL || !switchScope || (flags2(m, service) & SVC_FLAG2_TWO_SCOPES) === 0) return service;
  return lookupScope(dp, fam, tuple, LB_LOOKUP_SCOPE_INT);
}

function lookupScope(dp: Datapath, fam: Family, tuple: Address, scope: number): Address {
  const m = dp.memory;
  const proto = fam.lbKey + fam.lbKeyDport + 4;
  m.u8[proto + 1] = scope;
  if (dp.config.serviceProtocolDifferentiation) {
    m.u8[proto] = tupleNexthdr(m, fam, tuple);
    const service = lookupKey(dp, fam);
    if (service !== NULL) return service;
  }
  m.u8[proto] = 0;
  return lookupKey(dp, fam);
}

function lookupKey(dp: Datapath, fam: Family): Address {
  const service = fam.services.lookup(fam.lbKey);
  if (dp.steps !== null) noteLookup(dp, fam.services, fam.lbKey, service);
  return service;
}

/** lbX_src_range_ok: may this client use the service from outside? @param saddr where the client's address lies */
export function isSourceRangeOk(dp: Datapath, fam: Family, service: Address, saddr: Address): boolean {
  const m = dp.memory;
  if (!dp.config.srcRangeCheck || (flags(m, service) & SVC_FLAG_SOURCE_RANGE) === 0) return true;
  const key = fam.sourceRangeKey;
  m.u32[key >> 2] = 32 + 32 * fam.words;
  m.u32[(key + 4) >> 2] = m.u16[(service + SERVICE.revNatIndex) >> 1]!;
  fam.copyAddress(m, key + 8, saddr);
  const range = fam.sourceRange.lookup(key);
  if (dp.steps !== null) noteLookup(dp, fam.sourceRange, key, range);
  const isListed = range !== NULL;
  return isListed !== ((flags2(m, service) & SVC_FLAG2_SOURCE_RANGE_DENY) !== 0);
}
