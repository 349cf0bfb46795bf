import { formatIpv4, IPPROTO_SCTP, type ParsedFrame, parseFrame, TCP, tcpFlagNames } from '@ciliate/packet';
import type { FlowL4 } from './flow.ts';
import { icmpName } from './icmp.ts';

export interface PacketSummary {
  ethernet: { source: string; destination: string } | undefined;
  /** Dotted and host-order addresses of an IPv4 packet. */
  ip: { source: string; destination: string; sourceAddress: number; destinationAddress: number } | undefined;
  l4: FlowL4 | undefined;
  text: string;
}

const ETH_P_IPV6 = 0x86dd;
const TCP_NS = 0x01; // of the byte before the flags

/**
 * What Hubble tells of a packet. The text names the last header it reads; of a fragment it reads no more than IPv4, of
 * other protocols no more than Ethernet. Source: pkg/hubble/parser/threefour/parser.go and gopacket's layers.
 */
export function summarizePacket(packet: Uint8Array): PacketSummary {
  const frame = parseFrame(packet);
  if (frame.eth === undefined) return { ethernet: undefined, ip: undefined, l4: undefined, text: '' };
  const ethernet = { source: mac(frame.eth.src), destination: mac(frame.eth.dst) };
  if (frame.ipv4 === undefined) {
    const text = frame.eth.type === ETH_P_IPV6 ? 'IPv6, not supported yet' : 'Ethernet';
    return { ethernet, ip: undefined, l4: undefined, text };
  }
  const { src, dst } = frame.ipv4;
  const ip = { source: formatIpv4(src), destination: formatIpv4(dst), sourceAddress: src, destinationAddress: dst };
  return { ethernet, ip, ...summarizeL4(packet, frame) };
}

function summarizeL4(packet: Uint8Array, { ipv4, tcp, udp, icmp }: ParsedFrame): Pick<PacketSummary, 'l4' | 'text'> {
  if (ipv4!.isFragment) return { l4: undefined, text: 'IPv4' };
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
    return { l4: { protocol: 'ICMPv4', type, code }, text: `ICMPv4 ${icmpName(type, code)}` };
  }
  return { l4: undefined, text: ipv4!.protocol === IPPROTO_SCTP ? 'SCTP, not supported yet' : 'IPv4' };
}

const mac = (address: number): string =>
  address
    .toString(16)
    .padStart(12, '0')
    .replace(/..(?!$)/g, '$&:');
