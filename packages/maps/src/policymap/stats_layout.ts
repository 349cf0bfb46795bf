/** `struct policy_stats_key`, 12 bytes: the key of cilium_policystats. endpoint_id u16; prefix_len u8; sec_label u32; egress: `POLICY_STATS_KEY_MASK`; protocol u8; dport be16. Source: bpf/lib/policy.h. */
export const POLICY_STATS_KEY = {
  size: 12,
  endpoint_id: 0,
  pad1: 2,
  prefix_len: 3,
  sec_label: 4,
  egress: 8,
  pad: 8,
  protocol: 9,
  dport: 10,
} as const;
/** Bits of the byte at the field's offset in `POLICY_STATS_KEY`. */
export const POLICY_STATS_KEY_MASK = { egress: 0x1, pad: 0xfe } as const;

/** `struct policy_stats_value`, 16 bytes: of one CPU. packets, bytes u64. Source: bpf/lib/policy.h. */
export const POLICY_STATS_VALUE = { size: 16, packets: 0, bytes: 8 } as const;
