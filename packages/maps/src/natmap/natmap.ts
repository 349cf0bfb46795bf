import { IPV4_CT_TUPLE } from '../ctmap/layout.ts';
import { IPV6_CT_TUPLE } from '../ctmap/layout6.ts';
import type { LruHashMap } from '../lru_hash.ts';
import { type Address, NULL } from '../memory.ts';
import { IPV4_NAT_ENTRY, IPV6_NAT_ENTRY } from './layout.ts';

/** Of a tuple's flags. Source: bpf/lib/common.h. */
export const TUPLE_F_OUT = 0;
export const TUPLE_F_IN = 1;
/** Enough for a tuple of either family. */
export const TUPLE_BYTES = 40;

/** Layouts of one family's conntrack and NAT maps, told by the size of their keys. An address has `tuple.saddr` bytes. */
export const natLayout = (
  nat: LruHashMap,
): { tuple: typeof IPV4_CT_TUPLE | typeof IPV6_CT_TUPLE; entry: typeof IPV4_NAT_ENTRY | typeof IPV6_NAT_ENTRY } =>
  nat.spec.keySize === IPV6_CT_TUPLE.size
    ? { tuple: IPV6_CT_TUPLE, entry: IPV6_NAT_ENTRY }
    : { tuple: IPV4_CT_TUPLE, entry: IPV4_NAT_ENTRY };

/**
 * Deletes what NAT keeps about a connection: its egress entry and, as that says it, its ingress entry.
 * @param ctKey   the connection's conntrack key, whose addresses are exchanged
 * @param scratch 2 * TUPLE_BYTES for keys. Source: pkg/maps/nat, DeleteMapping4
 */
export function deleteMapping(nat: LruHashMap, ctKey: Address, scratch: Address): void {
  const { u8 } = nat.memory;
  const { tuple, entry } = natLayout(nat);
  const key = scratch;
  const reverse = scratch + TUPLE_BYTES;
  copyExchangingAddresses(nat, key, ctKey);
  const value = nat.peek(key);
  if (value === NULL) return;
  const copy = (to: Address, from: Address, bytes: number): void => void u8.copyWithin(to, from, from + bytes);
  copy(reverse + tuple.saddr, key + tuple.daddr, tuple.saddr);
  copy(reverse + tuple.daddr, value + entry.to_saddr, tuple.saddr);
  copy(reverse + tuple.sport, key + tuple.dport, 2);
  copy(reverse + tuple.dport, value + entry.to_sport, 2);
  u8[reverse + tuple.nexthdr] = u8[key + tuple.nexthdr]!;
  u8[reverse + tuple.flags] = TUPLE_F_IN;
  nat.delete(key);
  nat.delete(reverse);
}

/**
 * Deletes the egress entry by which a reply of direct server return got the service's address.
 * @param ctKey of the connection as its backend saw it. Source: pkg/maps/nat, DeleteSwappedMapping4
 */
export function deleteSwappedMapping(nat: LruHashMap, ctKey: Address, scratch: Address): void {
  const { u8 } = nat.memory;
  const { tuple } = natLayout(nat);
  u8.copyWithin(scratch, ctKey, ctKey + tuple.size);
  u8.copyWithin(scratch + tuple.dport, ctKey + tuple.sport, ctKey + tuple.sport + 2);
  u8.copyWithin(scratch + tuple.sport, ctKey + tuple.dport, ctKey + tuple.dport + 2);
  u8[scratch + tuple.flags] = TUPLE_F_OUT;
  nat.delete(scratch);
}

/** Turns a conntrack key into a NAT key, or back. */
export function copyExchangingAddresses(nat: LruHashMap, to: Address, from: Address): void {
  const { u8 } = nat.memory;
  const { tuple } = natLayout(nat);
  u8.copyWithin(to + tuple.saddr, from + tuple.daddr, from + tuple.daddr + tuple.saddr);
  u8.copyWithin(to + tuple.daddr, from + tuple.saddr, from + tuple.saddr + tuple.saddr);
  u8.copyWithin(to + tuple.dport, from + tuple.dport, from + tuple.size);
}
