import { LruHashMap } from '../lru_hash.ts';
import type { Address, Memory } from '../memory.ts';
import { openPin, pinOrDestroy } from '../pinned_map.ts';
import {
  CT_ENTRY,
  CT_ENTRY_FLAG,
  ctBackendId,
  ctBytes,
  ctFlags,
  ctLastRxReport,
  ctLastTxReport,
  ctLifetime,
  ctPackets,
  ctRevNatIndex,
  ctRxFlagsSeen,
  ctSrcSecId,
  ctTxFlagsSeen,
  IPV4_CT_TUPLE,
} from './layout.ts';

/** Default sizes of the agent, entries. Source: constants of 1.18, --bpf-ct-global-tcp-max and -any-max. */
export const CT_TCP_MAX = 524_288;
export const CT_ANY_MAX = 262_144;

export interface CtMaps {
  /** Connections over TCP. */
  tcp: LruHashMap;
  /** All others, and what is related to any (ICMP errors). */
  any: LruHashMap;
}

/** `cilium_ct4_global`, `cilium_ct_any4_global`; those of shard n > 0 carry the suffix `_s<n>`. */
export const ctMapName = (protoTcp: boolean, shard: number): string =>
  `${protoTcp ? 'cilium_ct4_global' : 'cilium_ct_any4_global'}${shard === 0 ? '' : `_s${shard}`}`;

/**
 * The two conntrack maps of one shard, pinned. They have a single owner: the worker that runs the shard. LRU hashes: a
 * full one gives up a connection that was not used for long.
 * @throws MapError EEXIST, ENOMEM
 */
export function createCtMaps(memory: Memory, shard: number, sizes: { tcp: number; any: number }): CtMaps {
  const create = (protoTcp: boolean, maxEntries: number): LruHashMap => {
    const name = ctMapName(protoTcp, shard);
    const spec = { keySize: IPV4_CT_TUPLE.size, valueSize: CT_ENTRY.size, maxEntries, name, singleOwner: true };
    return pinOrDestroy(LruHashMap.create(memory, spec));
  };
  return { tcp: create(true, sizes.tcp), any: create(false, sizes.any) };
}

/** @throws MapError ENOENT */
export function openCtMaps(memory: Memory, shard: number): CtMaps {
  const open = (protoTcp: boolean): LruHashMap =>
    LruHashMap.attach(memory, openPin(memory, ctMapName(protoTcp, shard)));
  return { tcp: open(true), any: open(false) };
}

/** Fields by their C names, values as stored: addresses and ports host order, but exchanged as `IPV4_CT_TUPLE` says. */
export interface CtTuple {
  daddr: number;
  saddr: number;
  dport: number;
  sport: number;
  nexthdr: number;
  flags: number;
}

export function readCtTuple(m: Memory, at: Address): CtTuple {
  return {
    daddr: m.view.getUint32(at + IPV4_CT_TUPLE.daddr),
    saddr: m.view.getUint32(at + IPV4_CT_TUPLE.saddr),
    dport: m.view.getUint16(at + IPV4_CT_TUPLE.dport),
    sport: m.view.getUint16(at + IPV4_CT_TUPLE.sport),
    nexthdr: m.u8[at + IPV4_CT_TUPLE.nexthdr]!,
    flags: m.u8[at + IPV4_CT_TUPLE.flags]!,
  };
}

export type CtFlagName = keyof typeof CT_ENTRY_FLAG;

export interface CtEntry {
  backendId: number;
  packets: number;
  bytes: number;
  /** Seconds of the clock. */
  lifetime: number;
  /** Names of the bits that are set, lowest first. */
  flags: CtFlagName[];
  /** Host order. */
  revNatIndex: number;
  txFlagsSeen: number;
  rxFlagsSeen: number;
  srcSecId: number;
  /** Seconds of the clock. */
  lastTxReport: number;
  lastRxReport: number;
}

export function readCtEntry(m: Memory, at: Address): CtEntry {
  const flags = ctFlags(m, at);
  const names = Object.keys(CT_ENTRY_FLAG) as CtFlagName[];
  return {
    backendId: ctBackendId(m, at),
    packets: ctPackets(m, at),
    bytes: ctBytes(m, at),
    lifetime: ctLifetime(m, at),
    flags: names.filter((name) => (flags & CT_ENTRY_FLAG[name]) !== 0),
    revNatIndex: ctRevNatIndex(m, at),
    txFlagsSeen: ctTxFlagsSeen(m, at),
    rxFlagsSeen: ctRxFlagsSeen(m, at),
    srcSecId: ctSrcSecId(m, at),
    lastTxReport: ctLastTxReport(m, at),
    lastRxReport: ctLastRxReport(m, at),
  };
}
