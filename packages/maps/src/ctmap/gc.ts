import type { LruHashMap } from '../lru_hash.ts';
import { type Address, type Memory, NULL } from '../memory.ts';
import {
  copyExchangingAddresses,
  deleteMapping,
  deleteSwappedMapping,
  natLayout,
  TUPLE_BYTES,
  TUPLE_F_IN,
  TUPLE_F_OUT,
} from '../natmap/natmap.ts';
import { Scratch } from '../scratch.ts';
import { CT_ENTRY_FLAG, ctFlags, ctLifetime } from './layout.ts';

/** The connection state of one shard and family. Its owner alone may collect: no packet runs in the shard meanwhile. */
export interface ConntrackShard {
  tcp: LruHashMap;
  any: LruHashMap;
  nat: LruHashMap;
}

export interface GcStats {
  /** Conntrack entries. */
  deleted: number;
  alive: number;
  /** Of the map of which most were deleted, as a share of its size. */
  deleteRatio: number;
}

export interface NatGcStats {
  ingressDeleted: number;
  ingressAlive: number;
  egressDeleted: number;
  egressAlive: number;
}

const IPPROTO_TCP = 6;

/**
 * Deletes the conntrack entries whose lifetime is over, and what NAT keeps about their connections. A program never looks
 * at a lifetime: until this runs, an entry counts. Source: pkg/maps/ctmap, GC, purgeCtEntry.
 * @param nowSeconds of the clock that the lifetimes are in
 */
export function gcConntrack({ tcp, any, nat }: ConntrackShard, nowSeconds: number): GcStats {
  const { memory } = nat;
  const scratch = Scratch.create(memory, 2 * TUPLE_BYTES);
  const key = scratch.take(2 * TUPLE_BYTES);
  const stats = { deleted: 0, alive: 0, deleteRatio: 0 };
  for (const map of [tcp, any]) {
    const before = stats.deleted;
    for (const entry of map.entries()) {
      if (ctLifetime(memory, entry.value) >= nowSeconds) {
        stats.alive++;
        continue;
      }
      deleteNatOf(nat, entry.key, ctFlags(memory, entry.value), key);
      map.delete(entry.key);
      stats.deleted++;
    }
    stats.deleteRatio = Math.max(stats.deleteRatio, (stats.deleted - before) / map.spec.maxEntries);
  }
  scratch.destroy();
  return stats;
}

/** Only connections that went out were translated; entries of services, replies and errors were not. */
function deleteNatOf(nat: LruHashMap, ctKey: Address, flags: number, scratch: Address): void {
  if (nat.memory.u8[ctKey + natLayout(nat).tuple.flags] !== TUPLE_F_OUT) return;
  if ((flags & CT_ENTRY_FLAG.dsr_internal) !== 0) deleteSwappedMapping(nat, ctKey, scratch);
  else deleteMapping(nat, ctKey, scratch);
}

/**
 * Deletes the NAT entries of connections that conntrack does not know (any more): their conntrack entry was given up for
 * another, or written anew. The agent does it when programs signal that they hardly find free ports.
 * Source: pkg/maps/ctmap, PurgeOrphanNATEntries.
 */
export function purgeOrphanNat({ tcp, any, nat }: ConntrackShard): NatGcStats {
  const { memory } = nat;
  const { tuple } = natLayout(nat);
  const scratch = Scratch.create(memory, TUPLE_BYTES);
  const ctKey = scratch.take(TUPLE_BYTES);
  const stats = { ingressDeleted: 0, ingressAlive: 0, egressDeleted: 0, egressAlive: 0 };
  const orphans: Address[] = [];
  for (const { key, value } of nat.entries()) {
    const ct = memory.u8[key + tuple.nexthdr] === IPPROTO_TCP ? tcp : any;
    const isIngress = (memory.u8[key + tuple.flags]! & TUPLE_F_IN) !== 0;
    const isAlive = isIngress
      ? hasConnectionOfIngress(nat, ct, key, value, ctKey)
      : hasConnectionOfEgress(nat, ct, key, ctKey);
    if (isAlive) stats[isIngress ? 'ingressAlive' : 'egressAlive']++;
    else {
      stats[isIngress ? 'ingressDeleted' : 'egressDeleted']++;
      orphans.push(key);
    }
  }
  for (const key of orphans) nat.delete(key);
  scratch.destroy();
  return stats;
}

/** The connection that an ingress entry translates back to. */
function hasConnectionOfIngress(
  nat: LruHashMap,
  ct: LruHashMap,
  key: Address,
  value: Address,
  ctKey: Address,
): boolean {
  const { tuple, entry } = natLayout(nat);
  const { u8 } = nat.memory;
  u8.copyWithin(ctKey + tuple.daddr, value + entry.to_daddr, value + entry.to_daddr + tuple.saddr);
  u8.copyWithin(ctKey + tuple.saddr, key + tuple.saddr, key + tuple.saddr + tuple.saddr);
  copyPort(nat.memory, ctKey + tuple.sport, value + entry.to_dport);
  copyPort(nat.memory, ctKey + tuple.dport, key + tuple.sport);
  u8[ctKey + tuple.nexthdr] = u8[key + tuple.nexthdr]!;
  u8[ctKey + tuple.flags] = TUPLE_F_OUT;
  return ct.peek(ctKey) !== NULL;
}

/** The connection that an egress entry translates, or one of direct server return that it answers. */
function hasConnectionOfEgress(nat: LruHashMap, ct: LruHashMap, key: Address, ctKey: Address): boolean {
  const { memory } = nat;
  const { tuple } = natLayout(nat);
  copyExchangingAddresses(nat, ctKey, key);
  if (ct.peek(ctKey) !== NULL) return true;
  memory.u8.copyWithin(ctKey, key, key + tuple.size);
  copyPort(memory, ctKey + tuple.dport, key + tuple.sport);
  copyPort(memory, ctKey + tuple.sport, key + tuple.dport);
  const answered = ct.peek(ctKey);
  return answered !== NULL && (ctFlags(memory, answered) & CT_ENTRY_FLAG.dsr_internal) !== 0;
}

function copyPort(memory: Memory, to: Address, from: Address): void {
  memory.u16[to >> 1] = memory.u16[from >> 1]!;
}
