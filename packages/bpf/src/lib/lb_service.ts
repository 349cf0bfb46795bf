import {
  type Address,
  LB_LOOKUP_SCOPE_EXT,
  LB_LOOKUP_SCOPE_INT,
  LB4_SERVICE,
  type Memory,
  NULL,
  SERVICE_FLAG,
} from '@ciliate/maps';
import type { Datapath } from '../datapath.ts';
import { noteLookup } from '../explain.ts';
import type { Family } from './family.ts';
import { tupleNexthdr, tupleSport } from './tuple.ts';

/** `struct lb4_service` and `struct lb6_service` are the same. */
const has = (m: Memory, service: Address, flag: number): boolean =>
  (m.u16[(service + LB4_SERVICE.flags) >> 1]! & flag) !== 0;
export const isAffinity = (m: Memory, service: Address): boolean => has(m, service, SERVICE_FLAG.sessionAffinity);
export const isRoutable = (m: Memory, service: Address): boolean => has(m, service, SERVICE_FLAG.routable);
export const isHostPort = (m: Memory, service: Address): boolean => has(m, service, SERVICE_FLAG.hostPort);
/** The traffic shall go to the proxy on the backend's node as it is. */
export const isL7PuntProxy = (m: Memory, service: Address): boolean =>
  !isHostPort(m, service) && has(m, service, SERVICE_FLAG.l7Delegate);

/** Port of the L7 load balancer that the service's traffic goes to, be16; 0: none. */
export function l7LbProxyPort(dp: Datapath, service: Address): number {
  const m = dp.memory;
  if (!dp.config.l7lb || !has(m, service, SERVICE_FLAG.l7LoadBalancer)) return 0;
  return m.u32[(service + LB4_SERVICE.l7_lb_proxy_port) >> 2]! & 0xffff;
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
  if (service === NULL || !switchScope || !has(m, service, SERVICE_FLAG.twoScopes)) return service;
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
  if (!dp.config.srcRangeCheck || !has(m, service, SERVICE_FLAG.sourceRange)) return true;
  const key = fam.sourceRangeKey;
  m.u32[key >> 2] = 32 + 32 * fam.words;
  m.u32[(key + 4) >> 2] = m.u16[(service + LB4_SERVICE.rev_nat_index) >> 1]!;
  fam.copyAddress(m, key + 8, saddr);
  const range = fam.sourceRange.lookup(key);
  if (dp.steps !== null) noteLookup(dp, fam.sourceRange, key, range);
  const isListed = range !== NULL;
  return isListed !== has(m, service, SERVICE_FLAG.sourceRangeDeny);
}
