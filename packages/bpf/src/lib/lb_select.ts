import {
  type Address,
  LB_AFFINITY_MATCH,
  LB_AFFINITY_VAL,
  LB4_SERVICE,
  MAP_HEADER,
  type Memory,
  NULL,
} from '@ciliate/maps';
import type { Datapath } from '../datapath.ts';
import { noteDelete, noteLookup, noteUpdate } from '../explain.ts';
import { noteBackendSlot } from './dbg.ts';
import type { Family } from './family.ts';
import { jhash3Words, jhashTuple6 } from './jhash.ts';
import { isAffinity } from './lb_service.ts';
import { flowRandom } from './random.ts';
import { tupleDport, tupleNexthdr, tupleSaddrAt, tupleSport } from './tuple.ts';

const LB_SELECTION_RANDOM = 1;
const LB_SELECTION_MAGLEV = 2;
const LB_ALGORITHM_SHIFT = 24;
const AFFINITY_TIMEOUT_MASK = (1 << LB_ALGORITHM_SHIFT) - 1;

/**
 * lb4/6_select_backend_id: one backend, the same for the same flow and seed whoever asks.
 * @param key `fam.lbKey` of the service; its slot is overwritten
 * @param selection LB_SELECTION of the program that asks
 * @returns 0 if the service has none
 */
export function selectBackend(dp: Datapath, fam: Family, tuple: Address, service: Address, selection: number): number {
  const m = dp.memory;
  const algorithm = dp.config.lbSelectionPerService
    ? m.u32[(service + LB4_SERVICE.affinity_timeout) >> 2]! >>> LB_ALGORITHM_SHIFT
    : selection;
  if (algorithm === LB_SELECTION_MAGLEV) return selectMaglev(dp, fam, tuple, service);
  return algorithm === LB_SELECTION_RANDOM ? selectRandom(dp, fam, tuple, service) : 0;
}

function selectRandom(dp: Datapath, fam: Family, tuple: Address, service: Address): number {
  const m = dp.memory;
  const count = m.u16[(service + LB4_SERVICE.count) >> 1]!;
  if (count === 0) return 0;
  const flow = flowRandom(dp, fam, tuple, 0);
  m.u16[(fam.lbKey + fam.lbKeyDport + 2) >> 1] = (flow % count) + 1;
  const slot = fam.services.lookup(fam.lbKey);
  if (dp.steps !== null) {
    noteBackendSlot(dp, fam, (flow % count) + 1, m.u16[(fam.lbKey + fam.lbKeyDport) >> 1]!, slot !== NULL);
    noteLookup(dp, fam.services, fam.lbKey, slot);
  }
  return slot === NULL ? 0 : m.u32[(slot + LB4_SERVICE.backend_id) >> 2]!;
}

/** The tuple is exchanged in its ports only, as services' are; with affinity the client's port does not count. */
function selectMaglev(dp: Datapath, fam: Family, tuple: Address, service: Address): number {
  const m = dp.memory;
  const index = dp.stack.revNatKey;
  m.u16[index >> 1] = m.u16[(service + LB4_SERVICE.rev_nat_index) >> 1]!;
  const inner = fam.maglev.lookup(index);
  if (dp.steps !== null) noteLookup(dp, fam.maglev, index, inner);
  if (inner === NULL) return 0;
  const ids = m.u32[(inner + MAP_HEADER.data) >> 2]!; // its one element
  const sport = isAffinity(m, service) ? 0 : tupleDport(m, fam, tuple);
  const dport = tupleSport(m, fam, tuple);
  const proto = tupleNexthdr(m, fam, tuple);
  const ports = ((dport << 16) | sport) >>> 0;
  const saddr = tupleSaddrAt(fam, tuple) >> 2;
  const { hashInit4, hashInit6 } = dp.config.node;
  const hash = fam.isV6
    ? jhashTuple6(m.u32[saddr]!, m.u32[saddr + 1]!, m.u32[saddr + 2]!, m.u32[saddr + 3]!, ports, proto, hashInit6)
    : jhash3Words(m.u32[saddr]!, ports, proto, hashInit4);
  const size = m.u32[(inner + MAP_HEADER.valueSize) >> 2]! >> 2;
  return m.u32[(ids >> 2) + (hash % size)]!;
}

/** lbX_affinity_backend_id_by_addr: the backend that the client had, if that is not too long ago. @returns 0 if none */
export function affinityBackend(dp: Datapath, fam: Family, client: Address, service: Address): number {
  const m = dp.memory;
  setAffinityKey(dp, fam, client, service);
  const value = fam.affinity.lookup(fam.affinityKey);
  if (dp.steps !== null) noteLookup(dp, fam.affinity, fam.affinityKey, value);
  if (value === NULL) return 0;
  const timeout = m.u32[(service + LB4_SERVICE.affinity_timeout) >> 2]! & AFFINITY_TIMEOUT_MASK;
  const now = dp.nowSeconds();
  const backend = m.u32[(value + LB_AFFINITY_VAL.backend_id) >> 2]!;
  const { matchKey } = dp.stack;
  m.u32[(matchKey + LB_AFFINITY_MATCH.backend_id) >> 2] = backend;
  m.u16[(matchKey + LB_AFFINITY_MATCH.rev_nat_id) >> 1] = m.u16[(service + LB4_SERVICE.rev_nat_index) >> 1]!;
  const isStale = m.u32[(value + LB_AFFINITY_VAL.last_used) >> 2]! + timeout <= now;
  if (isStale || dp.affinityMatch.lookup(matchKey) === NULL) {
    if (dp.steps !== null) noteDelete(dp, fam.affinity, fam.affinityKey);
    fam.affinity.delete(fam.affinityKey);
    return 0;
  }
  setLastUsed(m, value, now);
  return backend;
}

export function updateAffinity(dp: Datapath, fam: Family, client: Address, service: Address, backend: number): void {
  const m = dp.memory;
  setAffinityKey(dp, fam, client, service);
  const value = dp.stack.affinityValue;
  setLastUsed(m, value, dp.nowSeconds());
  m.u32[(value + LB_AFFINITY_VAL.backend_id) >> 2] = backend;
  if (dp.steps !== null) noteUpdate(dp, fam.affinity, fam.affinityKey, value);
  fam.affinity.update(fam.affinityKey, value);
}

/** `struct lbX_affinity_key`: the client, rev_nat_id; the rest stays 0. */
function setAffinityKey(dp: Datapath, fam: Family, client: Address, service: Address): void {
  const m = dp.memory;
  fam.copyAddress(m, fam.affinityKey, client);
  m.u16[(fam.affinityKey + fam.layout.affinityKey.revNatId) >> 1] = m.u16[(service + LB4_SERVICE.rev_nat_index) >> 1]!;
}

function setLastUsed(m: Memory, value: Address, seconds: number): void {
  m.u32[(value + LB_AFFINITY_VAL.last_used) >> 2] = seconds;
  m.u32[(value + LB_AFFINITY_VAL.last_used + 4) >> 2] = 0;
}
