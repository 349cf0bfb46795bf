import {
  formatIp,
  IPPROTO_SCTP,
  IPV6,
  type IpAddress,
  ipv6ExtensionLength,
  ipv6NextHeader,
  NEXTHDR_HOP,
  type ParsedFrame,
  type ParsedIpv6,
  parseFrame,
  TCP,
  tcpFlagNames,
} from '@ciliate/packet';
import type { FlowL4 } from './flow.ts';
import { icmpName } from './icmp.ts';

export interface PacketSummary {
  ethernet: { source: string; destination: string } | undefined;
  ip:
    | {
        version: 'IPv4' | 'IPv6';
        source: string;
        destination: string;
        sourceAddress: IpAddress;
        destinationAddress: IpAddress;
      }
    | undefined;
  l4: FlowL4 | undefined;
  text: string;
}

const TCP_NS = 0x01; // of the byte before the flags

/**
 * What Hubble tells of a packet. The text names the last header it reads; of a fragment, and
 * behind other extension headers than hop-by-hop options, no more than IP, of other protocols no more than Ethernet. Source: pkg/hubble/parser/threefour/parser.go and gopacket's layers.
 */
export function summarizePacket(packet: Uint8Array): PacketSummary {
  const frame = parseFrame(packet);
  if (frame.eth === undefined) return { ethernet: undefined, ip: undefined, l4: undefined, text: '' };
  const ethernet = { source: mac(frame.eth.src), destination: mac(frame.eth.dst) };
  if (frame.ip === undefined) return { ethernet, ip: undefined, l4: undefined, text: 'Ethernet' };
  const { src, dst } = frame.ip;
  const version = frame.ipv6 === undefined ? 'IPv4' : 'IPv6';
  const ends = { source: formatIp(src), destination: formatIp(dst), sourceAddress: src, destinationAddress: dst };
  return { ethernet, ip: { version, ...ends }, ...summarizeL4(packet, frame, version) };
}

/** Does the transport header follow as gopacket expects it? */
function followsDirectly(packet: Uint8Array, { at, headerLength }: ParsedIpv6): boolean {
  const hops =
    ipv6NextHeader(packet, at) === NEXTHDR_HOP ? ipv6ExtensionLength(packet, at + IPV6.size, NEXTHDR_HOP) : 0;
  return headerLength === IPV6.size + hops;
}

function summarizeL4(
  packet: Uint8Array,
  { ip, ipv6, tcp, udp, icmp }: ParsedFrame,
  version: 'IPv4' | 'IPv6',
): Pick<PacketSummary, 'l4' | 'text'> {
  if (ip!.isFragment || (ipv6 !== undefined && !followsDirectly(packet, ipv6))) return { l4: undefined, text: version };
  if (tcp !== undefined) {
    const ns = (packet[tcp.at + TCP.flags - 1]! & TCP_NS) !== 0 ? ['NS'] : [];
    const l4: FlowL4 = { protocol: 'TCP', sourcePort: tcp.srcPort, destinationPort: tcp.dstPort };
    return { l4, text: `TCP Flags: ${[...tcpFlagNames(tcp.flags), ...ns].join(', ')}` };
  }
  if (udp !== undefined) {
    return { l4: { protocol: 'UDP', sourcePort: udp.srcPort, destinationPort: udp.dstPort }, text: 'UDP' };
  }
  if (icmp !== undefined) {
    const { type, code } = icmp;
    const protocol = version === 'IPv4' ? 'ICMPv4' : 'ICMPv6';
    return { l4: { protocol, type, code }, text: `${protocol} ${icmpName(type, code, protocol)}` };
  }
  return { l4: undefined, text: ip!.protocol === IPPROTO_SCTP ? 'SCTP, not supported yet' : version };
}

const mac = (address: number): string =>
  address
    .toString(16)
    .padStart(12, '0')
    .replace(/..(?!$)/g, '$&:');
