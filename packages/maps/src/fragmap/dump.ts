import { addressText, be16, le16 } from '../text.ts';
import { IPV4_FRAG_ID, IPV4_FRAG_L4PORTS, IPV6_FRAG_ID } from './layout.ts';

/**
 * A datagram whose first fragment was seen, as `cilium-dbg bpf frag list` has it: its ports are the map's bytes read
 * little endian (port 53 reads 13568), and of IPv6 addresses only the destination stands in brackets.
 */
export interface FragmentRecord {
  ID: number;
  Proto: number;
  SourceAddress: string;
  DestAddress: string;
}

export function fragmentRecord(key: Uint8Array, value: Uint8Array): FragmentRecord {
  const isV4 = key.length === IPV4_FRAG_ID.size;
  const layout = isV4 ? IPV4_FRAG_ID : IPV6_FRAG_ID;
  const bytes = isV4 ? 4 : 16;
  const address = (at: number): string => addressText(key.subarray(at, at + bytes));
  const destination = address(layout.daddr);
  return {
    ID: isV4 ? be16(key, layout.id) : be16(key, layout.id) * 2 ** 16 + be16(key, layout.id + 2),
    Proto: key[layout.proto]!,
    SourceAddress: `${address(layout.saddr)}:${le16(value, IPV4_FRAG_L4PORTS.sport)}`,
    DestAddress: `${isV4 ? destination : `[${destination}]`}:${le16(value, IPV4_FRAG_L4PORTS.dport)}`,
  };
}
