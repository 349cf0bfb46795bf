import { addressText, be16, hexNumber, le16, le32, le64, u8protoText } from '../text.ts';
import { CT_ENTRY, IPV4_CT_TUPLE } from './layout.ts';
import { IPV6_CT_TUPLE } from './layout6.ts';

/** Bits of a tuple's flags. Source: pkg/tuple. */
const TUPLE_F_IN = 1;
const TUPLE_F_RELATED = 2;
const TUPLE_F_SERVICE = 4;

/** Names of the flag bits, lowest first, as `cilium-dbg bpf ct list` writes them; bits above them are unknown to it. */
const FLAG_NAMES = [
  ...['RxClosing', 'TxClosing', 'Nat64', 'LBLoopback', 'SeenNonSyn', 'NodePort', 'ProxyRedirect', 'DSRInternal'],
  ...['FromL7LB', '', 'FromTunnel'],
];

/** The fields of `struct ipv4_ct_tuple` or `ipv6_ct_tuple` as they lie in the key; ports host order. */
export interface TupleFields {
  daddr: Uint8Array;
  saddr: Uint8Array;
  dport: number;
  sport: number;
  nexthdr: number;
  flags: number;
}

/** @param key of a conntrack or NAT map, either family */
export function readTuple(key: Uint8Array): TupleFields {
  const isV4 = key.length === IPV4_CT_TUPLE.size;
  const layout = isV4 ? IPV4_CT_TUPLE : IPV6_CT_TUPLE;
  const bytes = isV4 ? 4 : 16;
  return {
    daddr: key.subarray(layout.daddr, layout.daddr + bytes),
    saddr: key.subarray(layout.saddr, layout.saddr + bytes),
    dport: be16(key, layout.dport),
    sport: be16(key, layout.sport),
    nexthdr: key[layout.nexthdr]!,
    flags: key[layout.flags]!,
  };
}

/**
 * A conntrack key as `cilium-dbg bpf ct list` writes it: `TCP OUT 10.0.0.1:40000 -> 10.0.0.2:80`, the packet's own
 * direction, whatever the names of the fields say. Source: pkg/maps/ctmap/types.go, Dump with reverse.
 */
export function ctKeyText(key: Uint8Array): string {
  const { daddr, saddr, dport, sport, nexthdr, flags } = readTuple(key);
  const protocol = u8protoText(nexthdr);
  const related = (flags & TUPLE_F_RELATED) === 0 ? '' : ' related';
  if ((flags & TUPLE_F_SERVICE) !== 0)
    return `${protocol} SVC ${addressText(saddr)}:${dport} -> ${addressText(daddr)}:${sport}${related}`;
  const direction = (flags & TUPLE_F_IN) === 0 ? 'OUT' : 'IN';
  return `${protocol} ${direction} ${addressText(daddr)}:${sport} -> ${addressText(saddr)}:${dport}${related}`;
}

/**
 * A conntrack entry as `cilium-dbg bpf ct list` writes it.
 * @param nowSeconds of the clock: also says how long the entry has to live (`--time-diff`)
 */
export function ctEntryText(value: Uint8Array, nowSeconds?: number): string {
  const lifetime = le32(value, CT_ENTRY.lifetime);
  const left = nowSeconds === undefined ? '' : ` (remaining: ${lifetime - nowSeconds} sec(s))`;
  return [
    `expires=${lifetime}${left}`,
    `Packets=${le64(value, CT_ENTRY.packets)}`,
    `Bytes=${le64(value, CT_ENTRY.bytes)}`,
    `RxFlagsSeen=${hexNumber(value[CT_ENTRY.rx_flags_seen]!, 2)}`,
    `LastRxReport=${le32(value, CT_ENTRY.last_rx_report)}`,
    `TxFlagsSeen=${hexNumber(value[CT_ENTRY.tx_flags_seen]!, 2)}`,
    `LastTxReport=${le32(value, CT_ENTRY.last_tx_report)}`,
    flagsText(le16(value, CT_ENTRY.flags)),
    `RevNAT=${be16(value, CT_ENTRY.rev_nat_index)}`,
    `SourceSecurityID=${le32(value, CT_ENTRY.src_sec_id)}`,
    `BackendID=${le64(value, CT_ENTRY.backend_id)}`,
  ].join(' ');
}

function flagsText(flags: number): string {
  const names = FLAG_NAMES.filter((name, bit) => name !== '' && (flags & (1 << bit)) !== 0);
  const unknown = flags & ~((1 << FLAG_NAMES.length) - 1);
  if (unknown !== 0) names.push(`Unknown=${hexNumber(unknown, 4)}`);
  return `Flags=${hexNumber(flags, 4)} [ ${names.map((name) => `${name} `).join('')}]`;
}

/** A line of `cilium-dbg bpf ct list`; undefined for a key without protocol, which it leaves out. */
export function ctLine(key: Uint8Array, value: Uint8Array, nowSeconds?: number): string | undefined {
  return readTuple(key).nexthdr === 0 ? undefined : `${ctKeyText(key)} ${ctEntryText(value, nowSeconds)} `;
}

/** A record of `cilium-dbg bpf ct list -o json`: as in the map, so ports and RevNAT are numbers read little endian. */
export function ctRecord(key: Uint8Array, value: Uint8Array): object {
  return {
    Key: tupleRecord(key),
    Value: {
      Reserved0: le64(value, CT_ENTRY.reserved0),
      BackendID: le64(value, CT_ENTRY.backend_id),
      Packets: le64(value, CT_ENTRY.packets),
      Bytes: le64(value, CT_ENTRY.bytes),
      Lifetime: le32(value, CT_ENTRY.lifetime),
      Flags: le16(value, CT_ENTRY.flags),
      RevNAT: le16(value, CT_ENTRY.rev_nat_index),
      Reserved4: le16(value, CT_ENTRY.reserved4),
      TxFlagsSeen: value[CT_ENTRY.tx_flags_seen],
      RxFlagsSeen: value[CT_ENTRY.rx_flags_seen],
      SourceSecurityID: le32(value, CT_ENTRY.src_sec_id),
      LastTxReport: le32(value, CT_ENTRY.last_tx_report),
      LastRxReport: le32(value, CT_ENTRY.last_rx_report),
    },
  };
}

/** The key of a conntrack or NAT record in JSON. */
export function tupleRecord(key: Uint8Array): object {
  const { daddr, saddr, dport, sport, nexthdr, flags } = readTuple(key);
  return {
    DestAddr: [...daddr],
    SourceAddr: [...saddr],
    DestPort: swap16(dport),
    SourcePort: swap16(sport),
    NextHeader: nexthdr,
    Flags: flags,
  };
}

const swap16 = (value: number): number => ((value & 0xff) << 8) | (value >>> 8);
