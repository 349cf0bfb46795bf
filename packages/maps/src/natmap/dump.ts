import { readTuple, tupleRecord } from '../ctmap/dump.ts';
import { be16, hostPort, le16, le64, u8protoText } from '../text.ts';
import { IPV4_NAT_ENTRY, IPV6_NAT_ENTRY } from './layout.ts';

const TUPLE_F_IN = 1;
const TUPLE_F_RELATED = 2;
const TUPLE_F_SERVICE = 4;

const layoutOf = (value: Uint8Array) => (value.length === IPV4_NAT_ENTRY.size ? IPV4_NAT_ENTRY : IPV6_NAT_ENTRY);

/** A NAT key as `cilium-dbg bpf nat list` writes it: `TCP OUT 10.0.0.1:40000 -> 192.0.2.7:80`. Source: pkg/tuple, Dump. */
export function natKeyText(key: Uint8Array): string {
  const { daddr, saddr, dport, sport, nexthdr, flags } = readTuple(key);
  const direction = (flags & TUPLE_F_IN) === 0 ? 'OUT' : 'IN';
  const related = (flags & TUPLE_F_RELATED) === 0 ? '' : ' related';
  const service = (flags & TUPLE_F_SERVICE) === 0 ? '' : ' service';
  return `${u8protoText(nexthdr)} ${direction} ${hostPort(saddr, sport)} -> ${hostPort(daddr, dport)}${related}${service}`;
}

/** What a packet becomes: `XLATE_SRC 192.0.2.1:40000 Created=5sec ago NeedsCT=0`. Source: pkg/maps/nat, Dump. */
export function natEntryText(key: Uint8Array, value: Uint8Array, nowSeconds: number): string {
  const layout = layoutOf(value);
  const which = (readTuple(key).flags & TUPLE_F_IN) === 0 ? 'SRC' : 'DST';
  const to = hostPort(value.subarray(layout.to_saddr, layout.to_sport), be16(value, layout.to_sport));
  const age = `${nowSeconds - le64(value, layout.created)}sec ago`;
  return `XLATE_${which} ${to} Created=${age} NeedsCT=${le64(value, layout.needs_ct)}`;
}

/** A line of `cilium-dbg bpf nat list`; undefined for a key without protocol, which it leaves out. */
export function natLine(key: Uint8Array, value: Uint8Array, nowSeconds: number): string | undefined {
  if (readTuple(key).nexthdr === 0) return undefined;
  return `${natKeyText(key)} ${natEntryText(key, value, nowSeconds)}`;
}

/** A record of `cilium-dbg bpf nat list -o json`: as in the map, so ports are numbers read little endian. */
export function natRecord(key: Uint8Array, value: Uint8Array): object {
  const layout = layoutOf(value);
  return {
    Key: tupleRecord(key),
    Value: {
      Created: le64(value, layout.created),
      NeedsCT: le64(value, layout.needs_ct),
      Pad1: le64(value, layout.pad1),
      Pad2: le64(value, layout.pad2),
      Addr: [...value.subarray(layout.to_saddr, layout.to_sport)],
      Port: le16(value, layout.to_sport),
    },
  };
}
