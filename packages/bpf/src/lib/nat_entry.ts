import { type Address, type Memory, NULL } from '@ciliate/maps';
import type { Datapath } from '../datapath.ts';
import { noteDelete, noteLookup, noteUpdate } from '../explain.ts';
import { DROP_NAT_NOT_NEEDED } from './drop_reasons.ts';
import type { Family } from './family.ts';
import { TRACE_PAYLOAD_LEN, TRACE_REASON_UNKNOWN } from './notify.ts';
import { setTupleFlags, setTuplePorts, TUPLE_F_IN, tupleDport, tupleNexthdr, tupleSaddrAt } from './tuple.ts';

// The entries of NAT's maps, and what the functions of NAT tell each other. Source: bpf/lib/nat.h.

/** Nothing to translate: the packet goes on as it is. */
export const NAT_PUNT_TO_STACK = DROP_NAT_NOT_NEEDED;
export const NAT_NEEDED = 0;
const ENTRY = { created: 0, needsCt: 8, address: 32 };
const BPF_NOEXIST = 1;

/** What the source shall become. A worker owns one. */
export class NatTarget {
  /** Where the address lies. */
  addr: Address = NULL;
  minPort = 0;
  maxPort = 0;
  fromLocalEndpoint = false;
  needsCt = false;

  reset(dp: Datapath): void {
    this.addr = NULL;
    this.minPort = dp.config.node.natPorts.min;
    this.maxPort = dp.config.node.natPorts.max;
    this.fromLocalEndpoint = false;
    this.needsCt = false;
  }
}

/** What a trace notification says of a packet that NAT or the host firewall handled (`struct trace_ctx`). */
export class NatTrace {
  reason = TRACE_REASON_UNKNOWN;
  monitor = TRACE_PAYLOAD_LEN;
}

export const entryAddress = (entry: Address): Address => entry + ENTRY.address;
export const entryPort = (m: Memory, fam: Family, entry: Address): number =>
  m.u16[(entry + fam.layout.natEntry.port) >> 1]!;

export function lookupEntry(dp: Datapath, fam: Family, tuple: Address): Address {
  const entry = fam.snat.lookup(tuple);
  if (dp.steps !== null) noteLookup(dp, fam.snat, tuple, entry);
  return entry;
}

/** @returns 0, or negative: there is one already, or no room */
export function insertEntry(dp: Datapath, fam: Family, tuple: Address, entry: Address): number {
  const err = fam.snat.update(tuple, entry, BPF_NOEXIST);
  if (dp.steps !== null && err === 0) noteUpdate(dp, fam.snat, tuple, entry);
  return err;
}

export function deleteEntry(dp: Datapath, fam: Family, tuple: Address): void {
  if (dp.steps !== null) noteDelete(dp, fam.snat, tuple);
  fam.snat.delete(tuple);
}

export const needsCt = (m: Memory, entry: Address): boolean => m.u32[(entry + ENTRY.needsCt) >> 2] !== 0;

/** An entry on the stack. */
export function newEntry(dp: Datapath, fam: Family, address: Address, port: number, withCt: boolean): Address {
  const m = dp.memory;
  const entry = fam.natEntry;
  for (let i = 0; i < fam.layout.natEntry.size; i += 4) m.u32[(entry + i) >> 2] = 0;
  m.u32[(entry + ENTRY.created) >> 2] = dp.nowSeconds();
  m.u32[(entry + ENTRY.needsCt) >> 2] = withCt ? 1 : 0;
  fam.copyAddress(m, entryAddress(entry), address);
  m.u16[(entry + fam.layout.natEntry.port) >> 1] = port;
  return entry;
}

/** set_vX_rtuple: the key of the ingress entry that belongs to an egress one. */
export function reverseOf(dp: Datapath, fam: Family, tuple: Address, address: Address, port: number): Address {
  const m = dp.memory;
  const reverse = fam.natTuple;
  fam.copyAddress(m, tupleSaddrAt(fam, reverse), tuple);
  fam.copyAddress(m, reverse, address);
  m.u8[reverse + fam.tupleNexthdr] = tupleNexthdr(m, fam, tuple);
  setTupleFlags(m, fam, reverse, TUPLE_F_IN);
  setTuplePorts(m, fam, reverse, port, tupleDport(m, fam, tuple));
  return reverse;
}
