/** `struct ipv6_ct_tuple`, 38 bytes: the key of the IPv6 conntrack and NAT maps. daddr, saddr: 16 bytes in the order of the wire, used as in `IPV4_CT_TUPLE`; dport, sport be16; nexthdr, flags u8. Source: bpf/lib/common.h. */
export const IPV6_CT_TUPLE = { size: 38, daddr: 0, saddr: 16, dport: 32, sport: 34, nexthdr: 36, flags: 37 } as const;
