/**
 * `struct lb4_key`, 12 bytes, the key of cilium_lb4_services_v2. address be32; dport be16; backend_slot u16: 0 = the
 * frontend, 1.. = its backends; proto u8: the service's protocol (0 = any); scope u8. Source: bpf/lib/common.h.
 */
export const LB4_KEY = { size: 12, address: 0, dport: 4, backend_slot: 6, proto: 8, scope: 9, pad: 10 } as const;

/**
 * `struct lb4_service`, 12 bytes. backend_id u32, valid only in slots above 0 (affinity_timeout and l7_lb_proxy_port
 * share it in slot 0); count, qcount u16, valid only in slot 0; rev_nat_index be16, as the agent writes it; flags,
 * flags2 u8. Source: bpf/lib/common.h.
 */
export const LB4_SERVICE = {
  size: 12,
  backend_id: 0,
  affinity_timeout: 0,
  l7_lb_proxy_port: 0,
  count: 4,
  rev_nat_index: 6,
  flags: 8,
  flags2: 9,
  qcount: 10,
} as const;

/** `struct lb4_backend`, 12 bytes, keyed by u32 id. address be32; port be16; cluster_id u16. Source: bpf/lib/common.h. */
export const LB4_BACKEND = {
  size: 12,
  address: 0,
  port: 4,
  proto: 6,
  flags: 7,
  cluster_id: 8,
  zone: 10,
  pad: 11,
} as const;

/** `struct lb4_reverse_nat`, 6 bytes, keyed by the be16 of `rev_nat_index`. address be32; port be16. Source: bpf/lib/common.h. */
export const LB4_REVERSE_NAT = { size: 6, address: 0, port: 4 } as const;
