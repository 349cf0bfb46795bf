import type { Address, Memory } from '@ciliate/maps';
import type { Skb } from '../skb.ts';
import type { Family } from './family.ts';

// `struct ipv4_ct_tuple` and `struct ipv6_ct_tuple`: daddr, saddr, dport, sport (be), nexthdr, flags.
// Conntrack names the addresses of a flow's entry the other way round and the ports naturally; an entry of a service has
// the addresses natural and the ports exchanged; NAT has everything natural.

export const TUPLE_F_OUT = 0;
export const TUPLE_F_IN = 1;
export const TUPLE_F_RELATED = 2;
export const TUPLE_F_SERVICE = 4;

export const tupleSaddrAt = (fam: Family, tuple: Address): Address => tuple + fam.tupleSaddr;
export const tupleDport = (m: Memory, fam: Family, tuple: Address): number => m.u16[(tuple + fam.tupleDport) >> 1]!;
export const tupleSport = (m: Memory, fam: Family, tuple: Address): number => m.u16[(tuple + fam.tupleDport + 2) >> 1]!;
export const tupleNexthdr = (m: Memory, fam: Family, tuple: Address): number => m.u8[tuple + fam.tupleNexthdr]!;
export const tupleFlags = (m: Memory, fam: Family, tuple: Address): number => m.u8[tuple + fam.tupleNexthdr + 1]!;

export function setTupleFlags(m: Memory, fam: Family, tuple: Address, flags: number): void {
  m.u8[tuple + fam.tupleNexthdr + 1] = flags;
}

export function setTuplePorts(m: Memory, fam: Family, tuple: Address, dport: number, sport: number): void {
  const at = (tuple + fam.tupleDport) >> 1;
  m.u16[at] = dport;
  m.u16[at + 1] = sport;
}

/** Fills protocol and addresses from the packet, naturally. @param nexthdr behind all extension headers */
export function loadTupleAddresses(m: Memory, fam: Family, tuple: Address, skb: Skb, nexthdr: number): void {
  fam.copyAddress(m, tuple, fam.daddr(skb));
  fam.copyAddress(m, tupleSaddrAt(fam, tuple), fam.saddr(skb));
  m.u8[tuple + fam.tupleNexthdr] = nexthdr;
}

export function copyTuple(m: Memory, fam: Family, to: Address, from: Address): void {
  const { size } = fam.layout.tuple;
  for (let i = 0; i < size; i += 2) m.u16[(to + i) >> 1] = m.u16[(from + i) >> 1]!;
}

export function swapTuplePorts(m: Memory, fam: Family, tuple: Address): void {
  setTuplePorts(m, fam, tuple, tupleSport(m, fam, tuple), tupleDport(m, fam, tuple));
}

/** Exchanges addresses and ports; the flags stay. */
export function reverseTuple(m: Memory, fam: Family, tuple: Address): void {
  const { words } = fam;
  const daddr = tuple >> 2;
  const saddr = tupleSaddrAt(fam, tuple) >> 2;
  for (let i = 0; i < words; i++) {
    const word = m.u32[daddr + i]!;
    m.u32[daddr + i] = m.u32[saddr + i]!;
    m.u32[saddr + i] = word;
  }
  swapTuplePorts(m, fam, tuple);
}

/** Is the address that lies there all zeros? */
export function isZeroAddress(m: Memory, fam: Family, address: Address): boolean {
  for (let i = 0; i < fam.words; i++) if (m.u32[(address >> 2) + i] !== 0) return false;
  return true;
}
