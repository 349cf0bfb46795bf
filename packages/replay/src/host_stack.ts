import type { DatapathOptions, Skb } from '@ciliate/bpf';
import { NULL } from '@ciliate/maps';
import {
  ETH,
  ETH_P_IP,
  ETH_P_IPV6,
  ethType,
  IPV4,
  IPV6,
  type IpAddress,
  ipv4Checksum,
  ipv4Dst,
  ipv4Ttl,
  ipv6Dst,
  ipv6HopLimit,
  setIpv4Checksum,
  setIpv4Ttl,
  setIpv6HopLimit,
  updateChecksum16,
} from '@ciliate/packet';

// As much of the host's stack as forwards a packet from one device to the next.

const IP_AT = ETH.size;

const isIpv6Packet = ({ memory, data, len }: Skb): boolean =>
  len >= IP_AT + IPV6.size && ethType(memory.u8, data) === ETH_P_IPV6;

/** Of an IP packet. */
export function destinationOf(skb: Skb): IpAddress | undefined {
  const { data, len, memory } = skb;
  if (isIpv6Packet(skb)) return ipv6Dst(memory.u8, data + IP_AT);
  return len >= IP_AT + IPV4.size && ethType(memory.u8, data) === ETH_P_IP
    ? ipv4Dst(memory.u8, data + IP_AT)
    : undefined;
}

/** One hop less to live. @returns false if the packet has none left */
export function forward(skb: Skb): boolean {
  const { u8 } = skb.memory;
  const at = skb.data + IP_AT;
  if (isIpv6Packet(skb)) {
    const hops = ipv6HopLimit(u8, at);
    if (hops > 1) setIpv6HopLimit(u8, at, hops - 1);
    return hops > 1;
  }
  const ttl = ipv4Ttl(u8, at);
  if (ttl <= 1) return false;
  setIpv4Checksum(u8, at, updateChecksum16(ipv4Checksum(u8, at), ttl << 8, (ttl - 1) << 8));
  setIpv4Ttl(u8, at, ttl - 1);
  return true;
}

/** The host's routes as far as programs ask for them: everything by the node's device, to a neighbour not known yet. */
export function defaultRoute(ifindex: number): NonNullable<DatapathOptions['fib']> {
  const route = { ifindex, smac: NULL, dmac: NULL };
  return () => route;
}
