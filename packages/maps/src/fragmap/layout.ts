/** `struct ipv4_frag_id`, 12 bytes: the key of cilium_ipv4_frag_datagrams. daddr, saddr be32; id be16; proto u8. Source: bpf/lib/ipv4.h. */
export const IPV4_FRAG_ID = { size: 12, daddr: 0, saddr: 4, id: 8, proto: 10, pad: 11 } as const;

/** `struct ipv4_frag_l4ports`, 4 bytes: sport, dport be16. Source: bpf/lib/ipv4.h. */
export const IPV4_FRAG_L4PORTS = { size: 4, sport: 0, dport: 2 } as const;

/** `struct ipv6_frag_id`, 40 bytes: the key of cilium_ipv6_frag_datagrams. id be32; proto u8; saddr, daddr 16 bytes. Source: bpf/lib/ipv6.h. */
export const IPV6_FRAG_ID = { size: 40, id: 0, proto: 4, pad: 5, saddr: 8, daddr: 24 } as const;

/** `struct ipv6_frag_l4ports`, 4 bytes: sport, dport be16. Source: bpf/lib/ipv6.h. */
export const IPV6_FRAG_L4PORTS = { size: 4, sport: 0, dport: 2 } as const;
