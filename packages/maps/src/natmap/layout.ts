/** `struct ipv4_nat_entry`, 40 bytes: the value of cilium_snat_v4_external, keyed by `IPV4_CT_TUPLE` (natural order). created, needs_ct u64; to_saddr or to_daddr be32 and to_sport or to_dport be16 share one place. Source: bpf/lib/nat.h. */
export const IPV4_NAT_ENTRY = {
  size: 40,
  created: 0,
  needs_ct: 8,
  pad1: 16,
  pad2: 24,
  to_saddr: 32,
  to_sport: 36,
  to_daddr: 32,
  to_dport: 36,
} as const;

/** `struct ipv6_nat_entry`, 56 bytes: as `IPV4_NAT_ENTRY`, addresses 16 bytes, keyed by `IPV6_CT_TUPLE`. Source: bpf/lib/nat.h. */
export const IPV6_NAT_ENTRY = {
  size: 56,
  created: 0,
  needs_ct: 8,
  pad1: 16,
  pad2: 24,
  to_saddr: 32,
  to_sport: 48,
  to_daddr: 32,
  to_dport: 48,
} as const;
