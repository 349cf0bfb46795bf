/** `struct lb4_affinity_key`, 16 bytes: the key of cilium_lb4_affinity. client_id: be32 address in 8 bytes, or the u64 cookie of a network namespace; rev_nat_id be16. Source: bpf/lib/common.h. */
export const LB4_AFFINITY_KEY = {
  size: 16,
  client_id: 0,
  rev_nat_id: 8,
  netns_cookie: 10,
  reserved: 10,
  pad1: 11,
  pad2: 12,
} as const;
/** Bits of the byte at the field's offset in `LB4_AFFINITY_KEY`. */
export const LB4_AFFINITY_KEY_MASK = { netns_cookie: 0x1, reserved: 0xfe } as const;

/** `struct lb6_affinity_key`, 24 bytes: as `LB4_AFFINITY_KEY`, client_id 16 bytes. Source: bpf/lib/common.h. */
export const LB6_AFFINITY_KEY = {
  size: 24,
  client_id: 0,
  rev_nat_id: 16,
  netns_cookie: 18,
  reserved: 18,
  pad1: 19,
  pad2: 20,
} as const;
/** Bits of the byte at the field's offset in `LB6_AFFINITY_KEY`. */
export const LB6_AFFINITY_KEY_MASK = { netns_cookie: 0x1, reserved: 0xfe } as const;

/** `struct lb_affinity_val`, 16 bytes: last_used u64, seconds of the clock; backend_id u32. Source: bpf/lib/common.h. */
export const LB_AFFINITY_VAL = { size: 16, last_used: 0, backend_id: 8, pad: 12 } as const;

/** `struct lb_affinity_match`, 8 bytes: the key of cilium_lb_affinity_match, whose value is one byte. backend_id u32; rev_nat_id be16. Source: bpf/lib/common.h. */
export const LB_AFFINITY_MATCH = { size: 8, backend_id: 0, rev_nat_id: 4, pad: 6 } as const;
