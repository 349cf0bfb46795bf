import { hexOf } from '@ciliate/maps';
import {
  ETH,
  ETH_P_ARP,
  ETH_P_IP,
  ETH_P_IPV6,
  formatIp,
  ICMP,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPV6,
  icmpChecksum,
  ipv4Checksum,
  ipv4HeaderLength,
  isIcmpEcho,
  parseFrame,
  tcpChecksum,
  tcpFlagNames,
  tcpHeaderLength,
  UDP,
  udpChecksum,
  udpLength,
} from '@ciliate/packet';

/** One header of a packet: what its fields say, and its bytes. */
export interface Header {
  name: 'Ethernet' | 'IPv4' | 'IPv6' | 'TCP' | 'UDP' | 'ICMP' | 'ICMPv6' | 'rest';
  /** In a line. */
  text: string;
  fields: Readonly<Record<string, string>>;
  /** Two lower-case digits a byte. */
  hex: string;
}

/** A field that was rewritten. */
export interface FieldChange {
  header: Header['name'];
  field: string;
  from: string;
  to: string;
}

const ETHER_TYPES: Readonly<Record<number, string>> = { [ETH_P_IP]: 'IPv4', [ETH_P_IPV6]: 'IPv6', [ETH_P_ARP]: 'ARP' };
const PROTOCOLS: Readonly<Record<number, string>> = {
  [IPPROTO_ICMP]: 'ICMP',
  [IPPROTO_ICMPV6]: 'ICMPv6',
  [IPPROTO_TCP]: 'TCP',
  [IPPROTO_UDP]: 'UDP',
};
const hex16 = (value: number): string => `0x${value.toString(16).padStart(4, '0')}`;

/** The headers of a frame, as far as they are understood; behind them `rest`, if there is any. */
export function headersOf(frame: Uint8Array): Header[] {
  const { eth, ipv4, ipv6, tcp, udp, icmp, payload, error } = parseFrame(frame);
  const headers: Header[] = [];
  const add = (name: Header['name'], at: number, length: number, fields: Record<string, string>, text: string): void =>
    void headers.push({ name, text, fields, hex: hexOf(frame.subarray(at, at + length)) });
  if (eth !== undefined) {
    const source = macText(frame.subarray(ETH.src, ETH.src + 6));
    const destination = macText(frame.subarray(ETH.dst, ETH.dst + 6));
    const type = ETHER_TYPES[eth.type] ?? hex16(eth.type);
    add('Ethernet', 0, ETH.size, { source, destination, type }, `${source} -> ${destination}, ${type}`);
  }
  if (ipv4 !== undefined) {
    const { at, ttl, totalLength } = ipv4;
    const source = formatIp(ipv4.src);
    const destination = formatIp(ipv4.dst);
    const protocol = PROTOCOLS[ipv4.protocol] ?? `protocol ${ipv4.protocol}`;
    const checksum = hex16(ipv4Checksum(frame, at));
    const fragment = ipv4.isFragment ? `, fragment at byte ${ipv4.fragmentOffset}` : '';
    const fields = { source, destination, protocol, TTL: `${ttl}`, length: `${totalLength}`, checksum };
    const text = `${source} -> ${destination}, ${protocol}, TTL ${ttl}, ${totalLength} bytes${fragment}, checksum ${checksum}`;
    add('IPv4', at, ipv4HeaderLength(frame, at), fields, text);
  }
  if (ipv6 !== undefined) {
    const { at, ttl, totalLength, headerLength } = ipv6;
    const source = formatIp(ipv6.src);
    const destination = formatIp(ipv6.dst);
    const protocol = PROTOCOLS[ipv6.protocol] ?? `protocol ${ipv6.protocol}`;
    const fragment = ipv6.isFragment ? `, fragment at byte ${ipv6.fragmentOffset}` : '';
    const extensions = headerLength > IPV6.size ? `, ${headerLength - IPV6.size} bytes of extension headers` : '';
    const fields = { source, destination, protocol, 'hop limit': `${ttl}`, length: `${totalLength}` };
    const text = `${source} -> ${destination}, ${protocol}, hop limit ${ttl}, ${totalLength} bytes${extensions}${fragment}`;
    add('IPv6', at, headerLength, fields, text);
  }
  if (tcp !== undefined) {
    const { at, seq, ack } = tcp;
    const flags = tcpFlagNames(tcp.flags).join(' ') || 'no flags';
    const checksum = hex16(tcpChecksum(frame, at));
    const ports = { 'source port': `${tcp.srcPort}`, 'destination port': `${tcp.dstPort}` };
    const fields = { ...ports, flags, sequence: `${seq}`, acknowledgement: `${ack}`, checksum };
    const text = `${tcp.srcPort} -> ${tcp.dstPort}, ${flags}, sequence ${seq}, checksum ${checksum}`;
    add('TCP', at, tcpHeaderLength(frame, at), fields, text);
  }
  if (udp !== undefined) {
    const { at } = udp;
    const checksum = hex16(udpChecksum(frame, at));
    const length = `${udpLength(frame, at)}`;
    const fields = { 'source port': `${udp.srcPort}`, 'destination port': `${udp.dstPort}`, length, checksum };
    add('UDP', at, UDP.size, fields, `${udp.srcPort} -> ${udp.dstPort}, ${length} bytes, checksum ${checksum}`);
  }
  if (icmp !== undefined) {
    const { at, type, code, id, sequence } = icmp;
    const checksum = hex16(icmpChecksum(frame, at));
    const isV6 = ipv6 !== undefined;
    const echo = isV6 && !isIcmpEcho(type, isV6) ? {} : { id: `${id}`, sequence: `${sequence}` };
    const fields = { type: `${type}`, code: `${code}`, ...echo, checksum };
    const text = Object.entries(fields).map(([name, value]) => `${name} ${value}`);
    add(isV6 ? 'ICMPv6' : 'ICMP', at, ICMP.size, fields, text.join(', '));
  }
  if (payload.length > 0) {
    const what = error === undefined ? 'data' : error;
    const bytes = hexOf(payload);
    headers.push({ name: 'rest', text: `${payload.length} bytes: ${what}`, fields: { bytes }, hex: bytes });
  }
  return headers;
}

/** The fields that differ between the same packet before and after a rewrite. */
export function fieldChanges(before: readonly Header[], after: readonly Header[]): FieldChange[] {
  return after.flatMap(({ name, fields }) => {
    const old = before.find((header) => header.name === name)?.fields ?? {};
    return Object.entries(fields).flatMap(([field, to]) => {
      const from = old[field] ?? '';
      return from === to ? [] : [{ header: name, field, from, to }];
    });
  });
}

const macText = (bytes: Uint8Array): string => hexOf(bytes).replace(/..(?!$)/g, '$&:');
