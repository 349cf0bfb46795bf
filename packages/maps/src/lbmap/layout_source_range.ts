/** `struct lb4_src_range_key`, 12 bytes: the key of an LPM trie. prefixlen u32, in bits, without itself; rev_nat_id be16; addr be32. Source: bpf/lib/common.h. */
export const LB4_SRC_RANGE_KEY = { size: 12, prefixlen: 0, rev_nat_id: 4, pad: 6, addr: 8 } as const;

/** `struct lb6_src_range_key`, 24 bytes: as `LB4_SRC_RANGE_KEY`, addr 16 bytes. Source: bpf/lib/common.h. */
export const LB6_SRC_RANGE_KEY = { size: 24, prefixlen: 0, rev_nat_id: 4, pad: 6, addr: 8 } as const;
