import type { Address, Memory } from '../memory.ts';

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

/** Scope of `LB4_KEY.scope`: reached from everywhere. */
export const LB_LOOKUP_SCOPE_EXT = 0;

/** Writes a service key, scope external, at `at` (a multiple of 4). Address and port host order. Allocates nothing. */
export function setLb4Key(
  m: Memory,
  at: Address,
  address: number,
  dport: number,
  protocol: number,
  slot: number,
): void {
  m.view.setUint32(at + LB4_KEY.address, address);
  m.view.setUint16(at + LB4_KEY.dport, dport);
  m.u16[(at + LB4_KEY.backend_slot) >> 1] = slot;
  m.u32[(at + LB4_KEY.proto) >> 2] = protocol | (LB_LOOKUP_SCOPE_EXT << 8);
}

/** Writes the key of cilium_lb4_reverse_nat. @param index host order */
export function setLb4RevNatKey(m: Memory, at: Address, index: number): void {
  m.view.setUint16(at, index);
}

/** Of a service, slot above 0. */
export const lb4BackendId = (m: Memory, at: Address): number => m.u32[(at + LB4_SERVICE.backend_id) >> 2]!;
/** Of a service, slot 0. */
export const lb4Count = (m: Memory, at: Address): number => m.u16[(at + LB4_SERVICE.count) >> 1]!;
/** Of a service, host order. */
export const lb4RevNatIndex = (m: Memory, at: Address): number => m.view.getUint16(at + LB4_SERVICE.rev_nat_index);

/** Of a backend; address and port host order. */
export const lb4BackendAddress = (m: Memory, at: Address): number => m.view.getUint32(at + LB4_BACKEND.address);
export const lb4BackendPort = (m: Memory, at: Address): number => m.view.getUint16(at + LB4_BACKEND.port);
export const lb4BackendProto = (m: Memory, at: Address): number => m.u8[at + LB4_BACKEND.proto]!;

/** Of a reverse NAT entry: what the client knows the service by; host order. */
export const lb4RevNatAddress = (m: Memory, at: Address): number => m.view.getUint32(at + LB4_REVERSE_NAT.address);
export const lb4RevNatPort = (m: Memory, at: Address): number => m.view.getUint16(at + LB4_REVERSE_NAT.port);
