/** `struct lb6_key`, 24 bytes: the key of cilium_lb6_services_v2; fields as in `LB4_KEY`, address 16 bytes. Source: bpf/lib/common.h. */
export const LB6_KEY = { size: 24, address: 0, dport: 16, backend_slot: 18, proto: 20, scope: 21, pad: 22 } as const;

/** `struct lb6_service`, 12 bytes: fields as in `LB4_SERVICE`. Source: bpf/lib/common.h. */
export const LB6_SERVICE = {
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

/** `struct lb6_backend`, 24 bytes: fields as in `LB4_BACKEND`, address 16 bytes. Source: bpf/lib/common.h. */
export const LB6_BACKEND = {
  size: 24,
  address: 0,
  port: 16,
  proto: 18,
  flags: 19,
  cluster_id: 20,
  zone: 22,
  pad: 23,
} as const;

/** `struct lb6_reverse_nat`, 18 bytes: keyed by the be16 of `rev_nat_index`. address 16 bytes; port be16. Source: bpf/lib/common.h. */
export const LB6_REVERSE_NAT = { size: 18, address: 0, port: 16 } as const;
