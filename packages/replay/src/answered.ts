import {
  ETH,
  ETH_P_IP,
  ETH_P_IPV6,
  ethType,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPV6,
  ipv4HeaderLength,
  ipv4Protocol,
  ipv6NextHeader,
  isIcmpError,
  NDISC_NEIGHBOUR_ADVERTISEMENT,
} from '@ciliate/packet';

/**
 * A program has sent a packet back where it came from: did it turn it into the answer (ARP, an ICMP error, a neighbour
 * advertisement)? Else a pod speaks to itself. Allocates nothing.
 * @param at of the frame, as it is now
 */
export function isAnswer(u8: Uint8Array, at: number, length: number): boolean {
  const type = length >= ETH.size ? ethType(u8, at) : 0;
  const ip = at + ETH.size;
  if (type === ETH_P_IP)
    return ipv4Protocol(u8, ip) === IPPROTO_ICMP && isIcmpError(u8[ip + ipv4HeaderLength(u8, ip)]!, false);
  if (type !== ETH_P_IPV6 || ipv6NextHeader(u8, ip) !== IPPROTO_ICMPV6) return type !== ETH_P_IPV6;
  const icmp = u8[ip + IPV6.size]!;
  return isIcmpError(icmp, true) || icmp === NDISC_NEIGHBOUR_ADVERTISEMENT;
}
