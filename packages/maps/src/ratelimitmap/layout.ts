/** `struct ratelimit_key`, 8 bytes: the key of cilium_ratelimit. usage u32: 1 = ICMPv6, 2 = events; netdev_idx u32, with ICMPv6 only. Source: bpf/lib/ratelimit.h. */
export const RATELIMIT_KEY = { size: 8, usage: 0, netdev_idx: 4 } as const;

/** `struct ratelimit_value`, 16 bytes: last_topup u64, nanoseconds; tokens u64. Source: bpf/lib/ratelimit.h. */
export const RATELIMIT_VALUE = { size: 16, last_topup: 0, tokens: 8 } as const;
