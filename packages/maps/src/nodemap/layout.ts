/** `struct node_key`, 20 bytes: the key of cilium_node_map_v2. family u8: 1 = IPv4, 2 = IPv6; ip4 be32 or ip6 16 bytes, in one place. Source: bpf/lib/common.h. */
export const NODE_KEY = { size: 20, pad1: 0, pad2: 2, family: 3, ip4: 4, pad4: 8, pad5: 12, pad6: 16, ip6: 4 } as const;

/** `struct node_value`, 4 bytes: id u16; spi u8: of encryption. Source: bpf/lib/common.h. */
export const NODE_VALUE = { size: 4, id: 0, spi: 2, pad: 3 } as const;
