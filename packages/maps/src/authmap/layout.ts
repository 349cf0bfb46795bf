/** `struct auth_key`, 12 bytes: the key of cilium_auth_map. local_sec_label, remote_sec_label u32; remote_node_id u16, 0 = this node; auth_type u8. Source: bpf/lib/common.h. */
export const AUTH_KEY = {
  size: 12,
  local_sec_label: 0,
  remote_sec_label: 4,
  remote_node_id: 8,
  auth_type: 10,
  pad: 11,
} as const;

/** `struct auth_info`, 8 bytes: expiration u64, in units of 512 ns. Source: bpf/lib/common.h. */
export const AUTH_INFO = { size: 8, expiration: 0 } as const;
